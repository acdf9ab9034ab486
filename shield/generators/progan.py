"""ProGAN's generator (Karras et al. 2018, "Progressive Growing of GANs", arXiv 1710.10196).

In the layout of facebookresearch/pytorch_GAN_zoo, names included. It grows: pictures of 4 px come first, then every
level doubles them and is faded in. Published networks scale a layer's bias as well, by sqrt(2 / n), n being the numbers
that each of its outputs sums, and give ``toRGBLayers`` a gain of sqrt(2): of a published file, every bias has to be
multiplied by its sqrt(2 / n), and the weights of ``toRGBLayers`` by sqrt(2).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CODE = 256
CHANNELS = (256, 256, 256, 128, 64)  # at 4, 8, 16, 32 and 64 px
SLOPE, TINY = 0.2, 1e-8


class Equalised(nn.Module):
    """A layer whose weights are scaled when they are used, so that all of them learn alike."""

    def __init__(self, module: nn.Conv2d | nn.Linear, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        nn.init.normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
        self.module, self.scale = module, gain / math.sqrt(module.weight[0].numel())

    def forward(self, x: Tensor) -> Tensor:
        bias = self.module.bias
        if isinstance(self.module, nn.Linear):
            return F.linear(x, self.module.weight * self.scale, bias)
        return F.conv2d(x, self.module.weight * self.scale, bias, padding=self.module.padding)


def convolution(inputs: int, outputs: int, size: int = 3, gain: float = math.sqrt(2)) -> Equalised:
    """From (N, inputs, h, w) to (N, outputs, h, w)."""
    return Equalised(nn.Conv2d(inputs, outputs, size, padding=size // 2), gain)


def normalised(x: Tensor) -> Tensor:
    """Every point's (or row's) numbers scaled to a mean square of 1."""
    return x * (x.square().mean(1, keepdim=True) + TINY).rsqrt().to(x.dtype)


class ProGANGenerator(nn.Module):
    """Codes (N, D) to pictures (N, 3, s, s), about in [-1, 1]; s is 4 times 2 per further entry of ``channels``."""

    def __init__(self, channels: Sequence[int] = CHANNELS, code: int = CODE) -> None:
        super().__init__()
        self.code, self.first = code, channels[0]
        self.formatLayer = Equalised(nn.Linear(code, 16 * channels[0]))
        self.groupScale0 = nn.ModuleList([convolution(channels[0], channels[0])])
        self.scaleLayers = nn.ModuleList(
            nn.Sequential(convolution(wide, narrow), convolution(narrow, narrow)) for wide, narrow in pairwise(channels)
        )
        self.toRGBLayers = nn.ModuleList(convolution(width, 3, 1, gain=1.0) for width in channels)

    @property
    def levels(self) -> int:
        """How often it doubles pictures of 4 px."""
        return len(self.scaleLayers)

    def forward(self, codes: Tensor, level: int | None = None, alpha: float = 1.0) -> Tensor:
        """``level``: how often pictures of 4 px are doubled (None: to the end); ``alpha``: how much of its own the last
        doubling shows, 0 to 1."""
        level = self.levels if level is None else level
        x = self.formatLayer(normalised(codes)).view(-1, self.first, 4, 4)
        x = normalised(F.leaky_relu(x, SLOPE))
        for layer in self.groupScale0:
            x = normalised(F.leaky_relu(layer(x), SLOPE))
        coarser = x
        for number in range(level):
            coarser, x = x, F.interpolate(x, scale_factor=2.0)
            for layer in self.scaleLayers[number].children():
                x = normalised(F.leaky_relu(layer(x), SLOPE))
        picture: Tensor = self.toRGBLayers[level](x).float()
        if level and alpha < 1:
            before = F.interpolate(self.toRGBLayers[level - 1](coarser).float(), scale_factor=2.0)
            picture = torch.lerp(before, picture, alpha)
        return picture
