"""GANimation's training: expressions as continuous conditions (Pumarola et al. 2018, arXiv 1807.09251).

The conditions are measured from landmarks (``shield.faces.expression``) instead of action units.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.faces import warp, whole_picture
from shield.faces.expression import MEASURES, conditions
from shield.faces.landmarks import FRAMING, SIZE, load_landmarks
from shield.surrogates.ganimation import EDITS
from shield.surrogates.generator import AttentionGenerator, blended
from shield.training.adversarial import AdversarialTraining, Losses, Optimisation
from shield.training.data import BalancedSampler, FaceSet
from shield.training.loop import recipes

FURTHEST = 1.5  # conditions are cut here: beyond it landmarks err more than faces move
BINS = 3  # of smile width and of mouth opening, between which sampling is balanced


@dataclass(frozen=True)
class GANimationRecipe(Optimisation):
    """Everything that decides how the weights come out."""

    expression: float = 20.0
    copying: float = 0.3  # for the share of the face that is not copied
    smoothness: float = 1e-4  # for the attention's total variation


@torch.no_grad()
def measured(data: FaceSet, batch: int = 64) -> Tensor:
    """The expression of every face of the set as conditions (N, 4)."""
    network, side = load_landmarks(), data.faces.shape[-1]
    face = whole_picture(side, side)
    found = []
    for faces in data.faces.split(batch):
        found.append(conditions(network(warp(faces.float() / 255, face, SIZE, FRAMING))))
    return torch.cat(found).clamp(-FURTHEST, FURTHEST)


def _sampler(labels: Tensor, seed: int) -> BalancedSampler:
    """Rows balanced over narrow to wide smiles and shut to open mouths."""
    cuts = [torch.quantile(labels[:, i].contiguous(), torch.linspace(0, 1, BINS + 1)[1:-1]) for i in (0, 1)]
    bins = torch.stack([torch.bucketize(labels[:, i].contiguous(), cut) for i, cut in enumerate(cuts)], 1)
    groups = [tuple(row) for row in bins.tolist()]
    return BalancedSampler(groups, dict.fromkeys(groups, 1.0), seed)


class GANimationTraining(AdversarialTraining):
    """A generator that is asked for another face's expression or a made-up one, and a reader that measures it."""

    def __init__(self, recipe: GANimationRecipe, data: FaceSet, autocast: bool) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        labels = measured(data)
        self.painter = AttentionGenerator(recipe.width, len(MEASURES), recipe.blocks)
        # Mirroring changes none of the measures.
        super().__init__(recipe, data, labels, self.painter, EDITS, _sampler(labels, recipe.seed), autocast)

    def targets(self, labels: Tensor) -> Tensor:
        borrowed = self.labels[self.sampler.draw(len(labels))]
        invented = 2 * torch.rand(borrowed.shape, generator=self.sampler.generator) - 1
        coin = torch.rand(len(labels), 1, generator=self.sampler.generator) < 0.5
        return torch.where(coin, borrowed, invented)

    def make(self, real: Tensor, targets: Tensor) -> tuple[Tensor, Losses]:
        colour, attention = self.painter.parts(real, targets)
        attention = attention.float()
        rough = attention.diff(dim=2).square().sum() + attention.diff(dim=3).square().sum()
        price = {
            "copying": self.recipe.copying * (1 - attention).mean(),
            "smoothness": self.recipe.smoothness * rough / len(real),
        }
        return blended(real, colour.float(), attention), price

    def reading_loss(self, readings: Tensor, labels: Tensor) -> Tensor:
        return self.recipe.expression * F.mse_loss(readings, labels)


@recipes.register("ganimation")
def ganimation(data: FaceSet, autocast: bool) -> GANimationTraining:
    """The recipe as shipped."""
    return GANimationTraining(GANimationRecipe(), data, autocast)
