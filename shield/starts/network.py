"""The protector's network: what a search would find for a face, as one forward pass gives it.

A generator of adversarial changes (Poursaeed et al. 2018, "Generative Adversarial Perturbations", arXiv 1712.02328): a
U-Net (Ronneberger et al. 2015, arXiv 1505.04597) that sees the face in portrait framing.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.carriers import GRID

SIZE = 256  # px of the face in portrait framing
WIDTHS = (48, 96, 160, 224)  # channels at 128, 64, 32 and 16 px
FINE = 2  # px of the face that go into one point of the first layer, either way
GROUPS = 8


class Block(nn.Module):
    """(N, C, h, w) to the same shape: what it adds."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.GroupNorm(GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.layers(x)
        return result


class Protector(nn.Module):
    """Faces (N, 3, SIZE, SIZE) in [0, 1], in portrait framing, to a change of the same shape and a flow (N, 2, GRID,
    GRID), both in [-1, 1]: shares of the largest change, and of the furthest that a point may move.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.begin = nn.Conv2d(3 * FINE**2, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Sequential(Block(width), Block(width)) for width in widths)
        self.coarser = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.finer = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.joined = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in widths[:-1])
        self.up = nn.ModuleList(nn.Sequential(Block(width), Block(width)) for width in widths[:-1])
        self.change = nn.Conv2d(widths[0], 3 * FINE**2, 3, padding=1)
        self.flow = nn.Conv2d(widths[-1], 2, 3, padding=1)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        x = self.begin(F.pixel_unshuffle(2 * faces - 1, FINE))
        seen = []
        for number, blocks in enumerate(self.down):
            x = blocks(self.coarser[number - 1](x) if number else x)
            seen.append(x)
        flow = torch.tanh(self.flow(F.adaptive_avg_pool2d(x, GRID)).float())
        for number in reversed(range(len(self.up))):
            wider = F.interpolate(self.finer[number](x), scale_factor=2.0, mode="nearest")
            x = self.up[number](self.joined[number](torch.cat([wider, seen[number]], dim=1)))
        return torch.tanh(F.pixel_shuffle(self.change(x), FINE).float()), flow
