"""What every adversarial training shares: two networks, their optimisers, the running average, a step, the state.

Hinge loss with a spectrally normalised critic (Lim and Ye 2017; Miyato et al. 2018), one critic step per generator
step.
"""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from shield.surrogates.published.family import Edits
from shield.training.data import BalancedSampler, FaceSet

Losses = dict[str, Tensor]  # name -> weighted term; the loss is their sum
BETAS = (0.5, 0.99)
STATEFUL = ("generator", "average", "critic", "generator_optimiser", "critic_optimiser")


@dataclass(frozen=True)
class Optimisation:
    """What every adversarial recipe decides: the networks' sizes and how they are trained."""

    size: int = 128
    small_steps: int = 7_000  # the first steps run at half size, at a quarter of the cost
    batch: int = 8
    labelled: int = 24  # further real faces per step, from which the critic only learns to read labels
    steps: int = 9_000
    learning_rate: float = 2e-4
    averaging: float = 0.998
    seed: int = 0
    width: int = 32  # channels of the generator's first layer
    blocks: int = 6  # residual blocks
    critic_width: int = 32
    reconstruction: float = 10.0


class Critic(nn.Module):
    """PatchGAN critic that reads labels: faces (N, 3, s, s) to a map of scores and to readings (N, C).

    Fully convolutional, s a multiple of 64: the readings are averaged over the map.
    """

    def __init__(self, width: int, labels: int, layers: int = 6) -> None:
        super().__init__()
        trunk: list[nn.Module] = []
        channels = 3
        for layer in range(layers):
            wider = width * 2 ** min(layer, 3)  # wider ones cost more in spectral norms than in convolutions
            trunk += [spectral_norm(nn.Conv2d(channels, wider, 4, stride=2, padding=1)), nn.LeakyReLU(0.01)]
            channels = wider
        self.trunk = nn.Sequential(*trunk)
        self.score = nn.Conv2d(channels, 1, 3, padding=1, bias=False)
        self.attributes = nn.Conv2d(channels, labels, 1, bias=False)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(faces)
        return self.score(features), self.attributes(features).mean((2, 3))


class AdversarialTraining(ABC):
    """The state of one training. Subclasses say what is asked for and how it is read."""

    def __init__(
        self,
        settings: Optimisation,
        data: FaceSet,
        labels: Tensor,
        generator: nn.Module,
        edits: Edits,
        sampler: BalancedSampler,
        autocast: bool,
    ) -> None:
        """``labels``: what the critic learns to read off each face of ``data``, (N, C), and the generator is asked for.

        ``edits``: what the sample sheet shows. ``sampler`` draws rows of ``data``.
        """
        self.settings, self.data, self.labels = settings, data, labels
        self.edits, self.sampler, self.autocast = edits, sampler, autocast
        self.generator, self.critic = generator, Critic(settings.critic_width, labels.shape[1])
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.generator_optimiser, self.critic_optimiser = (
            torch.optim.Adam(network.parameters(), settings.learning_rate, BETAS, fused=True)
            for network in (self.generator, self.critic)
        )

    @property
    def steps(self) -> int:
        """How many steps the recipe asks for."""
        return self.settings.steps

    @abstractmethod
    def targets(self, labels: Tensor) -> Tensor:
        """What to ask of faces with these labels, (N, C) both."""

    @abstractmethod
    def reading_loss(self, readings: Tensor, labels: Tensor) -> Tensor:
        """How far the critic's readings (N, C) are from the labels, weighted."""

    def make(self, real: Tensor, targets: Tensor) -> tuple[Tensor, Losses]:
        """The generator's faces, and what it pays for the way it makes them."""
        return self.generator(real, targets), {}

    def draw(self, count: int, size: int) -> tuple[Tensor, Tensor]:
        """Real faces (count, 3, size, size) in [-1, 1] and their labels (count, C)."""
        rows = self.sampler.draw(count)
        return self.data.draw(rows, size, self.sampler.generator), self.labels[rows]

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """The face, then its edits, for faces (N, 3, s, s) in [-1, 1]: (N, 1 + edits, 3, s, s)."""
        vectors = torch.tensor(list(self.edits.values()), dtype=torch.float32)
        columns = [self.average(faces, vector.expand(len(faces), -1)) for vector in vectors]
        return torch.stack([faces, *columns], dim=1)

    def step(self, number: int) -> dict[str, float]:
        """One critic and one generator step; returns the terms of both losses."""
        settings = self.settings
        size = settings.size // 2 if number < settings.small_steps else settings.size
        real, labels = self.draw(settings.batch, size)
        further = self.draw(settings.labelled, size)
        targets = self.targets(labels)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            fake, price = self.make(real, targets)
            critic = self._critic_losses(real, labels, fake.detach(), further)
        _descend(self.critic_optimiser, critic)
        self.critic.requires_grad_(False)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            score, readings = self.critic(fake)
            generator = price | {
                "fool": -score.float().mean(),
                "target": self.reading_loss(readings.float(), targets),
                "back": settings.reconstruction * F.l1_loss(self.generator(fake, labels).float(), real),
            }
        _descend(self.generator_optimiser, generator)
        self.critic.requires_grad_(True)
        self._average(number)
        return {name: float(term.detach()) for name, term in (critic | generator).items()}

    def _critic_losses(self, real: Tensor, labels: Tensor, fake: Tensor, further: tuple[Tensor, Tensor]) -> Losses:
        score, readings = self.critic(torch.cat([real, further[0]]))
        real_score, (fake_score, _) = score[: len(real)], self.critic(fake)
        return {
            "critic": F.relu(1 - real_score.float()).mean() + F.relu(1 + fake_score.float()).mean(),
            "reading": self.reading_loss(readings.float(), torch.cat([labels, further[1]])),
        }

    @torch.no_grad()
    def _average(self, number: int) -> None:
        # Early averages must not remember the random start.
        keep = min(self.settings.averaging, (1 + number) / (10 + number))
        for mean, value in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)

    def set_rate(self, factor: float) -> None:
        """Scale the recipe's learning rate."""
        for optimiser in (self.generator_optimiser, self.critic_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = self.settings.learning_rate * factor

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs, random numbers included."""
        parts = {name: getattr(self, name).state_dict() for name in STATEFUL}
        return parts | {"random": self.sampler.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])
        self.sampler.generator.set_state(state["random"])

    def export(self) -> dict[str, Tensor]:
        """The finished weights: the average, float16."""
        return {name: value.half() for name, value in self.average.state_dict().items()}


def _descend(optimiser: torch.optim.Optimizer, losses: Losses) -> None:
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call,unused-ignore]
    optimiser.step()
