"""pix2pixHD's global generator as a photo editor (Wang et al. 2018, arXiv 1711.11585), trained for shield.

The published layout, and beside the photo what pix2pixHD takes instead of one: label maps. They show StarGAN's
conditions, so that one network knows all of its edits.
"""

import torch
from torch import Tensor, nn

from shield.surrogates.published.conditions import Conditions, Edits
from shield.surrogates.published.family import Editor, Family, MisfitError, Plan, Tensors, dimensions
from shield.surrogates.published.pix2pixhd import steps_of
from shield.surrogates.published.resnet import BLOCK, ResNetGenerator, resnet
from shield.surrogates.published.trunk import CELEBA
from shield.surrogates.shipped import shipped

EDITS: Edits = CELEBA
PHOTO = 3  # channels, before those of the conditions
STEPS = 4  # down by 2, as published
MIDDLE, RADII = (0.5, 0.52), (0.34, 0.42)  # of the head in portrait framing, across and down, in sides


def condition_maps(conditions: Tensor, height: int, width: int) -> Tensor:
    """Conditions (N, C) as label maps (N, C, height, width): painted on the head, 0 around it.

    Painted everywhere they would say nothing: InstanceNorm takes out what is the same all over a picture.
    """
    down, across = (
        ((torch.arange(size, device=conditions.device) + 0.5) / size - middle) / radius
        for size, middle, radius in zip((height, width), MIDDLE[::-1], RADII[::-1], strict=True)
    )
    head = (down[:, None].square() + across.square() <= 1).to(conditions.dtype)
    return conditions[:, :, None, None] * head


class ConditionedResNet(ResNetGenerator):
    """Faces (N, 3, H, W) in [-1, 1] and conditions (N, C) to faces: the residual generator with label maps."""

    def __init__(self, width: int, steps: int, blocks: int, conditions: int) -> None:
        super().__init__(width, steps, blocks)
        self.model[1] = nn.Conv2d(PHOTO + conditions, width, 7)

    def forward(self, faces: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Raises ValueError without conditions: they are no option here."""
        if conditions is None:
            raise ValueError("this network wants conditions beside the faces")
        maps = condition_maps(conditions, *faces.shape[-2:])
        result: Tensor = self.model(torch.cat([faces, maps.to(faces.dtype)], dim=1))
        return result


def build(tensors: Tensors) -> Plan:
    """The network whose sizes the tensors have. Raises MisfitError."""
    width, inputs = dimensions(tensors, "model.1.weight")[:2]
    if inputs <= PHOTO:
        raise MisfitError(f"its model.1.weight takes {inputs} channels, expected {PHOTO} and at least one condition")
    plain = {**tensors, "model.1.weight": tensors["model.1.weight"][:, :PHOTO]}
    sides = resnet(plain, steps_of(tensors)).sides
    blocks = sum(BLOCK.fullmatch(key) is not None for key in tensors)
    network = ConditionedResNet(width, steps_of(tensors), blocks, inputs - PHOTO)
    return Plan(network, inputs - PHOTO, sides)


ATTRIBUTES = Conditions(published={len(next(iter(EDITS.values()))): EDITS}, certain=True)
CONDITIONED = Family("pix2pixHD with conditions", "Apache-2.0", "Photo editor", 128, build, ATTRIBUTES)


def load_pix2pixhd(device: torch.device) -> Editor:
    """The pix2pixHD of models/."""
    return shipped("pix2pixhd", CONDITIONED, EDITS, device)
