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

    expression: float = 10.0
    copying: float = 1.0  # for attention squared: unpaid for, it saturates, and little but marks is painted
    smoothness: float = 1e-4  # for the attention's total variation
    steps: int = 6_000
    lead: int = 500  # a reader that knows nothing asks for nothing, and attention learns to copy for good
    calibration: float = 0.01  # how fast the reader's confidence is learnt


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
        self.confidence = torch.ones(len(MEASURES))
        self.reader.register_buffer("confidence", self.confidence)  # saved with it

    def targets(self, labels: Tensor) -> Tensor:
        borrowed = self.labels[self.sampler.draw(len(labels))]
        invented = 2 * torch.rand(borrowed.shape, generator=self.sampler.generator) - 1
        coin = torch.rand(len(labels), 1, generator=self.sampler.generator) < 0.5
        return torch.where(coin, borrowed, invented)

    def part(self, faces: Tensor) -> Tensor:
        # What the landmarks look at: of a whole face at the reader's size, an eye is two pixels high.
        side = faces.shape[-1]
        left, top = round((0.5 - FRAMING.side / 2) * side), round((0.5 + FRAMING.down - FRAMING.side / 2) * side)
        return faces[..., top : top + round(FRAMING.side * side), left : left + round(FRAMING.side * side)]

    def make(self, real: Tensor, targets: Tensor) -> tuple[Tensor, Losses]:
        colour, attention = self.painter.parts(real, targets)
        attention = attention.float()
        rough = attention.diff(dim=2).square().sum() + attention.diff(dim=3).square().sum()
        price = {
            "copying": self.recipe.copying * attention.square().mean(),
            "smoothness": self.recipe.smoothness * rough / len(real),
        }
        return blended(real, colour.float(), attention), price

    def reading_loss(self, readings: Tensor, labels: Tensor) -> Tensor:
        self._calibrate(readings.detach(), labels)
        return self.recipe.expression * F.mse_loss(readings, labels)

    def target_loss(self, readings: Tensor, targets: Tensor) -> Tensor:
        # Of what can hardly be seen (a narrowed eye is two pixels) the reader's guesses stay near the mean. Asked to
        # make it read a full 1, a generator paints streaks that no face has.
        return self.recipe.expression * F.mse_loss(readings, self.confidence * targets)

    def _calibrate(self, readings: Tensor, labels: Tensor) -> None:
        """Learn how much of a label shows in the reading, (4,): the slope of one over the other."""
        spread = labels - labels.mean(0)
        slope = (readings * spread).sum(0) / spread.square().sum(0).clamp(min=1e-6)
        self.confidence.lerp_(slope, self.recipe.calibration)


@recipes.register("ganimation")
def ganimation(data: FaceSet, autocast: bool) -> GANimationTraining:
    """The recipe as shipped."""
    return GANimationTraining(GANimationRecipe(), data, autocast)
