"""What every adversarial training shares: the networks, their optimisers, the running average, a step, the state.

Adversarial is the critic; training on pictures changed to break the generator is hardening (``hardening.py``).
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

from shield.surrogates.published.conditions import Edits
from shield.training.data import BalancedSampler, FaceSet, varied
from shield.training.hardening import Hardening, changed
from shield.training.reader import Reader

Losses = dict[str, Tensor]  # name -> weighted term; the loss is their sum
BETAS = (0.5, 0.99)
TRAINED = ("generator", "critic", "reader")
FINE_LAYERS = 4  # of the critic: each of its patches then sees 46 px


@dataclass(frozen=True)
class Optimisation:
    """What every adversarial recipe decides: the networks' sizes and how they are trained."""

    size: int = 128
    small_steps: int = 3_000  # the first steps run at half size, at a quarter of the cost
    steps: int = 4_200
    batch: int = 8
    kept: int = 2  # faces of the batch that are asked for what they are
    lead: int = 0  # lessons that a new reader has before the others begin
    lesson: int = 32  # real faces per step from which the reader learns
    tint: float = 0.05  # of the range: how far the reader sees colours move
    learning_rate: float = 2e-4
    reader_rate: float = 1e-3
    averaging: float = 0.998
    seed: int = 0
    width: int = 32  # channels of the generator's first layer
    blocks: int = 6  # residual blocks
    critic_width: int = 32
    reconstruction: float = 10.0
    hardening: Hardening | None = None  # None: nobody changes the pictures


class Critic(nn.Module):
    """PatchGAN critic: texture in small patches, and whether the whole is a face with the labels asked for.

    The labels enter by projection (Miyato and Koyama 2018, arXiv 1802.05637). A reader, which never sees made faces,
    can be satisfied with a smudge where a mouth should open; a critic of the pair cannot.
    """

    def __init__(self, width: int, labels: int, layers: int = 6) -> None:
        super().__init__()
        trunk: list[nn.Module] = []
        channels, fine_channels = 3, 0
        for layer in range(layers):
            wider = width * 2 ** min(layer, 3)  # wider ones cost more in spectral norms than in convolutions
            trunk += [spectral_norm(nn.Conv2d(channels, wider, 4, stride=2, padding=1)), nn.LeakyReLU(0.01)]
            channels = wider
            fine_channels = wider if layer < FINE_LAYERS else fine_channels
        self.fine, self.coarse = nn.Sequential(*trunk[: 2 * FINE_LAYERS]), nn.Sequential(*trunk[2 * FINE_LAYERS :])
        self.texture = nn.Conv2d(fine_channels, 1, 3, padding=1, bias=False)
        self.whole = nn.Conv2d(channels, 1, 3, padding=1, bias=False)
        self.match = spectral_norm(nn.Linear(labels, channels, bias=False))

    def forward(self, faces: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Faces (N, 3, s, s), s a multiple of 64, and labels (N, C): scores (N, 1, s/16, s/16), (N, 1, s/64, s/64)."""
        return self.scores(self.fine(faces), labels)

    def scores(self, fine: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The same of features that ``fine`` made of faces."""
        coarse = self.coarse(fine)
        matching = (coarse * self.match(labels)[:, :, None, None]).sum(1, keepdim=True)
        return self.texture(fine).float(), (self.whole(coarse) + matching).float()


def _values(losses: Losses) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in losses.items()}


class CriticTraining:
    """What a generator's training beside a critic is made of: networks, optimisers, the running average, the state.

    Subclasses set ``generator``, its critic, ``average``, ``optimisers`` and ``rates`` by the names of what is trained,
    and ``random``, where all random numbers come from; and say what a step is.
    """

    generator: nn.Module
    average: nn.Module
    optimisers: dict[str, torch.optim.Optimizer]
    rates: dict[str, float]
    averaging: float
    random: torch.Generator

    def _descend(self, name: str, losses: Losses) -> None:
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call,unused-ignore]
        optimiser.step()

    @torch.no_grad()
    def _average(self, number: int) -> None:
        # Early averages must not remember the random start.
        keep = min(self.averaging, (1 + number) / (10 + number))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - keep)
        for mean, value in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            mean.copy_(value)

    def set_rate(self, factor: float) -> None:
        """Scale the recipe's learning rates."""
        for name, optimiser in self.optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = self.rates[name] * factor

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs, random numbers included."""
        networks = {name: getattr(self, name).state_dict() for name in (*self.optimisers, "average")}
        optimisers = {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()}
        return {"networks": networks, "optimisers": optimisers, "random": self.random.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name, network in state["networks"].items():
            getattr(self, name).load_state_dict(network)
        for name, optimiser in state["optimisers"].items():
            self.optimisers[name].load_state_dict(optimiser)
        self.random.set_state(state["random"].cpu())

    def begin_with(self, weights: dict[str, Tensor]) -> int:
        """Begin with a trained generator; whatever else is trained begins anew."""
        for network in (self.generator, self.average):
            network.load_state_dict({name: value.float() for name, value in weights.items()})
        return 0

    def export(self) -> dict[str, Tensor]:
        """The finished weights: the average, float16; counters as they are."""
        state = self.average.state_dict().items()
        return {name: (v.half() if v.is_floating_point() else v).cpu().contiguous() for name, v in state}


def hinge_losses(texture: Tensor, whole: Tensor, count: int) -> Losses:
    """A critic's, of its scores of ``count`` real faces, as many made ones and the real ones beside wrong labels.

    A real face beside others' labels is as wrong as a made one.
    """
    wrong = (F.relu(1 + whole[count : 2 * count]).mean() + F.relu(1 + whole[2 * count :]).mean()) / 2
    return {
        "texture": (F.relu(1 - texture[:count]).mean() + F.relu(1 + texture[count : 2 * count]).mean()) / 2,
        "whole": (F.relu(1 - whole[:count]).mean() + wrong) / 2,
    }


class AdversarialTraining(CriticTraining, ABC):
    """The state of one training. Subclasses say what is asked for and how it is read."""

    critic: Critic

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
        """``labels``: what the reader learns to read off each face of ``data``, (N, C), and the generator is asked for.

        ``edits``: what the sample sheet shows. ``sampler`` draws rows of ``data``.
        """
        self.settings, self.data, self.labels = settings, data, labels
        self.edits, self.sampler, self.autocast = edits, sampler, autocast
        self.random, self.averaging = sampler.generator, settings.averaging
        self.generator, self.critic = generator, Critic(settings.critic_width, labels.shape[1])
        self.reader = Reader(labels.shape[1])
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.rates = dict.fromkeys(TRAINED, settings.learning_rate) | {"reader": settings.reader_rate}
        self.optimisers = {
            name: torch.optim.Adam(getattr(self, name).parameters(), rate, BETAS, fused=True)
            for name, rate in self.rates.items()
        }

    @property
    def steps(self) -> int:
        """How many steps the recipe asks for."""
        return self.settings.steps

    @abstractmethod
    def targets(self, labels: Tensor) -> Tensor:
        """What to ask of faces with these labels, (N, C) both."""

    @abstractmethod
    def reading_loss(self, readings: Tensor, labels: Tensor) -> Tensor:
        """How far the reader's readings (N, C) of real faces are from the labels, weighted."""

    def target_loss(self, readings: Tensor, targets: Tensor) -> Tensor:
        """How far the readings (N, C) of made faces are from what was asked, weighted."""
        return self.reading_loss(readings, targets)

    def part(self, faces: Tensor) -> Tensor:
        """The part of faces (N, 3, s, s) that the reader looks at."""
        return faces

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
        """One step of the reader and the critic, then one of the generator; returns the terms of their losses."""
        settings = self.settings
        size = settings.size // 2 if number < settings.small_steps else settings.size
        faces, known = self.draw(settings.lesson, size)
        lesson = {"lesson": self.reading_loss(self._readings(faces), known)}
        self._descend("reader", lesson)
        self.reader.lessons += 1
        if self.reader.lessons <= settings.lead:
            return _values(lesson)
        real, labels = self.draw(settings.batch, size)
        other = self.targets(labels)
        targets = torch.cat([labels[: settings.kept], other[settings.kept :]])
        given, shown = self._hardened(real, targets)
        with self._precision():
            fake, price = self.make(given, targets)
        critic = self._critic_losses(shown, labels, fake.detach(), targets, other)
        self._descend("critic", critic)
        self._freeze(True)
        with self._precision():
            texture, whole = self.critic(fake, targets)
            back = self.generator(fake, labels)
        generator = price | {
            "fool": -(texture.mean() + whole.mean()) / 2,
            "target": self.target_loss(self._readings(fake.float()), targets),
            "back": settings.reconstruction * F.l1_loss(back.float(), real),
        }
        if kept := settings.kept:
            # Without it, what nobody asked for (the background, the colour of the light) drifts with every edit.
            generator["same"] = settings.reconstruction * F.l1_loss(fake[:kept].float(), real[:kept])
        self._descend("generator", generator)
        self._freeze(False)
        self._average(number)
        return _values(lesson | critic | generator)

    def _hardened(self, real: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What the generator is given and what the critic is shown as real: the real faces, or changed ones."""
        hardening = self.settings.hardening
        if hardening is None:
            return real, real
        self.generator.requires_grad_(False)
        with self._precision():
            given = changed(self.generator, real, targets, hardening, self.sampler.generator)
        self.generator.requires_grad_(True)
        return given, given if hardening.critic else real

    def _critic_losses(self, real: Tensor, labels: Tensor, fake: Tensor, targets: Tensor, other: Tensor) -> Losses:
        """Hinge losses on real faces, on made ones, and on real ones beside ``other`` labels than their own."""
        with self._precision():
            texture, whole = self.critic(torch.cat([real, fake, real]), torch.cat([labels, targets, other]))
        return hinge_losses(texture, whole, len(real))

    def _precision(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.autocast)

    def _readings(self, faces: Tensor) -> Tensor:
        with self._precision():
            readings: Tensor = self.reader(self.part(varied(faces, self.sampler.generator, self.settings.tint)))
        return readings.float()

    def _freeze(self, frozen: bool) -> None:
        """While the generator learns, the others' gradients would cost and be thrown away."""
        self.critic.requires_grad_(not frozen)
        self.reader.requires_grad_(not frozen)

    def begin_with(self, weights: dict[str, Tensor]) -> int:
        """Begin with a trained generator, past the steps at half size; critic and reader begin anew."""
        super().begin_with(weights)
        return min(self.settings.small_steps, self.steps)
