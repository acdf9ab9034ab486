"""What trainings of generators that make faces of nothing share: real faces, a critic, its penalty, sample sheets."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from shield.generators.progan import Equalised, convolution
from shield.training.data import FaceSet

COLUMNS = 8
SLOPE = 0.2
GROUP = 4  # faces whose spread a critic sees together
SHOWN = 7  # the seed of what is shown


class RealFaces:
    """The faces of a set, on a device."""

    def __init__(self, data: FaceSet, device: torch.device, size: int) -> None:
        self.faces, self.device, self.size = data.faces.to(device), device, size

    def draw(self, count: int, random: Generator) -> Tensor:
        """Faces (count, 3, size, size) in [-1, 1] at random, half of them mirrored."""
        rows = torch.randint(len(self.faces), (count,), generator=random)
        return self.of(rows, random)

    def of(self, rows: Tensor, random: Generator) -> Tensor:
        """The faces of these rows, half of them mirrored."""
        mirrored = (torch.rand(len(rows), 1, 1, 1, generator=random) < 0.5).to(self.device, non_blocking=True)
        faces = self.faces[rows.to(self.device, non_blocking=True)].float() / 127.5 - 1
        return F.adaptive_avg_pool2d(torch.where(mirrored, faces.flip(3), faces), self.size)


class Halving(nn.Module):
    """(N, inputs, h, w) to (N, outputs, h / 2, w / 2), beside a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = convolution(inputs, inputs), convolution(inputs, outputs)
        self.short = convolution(inputs, outputs, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.second(F.leaky_relu(self.first(x), SLOPE)), SLOPE)
        result: Tensor = (F.avg_pool2d(y, 2) + self.short(F.avg_pool2d(x, 2))) * 0.5**0.5
        return result


def spread(x: Tensor) -> Tensor:
    """One more channel: how much the faces of a group differ (Karras et al. 2018, arXiv 1710.10196)."""
    group = GROUP if len(x) % GROUP == 0 else 1
    parts = x.float().view(group, -1, *x.shape[1:])
    deviation = (parts.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    channel = deviation.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat([x, channel.to(x.dtype)], dim=1)


class End(nn.Module):
    """A critic's features (N, C, 4, 4), and how much these differ, to scores (N, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = convolution(channels + 1, channels)
        self.first = Equalised(nn.Linear(16 * channels, channels))
        self.last = Equalised(nn.Linear(channels, 1), gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.join(spread(x)), SLOPE).flatten(1)
        scores: Tensor = self.last(F.leaky_relu(self.first(x), SLOPE))
        return scores


class FaceCritic(nn.Module):
    """Faces (N, 3, s, s) in [-1, 1] to scores (N, 1)."""

    def __init__(self, channels: Sequence[int]) -> None:
        """``channels``: at 4 px, 8 px and so on."""
        super().__init__()
        wide = list(reversed(channels))
        self.begin = convolution(3, wide[0], 1)
        self.trunk = nn.Sequential(*(Halving(a, b) for a, b in pairwise(wide)))
        self.end = End(wide[-1])

    def forward(self, faces: Tensor) -> Tensor:
        scores: Tensor = self.end(self.trunk(F.leaky_relu(self.begin(faces), SLOPE)))
        return scores


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """R1: the mean squared gradient of the scores of real faces (Mescheder et al. 2018, arXiv 1801.04406)."""
    leaf = real.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(leaf).sum(), leaf, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


@torch.no_grad()
def tabled(generator: Callable[[Tensor], Tensor], codes: int, rows: int, device: torch.device) -> Tensor:
    """Samples of a generator of codes (N, ``codes``), always the same: (rows, COLUMNS, 3, s, s) in [-1, 1]."""
    drawn = torch.randn(rows * COLUMNS, codes, generator=Generator().manual_seed(SHOWN)).to(device)
    made = generator(drawn).clamp(-1, 1).float().cpu()
    return made.view(rows, COLUMNS, *made.shape[1:])
