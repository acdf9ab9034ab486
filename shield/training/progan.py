"""ProGAN's training (Karras et al. 2018, arXiv 1710.10196): generator and critic grow from 8 px to 64.

Differs where few steps must go far: a logistic loss with R1 (Mescheder et al. 2018, arXiv 1801.04406) in the place of
WGAN-GP, whose critic has to be ahead.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.device import fast_layout, fast_precision
from shield.generators.progan import CHANNELS, CODE, ProGANGenerator, convolution
from shield.training.adversarial import CriticTraining
from shield.training.data import FaceSet
from shield.training.loop import recipes
from shield.training.sampling import End, Halving, RealFaces, gradient_penalty, tabled

TRAINED = ("generator", "critic")
SLOPE = 0.2
LOOK = 20  # steps from one reading of the losses to the next: each waits for the device
SHARES = (0.1, 0.2, 0.3, 0.4)  # of the steps at 8, 16, 32 and 64 px; of more levels the first ones share the first
FADED = 0.3  # of a level's steps it is faded in


@dataclass(frozen=True)
class ProGANRecipe:
    """Everything that decides how the weights come out."""

    batches: tuple[int, ...] = (128, 128, 96, 64)  # at 8, 16, 32 and 64 px
    steps: int = 40_000
    learning_rate: float = 1.5e-3
    channels: tuple[int, ...] = CHANNELS
    code: int = CODE
    penalty: float = 0.5
    lazy: int = 8  # steps from one penalty to the next
    averaging: float = 0.998
    seed: int = 0


def stage(share: float, levels: int) -> tuple[int, float]:
    """The level and its ``alpha`` after this share of all steps, in [0, 1)."""
    first = levels - len(SHARES) + 1
    shares = (*[SHARES[0] / first] * first, *SHARES[1:]) if first > 0 else SHARES[-levels:]
    total, begun = sum(shares), 0.0
    for level, own in enumerate(shares, start=1):
        if share * total < begun + own or level == levels:
            inside = (share * total - begun) / own
            return level, 1.0 if level == 1 else min(1.0, inside / FADED)
        begun += own
    raise ValueError(f"there are no {levels} levels")


class GrowingCritic(nn.Module):
    """Faces (N, 3, s, s) in [-1, 1], of a level's size, to scores (N, 1)."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.begin = nn.ModuleList(convolution(3, width, 1) for width in channels)
        self.trunk = nn.ModuleList(Halving(wide, near) for near, wide in pairwise(channels))
        self.end = End(channels[0])

    def forward(self, faces: Tensor, level: int, alpha: float) -> Tensor:
        x = F.leaky_relu(self.begin[level](faces), SLOPE)
        for number in reversed(range(level)):
            x = self.trunk[number](x)
            if number == level - 1 and alpha < 1:
                x = torch.lerp(F.leaky_relu(self.begin[number](F.avg_pool2d(faces, 2)), SLOPE).to(x.dtype), x, alpha)
        scores: Tensor = self.end(x)
        return scores


class ProGANTraining(CriticTraining):
    """A generator and its critic, which grow."""

    generator: ProGANGenerator
    average: ProGANGenerator

    def __init__(self, recipe: ProGANRecipe, data: FaceSet, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.steps = recipe, device, recipe.steps
        self.random, self.averaging = torch.Generator().manual_seed(recipe.seed), recipe.averaging
        layout = fast_layout(device)
        self.generator = ProGANGenerator(recipe.channels, recipe.code).to(device).to(memory_format=layout)
        self.faces = RealFaces(data, device, 2 ** (1 + len(recipe.channels)))
        self.critic = GrowingCritic(recipe.channels).to(device).to(memory_format=layout)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.rates = dict.fromkeys(TRAINED, recipe.learning_rate)
        self.optimisers = {
            name: torch.optim.Adam(getattr(self, name).parameters(), rate, (0.0, 0.99), fused=True)
            for name, rate in self.rates.items()
        }
        self._told: dict[str, float] = {}

    def step(self, number: int) -> dict[str, float]:
        """One step of the critic, then one of the generator; returns the terms of their losses as last read."""
        recipe, levels = self.recipe, self.generator.levels
        level, alpha = stage(number / self.steps, levels)
        count = recipe.batches[max(0, level - 1 + len(recipe.batches) - levels)]
        real = F.adaptive_avg_pool2d(self.faces.draw(count, self.random), 4 * 2**level)
        with torch.no_grad(), fast_precision(self.device):
            made = self.generator(self._codes(count), level, alpha)
        with fast_precision(self.device):  # apart: the critic goes by how much the faces of a batch differ
            seen, tricked = (self.critic(faces, level, alpha).float() for faces in (real, made))
        lesson = {"real": F.softplus(-seen).mean(), "made": F.softplus(tricked).mean()}
        if number % recipe.lazy == 0:
            steep = gradient_penalty(lambda faces: self.critic(faces, level, alpha), real)
            lesson["steep"] = recipe.lazy * recipe.penalty / 2 * steep
        self._descend("critic", lesson)
        self.critic.requires_grad_(False)
        with fast_precision(self.device):
            made = self.generator(self._codes(count), level, alpha)
            price = {"fool": F.softplus(-self.critic(made, level, alpha).float()).mean()}
        self._descend("generator", price)
        self.critic.requires_grad_(True)
        self._average(number)
        if number % LOOK == 0 or not self._told:
            self._told = {name: float(loss.detach()) for name, loss in (lesson | price).items()} | {
                "level": float(level)
            }
        return self._told

    def _codes(self, count: int) -> Tensor:
        return torch.randn(count, self.recipe.code, generator=self.random).to(self.device, non_blocking=True)

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """Eight samples in a row, always of the same codes, in as many rows as there are faces."""
        return tabled(self.average, self.recipe.code, len(faces), self.device)


@recipes.register("progan")
def progan(data: FaceSet, device: torch.device) -> ProGANTraining:
    """The recipe as shipped."""
    return ProGANTraining(ProGANRecipe(), data, device)
