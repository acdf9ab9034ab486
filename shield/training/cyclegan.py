"""CycleGAN's training: women's faces to men's and back, unpaired (Zhu et al. 2017, arXiv 1703.10593).

Differs from the paper where few steps must go far: one critic for both domains, a reader of the domain (so that faces
must really change), and the hinge loss, averaging and half size of the other recipes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.surrogates.cyclegan import EDITS, Directions
from shield.surrogates.published.cyclegan import STEPS
from shield.surrogates.published.resnet import ResNetGenerator
from shield.training.adversarial import AdversarialTraining, Optimisation
from shield.training.data import BalancedSampler, FaceSet
from shield.training.loop import on_processor, recipes


@dataclass(frozen=True)
class CycleGANRecipe(Optimisation):
    """Everything that decides how the weights come out."""

    reading: float = 1.0
    kept: int = 0  # the paper asks for no identity where a picture is to become another


class CycleGANTraining(AdversarialTraining):
    """Two generators, each asked for the other domain, and a reader of the domain."""

    def __init__(self, recipe: CycleGANRecipe, data: FaceSet, autocast: bool) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        male = data.columns("Male")[:, 0].long()
        generator = Directions(ResNetGenerator(recipe.width, STEPS, recipe.blocks) for _ in EDITS)
        groups = list(zip(data.source.tolist(), male.tolist(), strict=True))
        sampler = BalancedSampler(groups, dict.fromkeys(groups, 1.0), recipe.seed)
        super().__init__(recipe, data, F.one_hot(male, len(EDITS)).float(), generator, EDITS, sampler, autocast)

    def targets(self, labels: Tensor) -> Tensor:
        return 1 - labels

    def reading_loss(self, readings: Tensor, labels: Tensor) -> Tensor:
        return self.recipe.reading * F.cross_entropy(readings, labels)


@recipes.register("cyclegan")
def cyclegan(data: FaceSet, device: torch.device) -> CycleGANTraining:
    """The recipe as shipped."""
    return CycleGANTraining(CycleGANRecipe(), data, on_processor(device))
