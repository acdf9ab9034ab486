"""GANimation's training: expressions as continuous conditions (Pumarola et al. 2018, arXiv 1807.09251).

The conditions are measured from landmarks (``shield.faces.expression``) instead of action units, and a face warped to
the expression that is asked for shows the way: critic and reader alone were content with smudges.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.faces.expression import MEASURES, conditions
from shield.faces.landmarks import FRAMING, load_landmarks, portrait_landmarks
from shield.surrogates.ganimation import EDITS
from shield.surrogates.generator import AttentionGenerator, blended
from shield.training.adversarial import AdversarialTraining, Losses, Optimisation
from shield.training.data import BalancedSampler, FaceSet
from shield.training.loop import on_processor, recipes
from shield.training.posed import posed, where_changed

FURTHEST = 1.5  # conditions are cut here: beyond it landmarks err more than faces move
INPUT, OUTPUT, ATTENTION = "main.0.weight", "im_reg.0.weight", "im_att.0.weight"
BINS = 3  # of smile width and of mouth opening, between which sampling is balanced


@dataclass(frozen=True)
class GANimationRecipe(Optimisation):
    """Everything that decides how the weights come out."""

    guide: float = 10.0  # for the distance to the face warped to the expression
    focus: float = 20.0  # how much more of it where the warp changes the face
    painting: float = 5.0  # for the distance of the colours alone to the warped face
    attention: float = 6.0  # for attention elsewhere than on what the warp changes
    expression: float = 3.0
    smoothness: float = 1e-4  # for the attention's total variation
    steps: int = 8_500
    lead: int = 500  # from a reader that knows nothing, attention learns to copy for good
    calibration: float = 0.01  # how fast the reader's confidence is learnt


@torch.no_grad()
def measured(data: FaceSet, batch: int = 64) -> Tensor:
    """The expression of every face of the set as conditions (N, 4)."""
    network = load_landmarks()
    found = [conditions(portrait_landmarks(network, faces.float() / 255)) for faces in data.faces.split(batch)]
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
        self.landmarks = load_landmarks()
        labels = measured(data)
        self.painter = AttentionGenerator(recipe.width, len(MEASURES), recipe.blocks)
        # Mirroring changes none of the measures.
        super().__init__(recipe, data, labels, self.painter, EDITS, _sampler(labels, recipe.seed), autocast)
        self.confidence = torch.ones(len(MEASURES))
        self.reader.register_buffer("confidence", self.confidence)  # saved with it

    def begin_with(self, weights: dict[str, Tensor]) -> int:
        """A StarGAN's weights serve as well as a GANimation's: it can paint faces already."""
        painted = weights.get(f"main.{len(self.painter.main)}.weight")  # a GANimation's trunk ends before it
        return super().begin_with(weights if painted is None else self._from_stargan(weights, painted))

    def _from_stargan(self, weights: dict[str, Tensor], output: Tensor) -> dict[str, Tensor]:
        """Its trunk and output, and what led from its first conditions on; attention begins as a half everywhere.

        A condition is one value all over the picture, which InstanceNorm takes out but at the border: a trunk needs
        thousands of steps to learn to listen there.
        """
        own = self.painter.state_dict()
        begun = {name: weights[name] for name in own if name in weights}
        begun[INPUT] = weights[INPUT][:, : own[INPUT].shape[1]]
        begun[OUTPUT], begun[ATTENTION] = output, torch.zeros_like(own[ATTENTION])
        return begun

    def targets(self, labels: Tensor) -> Tensor:
        borrowed = self.labels[self.sampler.draw(len(labels))]
        invented = FURTHEST * (2 * torch.rand(borrowed.shape, generator=self.sampler.generator) - 1)
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
        made, guide = blended(real, colour.float(), attention), posed(real, self._landmarks(real), targets)
        moved = where_changed(real, guide)
        off = (made - guide).abs() * (1 + self.recipe.focus * moved)
        price = {
            "guide": self.recipe.guide * off.mean(),
            "painting": self.recipe.painting * F.l1_loss(colour.float(), guide),
            # Cross entropy pulls on saturated attention too: the whole face is copied soon, and then for good.
            "attention": self.recipe.attention * F.binary_cross_entropy(attention, 1 - moved),
            "smoothness": self.recipe.smoothness * rough / len(real),
        }
        return made, price

    @torch.no_grad()
    def _landmarks(self, faces: Tensor) -> Tensor:
        """Of faces (N, 3, s, s) in [-1, 1]: points (N, 68, 2) in [0, 1] of the side."""
        return portrait_landmarks(self.landmarks, (faces + 1) / 2)

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
def ganimation(data: FaceSet, device: torch.device) -> GANimationTraining:
    """The recipe as shipped."""
    return GANimationTraining(GANimationRecipe(), data, on_processor(device))
