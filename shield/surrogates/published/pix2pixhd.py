"""pix2pixHD's global generator as a photo editor: NVIDIA/pix2pixHD (Wang et al. 2018, arXiv 1711.11585).

NVIDIA's own files draw streets from label maps of 36 channels; those, and the local enhancer, are refused.
"""

from shield.surrogates.published.conditions import Conditions
from shield.surrogates.published.family import Family, MisfitError, Plan, Tensors, dimensions, families
from shield.surrogates.published.resnet import first_block, resnet

ONE_EDIT = Conditions(published={0: {"edited": ()}}, certain=True)


def build(tensors: Tensors) -> Plan:
    if any(key.startswith("model1_") for key in tensors):
        raise MisfitError(
            "it has the layers model1_1 and model1_2 of the local enhancer, expected the global generator alone"
        )
    inputs = dimensions(tensors, "model.1.weight")[1]
    if inputs != 3:
        raise MisfitError(f"it draws from label maps of {inputs} channels, expected an editor of photos, which have 3")
    return resnet(tensors, steps_of(tensors))


def steps_of(tensors: Tensors) -> int:
    """Steps down by 2 before the first residual block: 4 as published, and as many as ``n_downsample_global`` said."""
    return (first_block(tensors) - 4) // 3  # three layers a step, after the four of the first convolution


PIX2PIXHD = families.register("pix2pixhd")(Family("pix2pixHD", "BSD", "Photo editor", 256, build, ONE_EDIT))
