"""What trainings on pairs share: a generator that is shown the picture it should have made, beside critics of the pair.

After pix2pixHD (Wang et al. 2018, arXiv 1711.11585) and SPADE (Park et al. 2019, arXiv 1903.07291): patch critics at
several scales, each of which sees a picture beside what was asked for; hinge loss; the critics' features have to match.
LPIPS stands in the place of their VGG loss, and spectral norm in that of the critics' InstanceNorm: what was asked for
may be the same all over a picture.
"""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from shield.device import fast_layout, fast_precision
from shield.lpips import load_lpips
from shield.training.adversarial import BETAS, CriticTraining, Losses
from shield.training.data import FaceSet

TRAINED = ("generator", "critics")
SCALES = 2
HALVINGS = 3  # of a critic: each of its patches then sees 54 px of its scale
SLOPE = 0.2
LOOK = 20  # steps from one reading of the losses to the next: each waits for the device

Judged = list[list[Tensor]]  # per scale the features of every layer, and the scores last


class PairCritics(nn.Module):
    """A patch critic per scale, each at half the size of the one before."""

    def __init__(self, width: int, beside: int, scales: int = SCALES) -> None:
        """``beside``: channels of what a picture is seen beside."""
        super().__init__()
        self.scales = nn.ModuleList(_patches(width, 3 + beside) for _ in range(scales))

    def forward(self, pictures: Tensor, beside: Tensor) -> Judged:
        """Pictures (N, 3, s, s) and what was asked for, (N, C, s, s): features and scores (N, c, h, w)."""
        seen, judged = torch.cat([pictures, beside], dim=1), []
        for scale in self.scales:
            judged.append(_through(scale, seen))
            seen = F.avg_pool2d(seen, 2)
        return judged


def _patches(width: int, inputs: int) -> nn.ModuleList:
    layers, channels = [], inputs
    for layer in range(HALVINGS + 1):
        wider = width * 2 ** min(layer, HALVINGS - 1)
        stride, size = (2, 4) if layer < HALVINGS else (1, 3)
        convolution = spectral_norm(nn.Conv2d(channels, wider, size, stride, padding=1))
        layers.append(nn.Sequential(convolution, nn.LeakyReLU(SLOPE)))
        channels = wider
    return nn.ModuleList([*layers, nn.Conv2d(channels, 1, 3, padding=1)])


def _through(layers: nn.Module, seen: Tensor) -> list[Tensor]:
    found = []
    for layer in layers.children():
        seen = layer(seen)
        found.append(seen)
    return found


def taught(judged: Judged, count: int) -> Tensor:
    """The critics' hinge loss, of what they say to ``count`` real pictures and then to as many made ones."""
    scores = [scale[-1].float() for scale in judged]
    return torch.stack([(F.relu(1 - s[:count]).mean() + F.relu(1 + s[count:]).mean()) / 2 for s in scores]).mean()


def fooled(judged: Judged) -> Tensor:
    """What a generator pays for what the critics say to its pictures."""
    return -torch.stack([scale[-1].float().mean() for scale in judged]).mean()


def unmatched(judged: Judged, real: Judged) -> Tensor:
    """How far the critics' features of made pictures are from those of the real ones, in shares of their size."""
    pairs = [
        pair for made, wanted in zip(judged, real, strict=True) for pair in zip(made[:-1], wanted[:-1], strict=True)
    ]
    shares = [(a.float() - b.float()).abs().mean() / b.float().abs().mean().clamp(min=1e-3) for a, b in pairs]
    return torch.stack(shares).mean()


@dataclass(frozen=True)
class PairRecipe:
    """What every recipe of this kind decides."""

    batch: int = 32
    steps: int = 6_000
    learning_rate: float = 3e-4
    averaging: float = 0.998
    critic_width: int = 48
    fool: float = 0.5
    features: float = 3.0  # of the critics
    pixels: float = 10.0
    perceptual: float = 4.0  # LPIPS
    seed: int = 0


class Pairs(NamedTuple):
    """What a step learns from, all on the device.

    ``photos``: (N, 3, s, s) in [-1, 1]. ``asked``: whatever the generator takes beside them. ``beside``: what the
    critics see beside a picture, (N, C, s, s). ``wanted``: the pictures to be made, (N, 3, s, s).
    """

    photos: Tensor
    asked: Tensor
    beside: Tensor
    wanted: Tensor


class PairTraining(CriticTraining, ABC):
    """A generator and its critics. Subclasses draw the pairs and say how a picture is made."""

    def __init__(
        self, recipe: PairRecipe, data: FaceSet, device: torch.device, generator: nn.Module, beside: int
    ) -> None:
        """``generator``: made after ``torch.manual_seed(recipe.seed)``; ``beside``: channels of ``Pairs.beside``."""
        self.settings, self.device, self.steps = recipe, device, recipe.steps
        self.random, self.averaging = torch.Generator().manual_seed(recipe.seed), recipe.averaging
        self.faces, self.lpips = data.faces.to(device), load_lpips(device)
        layout = fast_layout(device)
        self.generator = generator.to(device).to(memory_format=layout)
        self.critics = PairCritics(recipe.critic_width, beside).to(device).to(memory_format=layout)
        self.average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.rates = dict.fromkeys(TRAINED, recipe.learning_rate)
        self.optimisers = {
            name: torch.optim.Adam(getattr(self, name).parameters(), rate, BETAS, fused=True)
            for name, rate in self.rates.items()
        }
        self._told: dict[str, float] = {}

    @abstractmethod
    def draw(self) -> Pairs:
        """The next batch."""

    @abstractmethod
    def make(self, pairs: Pairs) -> tuple[Tensor, Losses]:
        """The generator's pictures (N, 3, s, s), and what it pays for the way it makes them."""

    def price(self, pairs: Pairs, made: Tensor) -> Losses:
        """What a generator pays beside what all pay."""
        return {}

    def rows(self) -> Tensor:
        """Rows of the faces for a batch, (N,)."""
        return torch.randint(len(self.faces), (self.settings.batch,), generator=self.random)

    def sent(self, drawn: Tensor) -> Tensor:
        """What was drawn on the processor, on the device, which nobody waits for."""
        return drawn.to(self.device, non_blocking=True)

    def mirrored(self) -> Tensor:
        """Which of a batch are mirrored: bool (N,) on the device."""
        return self.sent(torch.rand(self.settings.batch, generator=self.random) < 0.5)

    def photos(self, rows: Tensor, mirrored: Tensor) -> Tensor:
        """These faces (N, 3, s, s) in [-1, 1]."""
        faces = self.faces[self.sent(rows)].float() / 127.5 - 1
        # Picked by a mask, faces would have to be counted, and the device waited for.
        return torch.where(mirrored[:, None, None, None], faces.flip(3), faces)

    def step(self, number: int) -> dict[str, float]:
        """One step of the critics, then one of the generator; returns the terms of their losses as last read."""
        pairs = self.draw()
        with fast_precision(self.device):
            made, price = self.make(pairs)
        made = made.float()
        count = len(made)
        with fast_precision(self.device):
            judged = self.critics(torch.cat([pairs.wanted, made.detach()]), pairs.beside.repeat(2, 1, 1, 1))
        lesson = {"critics": taught(judged, count)}
        self._descend("critics", lesson)
        real = [[features[:count].detach() for features in scale] for scale in judged]
        self.critics.requires_grad_(False)
        price |= self._shared(pairs, made, real) | self.price(pairs, made)
        self._descend("generator", price)
        self.critics.requires_grad_(True)
        self._average(number)
        if number % LOOK == 0 or not self._told:
            self._told = {name: float(loss.detach()) for name, loss in (lesson | price).items()}
        return self._told

    def _shared(self, pairs: Pairs, made: Tensor, real: Judged) -> Losses:
        settings = self.settings
        with fast_precision(self.device):
            judged = self.critics(made, pairs.beside)
            unlike = self.lpips(made / 2 + 0.5, pairs.wanted / 2 + 0.5)
        return {
            "fool": settings.fool * fooled(judged),
            "features": settings.features * unmatched(judged, real),
            "pixels": settings.pixels * F.l1_loss(made, pairs.wanted),
            "seen": settings.perceptual * unlike.float().mean(),
        }
