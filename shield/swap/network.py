"""The network of a face swap: a target's face, repainted as the person of an embedding.

In the manner of Chen et al. 2020, "SimSwap" (arXiv 2106.06340), and Li et al. 2019, "FaceShifter" (arXiv 1912.13457):
an encoder and a decoder, and between them blocks whose features are normalised and then scaled and shifted by the
identity (Huang and Belongie 2017, "AdaIN", arXiv 1703.06868). What is painted is blended with the target by a mask
that the network makes too, so that hair and background stay sharp.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.faces.templates import templates
from shield.surrogates.generator import blended
from shield.weights import load_network

SWAP = "swap"
SIZE = 128
TEMPLATE = templates["arcface_128"]  # the frame that inswapper, which most tools run, takes a target's face in
IDENTITY = 128  # numbers of SFace's embeddings
WIDTHS = (48, 96, 192, 320)  # channels at each halving of the size
BLOCKS = 5  # where the picture is smallest
# Where a face is in its frame: always painted in the inner part of this ellipse, and less surely towards its edge.
CENTRE, HALVES, INNER = (0.5, 0.53), (0.38, 0.47), 0.6


class AdaIN(nn.Module):
    """Features (N, C, H, W), normalised, scaled and shifted as identities (N, 128) say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.style = nn.Linear(IDENTITY, 2 * channels)

    def forward(self, x: Tensor, identities: Tensor) -> Tensor:
        # Embeddings of length 1 have small numbers; layers are initialised for those of size 1.
        scale, shift = self.style(IDENTITY**0.5 * identities)[:, :, None, None].chunk(2, dim=1)
        directed: Tensor = F.instance_norm(x) * (1 + scale) + shift
        return directed


class IdentityBlock(nn.Module):
    """A residual block that the identity directs: (N, C, H, W) and (N, 128) to (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1, self.norm2 = AdaIN(channels), AdaIN(channels)

    def forward(self, x: Tensor, identities: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x), identities))
        result: Tensor = x + self.norm2(self.conv2(y), identities)
        return result


def _convolved(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1))


def _larger(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def face_core(size: int = SIZE) -> Tensor:
    """How surely a place of the frame is the face's, (1, 1, size, size): 1 in the inner part, 0 outside the ellipse."""
    steps = (torch.arange(size) + 0.5) / size
    y, x = (steps[:, None] - CENTRE[1]) / HALVES[1], (steps - CENTRE[0]) / HALVES[0]
    return ((1 - (x**2 + y**2).sqrt()) / (1 - INNER)).clamp(0, 1)[None, None]


class SwapNet(nn.Module):
    """Targets (N, 3, 128, 128) in [-1, 1], framed by ``TEMPLATE``, with the faces of other people, in [-1, 1].

    The people are given by SFace's embeddings (N, 128), of length 1. ``parts`` gives what is blended.
    """

    core: Tensor

    def __init__(self, widths: tuple[int, ...] = WIDTHS, blocks: int = BLOCKS) -> None:
        super().__init__()
        full, half, quarter, least = widths
        self.stem = _convolved(3, full, 7)
        self.down = nn.ModuleList(_convolved(a, b, 4, 2) for a, b in ((full, half), (half, quarter), (quarter, least)))
        self.blocks = nn.ModuleList(IdentityBlock(least) for _ in range(blocks))
        # What the target does (its expression, where it looks) needs more pixels than who it is.
        self.merge = _convolved(least + quarter, quarter)
        self.at_quarter, self.at_half, self.at_full = (IdentityBlock(width) for width in (quarter, half, full))
        self.up = nn.ModuleList(_convolved(a, b) for a, b in ((quarter, half), (half, full)))
        self.out = nn.Conv2d(full, 4, 7, padding=3)
        self.register_buffer("core", face_core(), persistent=False)

    def parts(self, targets: Tensor, identities: Tensor) -> tuple[Tensor, Tensor]:
        """The painted faces (N, 3, 128, 128) in [-1, 1], and how much of the targets stays, (N, 1, 128, 128)."""
        half = self.down[0](self.stem(targets))
        quarter = self.down[1](half)
        x = self.down[2](quarter)
        for block in self.blocks:
            x = block(x, identities)
        x = self.at_quarter(self.merge(torch.cat([_larger(x), quarter], dim=1)), identities)
        x = self.at_half(self.up[0](_larger(x)), identities)
        x = self.at_full(self.up[1](_larger(x)), identities)
        made = self.out(x).float()  # in half precision a sigmoid is soon exactly 1, and has no slope there
        # Free to copy the face, a network copies it for good before it has learnt to paint another.
        return made[:, :3].tanh(), (1 - self.core) * made[:, 3:].sigmoid()

    def forward(self, targets: Tensor, identities: Tensor) -> Tensor:
        return blended(targets, *self.parts(targets, identities))


@lru_cache(maxsize=2)
def load_swap(device: torch.device) -> SwapNet:
    """The swap network on a device, loaded once. Raises WeightsError where its file is missing or altered."""
    return load_network(SwapNet, SWAP, "the swap network").to(device)
