"""ProGAN's generator (Karras et al. 2018, "Progressive Growing of GANs", arXiv 1710.10196).

In the layout of facebookresearch/pytorch_GAN_zoo, names included. It grows: pictures of 4 px come first, then every
level doubles them and is faded in. Published networks scale a layer's bias as well, by sqrt(2 / n), n being the numbers
that each of its outputs sums, and give ``toRGBLayers`` a gain of sqrt(2): of a published file, every bias has to be
multiplied by its sqrt(2 / n), and the weights of ``toRGBLayers`` by sqrt(2).
"""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.generators.generator import codes
from shield.generators.layout import Layout, Made, layouts
from shield.surrogates.published import Tensors, dimensions

FIRST = 4  # px: what it begins with
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


def build(tensors: Tensors) -> Made:
    """The network whose sizes the tensors have. Raises MisfitError."""
    channels = [dimensions(tensors, "groupScale0.0.module.weight")[0]]
    while (key := f"scaleLayers.{len(channels) - 1}.0.module.weight") in tensors:
        channels.append(dimensions(tensors, key)[0])
    code = dimensions(tensors, "formatLayer.module.weight", 2)[1]
    return Made(ProGANGenerator(channels, code), FIRST * 2 ** (len(channels) - 1), partial(codes, code))


def renewed(tensors: Tensors) -> dict[str, Tensor]:
    """A published file's tensors for this network, which scales no bias and gives ``toRGBLayers`` no gain.

    A layer's own "module" is lost where checkpoints are unwrapped, for DataParallel calls its wrapping so as well.
    """
    result = dict[str, Tensor]()
    for key, value in tensors.items():
        layer, _, kind = key.rpartition(".")
        gain = math.sqrt(2) if key.startswith("toRGBLayers.") else 1.0
        if kind == "bias" and f"{layer}.weight" in tensors:
            gain = math.sqrt(2 / tensors[f"{layer}.weight"][0].numel())
        result[f"{layer.removesuffix('.module')}.module.{kind}"] = gain * value.float()
    return result


layouts.register("progan")(Layout("ProGAN", "BSD 3-Clause", build, renewed))
