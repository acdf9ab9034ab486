"""CycleGAN: a woman's face to a man's and back (Zhu et al. 2017, arXiv 1703.10593), trained for shield.

Two of the published generators, one per direction, in one file.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from shield.surrogates.published.conditions import Conditions, Edits
from shield.surrogates.published.cyclegan import STEPS
from shield.surrogates.published.family import Editor, Family, Plan, Tensors
from shield.surrogates.published.resnet import resnet
from shield.surrogates.shipped import shipped
from shield.surrogates.surrogate import surrogates

EDITS: Edits = {"female": (1, 0), "male": (0, 1)}  # a direction each


class Directions(nn.Module):
    """Faces (N, 3, H, W) in [-1, 1] and one-hot directions (N, D) to faces: every row by its direction's generator."""

    def __init__(self, generators: Iterable[nn.Module]) -> None:
        super().__init__()
        self.directions = nn.ModuleList(generators)

    def forward(self, faces: Tensor, conditions: Tensor) -> Tensor:
        chosen = conditions.argmax(1)
        rows = [(chosen == number).nonzero().flatten() for number in range(len(self.directions))]
        parts = [generator(faces[own]) for generator, own in zip(self.directions, rows, strict=True) if len(own)]
        return torch.cat(parts)[torch.cat(rows).argsort()]


def build(tensors: Tensors) -> Plan:
    """The network whose sizes the tensors have. Raises MisfitError."""
    plans = []
    for number in range(len(EDITS)):
        prefix = f"directions.{number}."
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        plans.append(resnet(own, STEPS))
    return Plan(Directions(plan.network for plan in plans), len(EDITS), plans[0].sides)


DIRECTIONS = Conditions(published={len(EDITS): EDITS}, certain=True)
BOTH_WAYS = Family("CycleGAN, both directions", "Apache-2.0", "Face manipulator", 128, build, DIRECTIONS)


@surrogates.register("cyclegan")
def load_cyclegan(device: torch.device) -> Editor:
    """The CycleGAN of models/."""
    return shipped("cyclegan", BOTH_WAYS, EDITS, device)
