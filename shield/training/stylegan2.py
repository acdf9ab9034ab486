"""StyleGAN2's training (Karras et al. 2020, arXiv 1912.04958): faces of nothing, by a logistic loss and a critic.

Differs where few steps must go far: no path length regularisation, and a mapping network of half the depth.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.device import fast_layout, fast_precision
from shield.generators.stylegan2 import CHANNELS, DEPTH, STYLE, StyleGAN2Generator
from shield.training.adversarial import CriticTraining
from shield.training.data import FaceSet
from shield.training.loop import recipes
from shield.training.sampling import FaceCritic, RealFaces, gradient_penalty, tabled

TRAINED = ("generator", "critic")
LOOK = 20  # steps from one reading of the losses to the next: each waits for the device


@dataclass(frozen=True)
class StyleGAN2Recipe:
    """Everything that decides how the weights come out."""

    batch: int = 64
    steps: int = 40_000
    learning_rate: float = 2.5e-3
    channels: tuple[int, ...] = CHANNELS
    style: int = STYLE
    depth: int = DEPTH
    mixed: float = 0.7  # of the pictures have two styles
    penalty: float = 0.3  # R1 (Mescheder et al. 2018, arXiv 1801.04406)
    lazy: int = 16  # steps from one penalty to the next
    averaging: float = 0.998
    seed: int = 0


class StyleGAN2Training(CriticTraining):
    """A generator and its critic."""

    generator: StyleGAN2Generator
    average: StyleGAN2Generator

    def __init__(self, recipe: StyleGAN2Recipe, data: FaceSet, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.steps = recipe, device, recipe.steps
        self.random, self.averaging = torch.Generator().manual_seed(recipe.seed), recipe.averaging
        self.noise = torch.Generator(device).manual_seed(recipe.seed)  # too much of it to be sent there every step
        layout = fast_layout(device)
        self.generator = StyleGAN2Generator(recipe.channels, recipe.style, recipe.depth).to(device)
        self.faces = RealFaces(data, device, 2 ** (1 + len(recipe.channels)))
        self.critic = FaceCritic(recipe.channels).to(device).to(memory_format=layout)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.rates = dict.fromkeys(TRAINED, recipe.learning_rate)
        self.optimisers = {
            name: torch.optim.Adam(getattr(self, name).parameters(), rate, (0.0, 0.99), fused=True)
            for name, rate in self.rates.items()
        }
        self._told: dict[str, float] = {}

    def _codes(self, count: int) -> Tensor:
        drawn = torch.randn(count, self.recipe.style, generator=self.random)
        return drawn.to(self.device, non_blocking=True)

    def _made(self) -> Tensor:
        """Pictures of new codes, (batch, 3, s, s)."""
        count, layers = self.recipe.batch, self.generator.layers
        first, second = (self.generator.styles(self._codes(count))[:, None] for _ in range(2))
        places = torch.randint(1, layers, (count, 1), generator=self.random)
        places[torch.rand(count, generator=self.random) >= self.recipe.mixed] = layers
        taken = (torch.arange(layers) < places)[..., None].to(self.device, non_blocking=True)
        noises = self.generator.noises.fresh(count, self.noise)
        return self.generator.synthesis(torch.where(taken, first, second), noises)

    def step(self, number: int) -> dict[str, float]:
        """One step of the critic, then one of the generator; returns the terms of their losses as last read."""
        recipe = self.recipe
        real = self.faces.draw(recipe.batch, self.random)
        with torch.no_grad(), fast_precision(self.device):
            made = self._made()
        with fast_precision(self.device):
            # One after the other: in one batch the critic would see the spread of groups that are half made.
            known, wrong = self.critic(real).float(), self.critic(made).float()
        lesson = {"real": F.softplus(-known).mean(), "made": F.softplus(wrong).mean()}
        if number % recipe.lazy == 0:
            lesson["steep"] = recipe.lazy * recipe.penalty / 2 * gradient_penalty(self.critic, real)
        self._descend("critic", lesson)
        self.critic.requires_grad_(False)
        with fast_precision(self.device):
            price = {"fool": F.softplus(-self.critic(self._made()).float()).mean()}
        self._descend("generator", price)
        self.critic.requires_grad_(True)
        self._average(number)
        if number % LOOK == 0 or not self._told:
            self._told = {name: float(loss.detach()) for name, loss in (lesson | price).items()}
        return self._told

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs, random numbers included."""
        return super().state_dict() | {"noise": self.noise.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        super().load_state_dict(state)
        self.noise.set_state(state["noise"].cpu())

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """Eight samples in a row, always of the same codes, in as many rows as there are faces."""
        return tabled(self.average, self.recipe.style, len(faces), self.device)


@recipes.register("stylegan2")
def stylegan2(data: FaceSet, device: torch.device) -> StyleGAN2Training:
    """The recipe as shipped."""
    return StyleGAN2Training(StyleGAN2Recipe(), data, device)
