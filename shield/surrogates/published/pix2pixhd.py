"""pix2pixHD's global generator as a photo editor: NVIDIA/pix2pixHD (Wang et al. 2018, arXiv 1711.11585).

NVIDIA's own files draw streets from label maps of 36 channels; those, and the local enhancer, are refused.
"""

from torch import nn

from shield.surrogates.published.family import Edits, Family, MisfitError, Tensors, dimensions, families
from shield.surrogates.published.resnet import resnet

STEPS = 4
EDITS: Edits = {"edited": ()}


def build(tensors: Tensors) -> tuple[nn.Module, Edits]:
    if any(key.startswith("model1_") for key in tensors):
        raise MisfitError(
            "it has the layers model1_1 and model1_2 of the local enhancer, expected the global generator alone"
        )
    inputs = dimensions(tensors, "model.1.weight")[1]
    if inputs != 3:
        raise MisfitError(f"it draws from label maps of {inputs} channels, expected an editor of photos, which have 3")
    return resnet(tensors, STEPS), EDITS


PIX2PIXHD = families.register("pix2pixhd")(
    Family("pix2pixHD", "BSD", "Photo editor, one edit.", size=256, multiple=2**STEPS, build=build)
)
