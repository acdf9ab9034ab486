"""StyleGAN2's generator (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", 1912.04958).

In the layout of rosinality/stylegan2-pytorch, names included, so that published checkpoints load strictly. A code z
becomes a style w, which scales the channels of every convolution; what comes out is scaled back to variance 1, so that
no layer needs a normalisation that droplets could hide from.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from shield.device import fast_layout
from shield.generators.generator import codes
from shield.generators.layout import Layout, Made, layouts
from shield.surrogates.published import Tensors, dimensions

SIZE, STYLE, DEPTH = 64, 256, 4  # px; numbers of a style; layers of the mapping network
CHANNELS = (256, 256, 256, 128, 64)  # at 4, 8, 16, 32 and 64 px
MAPPING_RATE = 0.01  # the mapping network learns so much slower
FIRST = 4  # px: what it begins with
BLUR = (1.0, 3.0, 3.0, 1.0)
SLOPE, GAIN = 0.2, math.sqrt(2)
TINY = 1e-8


class EqualLinear(nn.Module):
    """A linear layer whose weights are scaled when they are used, so that all of them learn alike."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class Activated(EqualLinear):
    """The same, and a leaky rectifier that keeps the variance."""

    def forward(self, x: Tensor) -> Tensor:
        return GAIN * F.leaky_relu(super().forward(x), SLOPE)


class PixelNorm(nn.Module):
    """Every row (N, D) scaled to a mean square of 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(1, keepdim=True) + TINY).rsqrt()


class Filter(nn.Module):
    """The kernel of what smooths after points were doubled; a buffer, as published files hold it."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor(BLUR)
        self.register_buffer("kernel", 4 * torch.outer(line, line) / line.sum() ** 2)

    def of(self, x: Tensor) -> Tensor:
        """The kernel for every channel of (N, C, h, w)."""
        return self.kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)


class Blur(Filter):
    """(N, C, 2 h + 1, 2 w + 1), every second point of which was empty, to (N, C, 2 h, 2 w)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.of(x), padding=1, groups=x.shape[1])


class Upsample(Filter):
    """(N, C, h, w) to (N, C, 2 h, 2 w)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.of(x), stride=2, padding=1, groups=x.shape[1])


class ModulatedConv(nn.Module):
    """A convolution whose weights a style scales by input channel, and then to length 1 by output channel.

    Scaled is the picture before and after instead, which is the same and needs no convolution per row.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, style: int, demodulated: bool = True, doubled: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, size, size))
        self.modulation = EqualLinear(style, inputs, bias=1.0)
        self.scale, self.size, self.demodulated, self.doubled = inputs**-0.5 / size, size, demodulated, doubled
        if doubled:
            self.blur = Blur()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scales, weight = self.modulation(style), self.scale * self.weight[0]
        x = x * scales[:, :, None, None]
        if self.doubled:
            x = self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        else:
            x = F.conv2d(x, weight, padding=self.size // 2)
        if self.demodulated:
            lengths = scales.float().square() @ weight.float().square().sum((2, 3)).T
            x = x * (lengths + TINY).rsqrt().to(x.dtype)[:, :, None, None]
        return x


class Noise(nn.Module):
    """How much of its noise a layer takes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + self.weight.to(x.dtype) * noise


class Biased(nn.Module):
    """A bias and a leaky rectifier that keeps the variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return GAIN * F.leaky_relu(x + self.bias[:, None, None].to(x.dtype), SLOPE)


class StyledConv(nn.Module):
    """(N, inputs, h, w) and styles (N, D) to (N, outputs, h, w), or twice as large."""

    def __init__(self, inputs: int, outputs: int, style: int, doubled: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style, doubled=doubled)
        self.noise, self.activate = Noise(), Biased(outputs)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        x = self.conv(x, style)
        result: Tensor = self.activate(self.noise(x, noise.to(x.dtype)))
        return result


class ToRGB(nn.Module):
    """Features to what they add to a picture half or as large."""

    def __init__(self, inputs: int, style: int, doubled: bool = True) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, 3, 1, style, demodulated=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if doubled:
            self.upsample = Upsample()

    def forward(self, x: Tensor, style: Tensor, picture: Tensor | None = None) -> Tensor:
        added: Tensor = self.conv(x, style) + self.bias
        return added if picture is None else added + self.upsample(picture)


class Constant(nn.Module):
    """What every picture begins with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))

    def forward(self, count: int) -> Tensor:
        return self.input.expand(count, -1, -1, -1)


class Noises(nn.Module):
    """The noise of every layer, for pictures that are the same every time."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        for layer in range(layers):
            side = 2 ** ((layer + 5) // 2)
            self.register_buffer(f"noise_{layer}", torch.randn(1, 1, side, side))

    def all(self) -> list[Tensor]:
        """In the order of the layers, (1, 1, h, w) each."""
        return list(self.buffers())

    def fresh(self, count: int, random: Generator) -> list[Tensor]:
        """Others, drawn on the device of ``random`` for each of ``count`` pictures, (count, 1, h, w) each."""
        sides = [noise.shape[-1] for noise in self.all()]
        drawn = torch.randn(count, sum(side**2 for side in sides), generator=random, device=random.device)
        parts = drawn.split([side**2 for side in sides], dim=1)
        return [part.view(count, 1, side, side) for part, side in zip(parts, sides, strict=True)]


class StyleGAN2Generator(nn.Module):
    """Codes (N, D) to pictures (N, 3, s, s), about in [-1, 1]; s is 4 times 2 per further entry of ``channels``."""

    def __init__(self, channels: Sequence[int] = CHANNELS, style: int = STYLE, depth: int = DEPTH) -> None:
        super().__init__()
        self.code, self.layers = style, 2 * len(channels)
        mapping = [Activated(style, style, rate=MAPPING_RATE) for _ in range(depth)]
        self.style = nn.Sequential(PixelNorm(), *mapping)
        self.input = Constant(channels[0])
        self.conv1 = StyledConv(channels[0], channels[0], style)
        self.to_rgb1 = ToRGB(channels[0], style, doubled=False)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for narrow, wide in zip(channels[1:], channels, strict=False):
            self.convs += [StyledConv(wide, narrow, style, doubled=True), StyledConv(narrow, narrow, style)]
            self.to_rgbs.append(ToRGB(narrow, style))
        self.noises = Noises(self.layers - 1)

    def styles(self, codes: Tensor) -> Tensor:
        """Codes (N, D) to styles (N, D)."""
        result: Tensor = self.style(codes)
        return result

    def synthesis(self, styles: Tensor, noises: Sequence[Tensor] | None = None) -> Tensor:
        """Styles (N, layers, D) to pictures; with the stored noise, so that they come out the same, or ``noises``."""
        noises = self.noises.all() if noises is None else noises
        x = self.input(len(styles)).contiguous(memory_format=fast_layout(styles.device))
        x = self.conv1(x, styles[:, 0], noises[0])
        picture: Tensor = self.to_rgb1(x, styles[:, 1]).float()
        for number, to_rgb in enumerate(self.to_rgbs):
            first, second = self.convs[2 * number], self.convs[2 * number + 1]
            x = first(x, styles[:, 2 * number + 1], noises[2 * number + 1])
            x = second(x, styles[:, 2 * number + 2], noises[2 * number + 2])
            picture = to_rgb(x, styles[:, 2 * number + 3], picture).float()
        return picture

    def forward(self, codes: Tensor) -> Tensor:
        styles = self.styles(codes)[:, None].expand(-1, self.layers, -1)
        return self.synthesis(styles)


def build(tensors: Tensors) -> Made:
    """The network whose sizes the tensors have. Raises MisfitError."""
    channels = [dimensions(tensors, "conv1.conv.weight", 5)[1]]
    while (key := f"convs.{2 * len(channels) - 2}.conv.weight") in tensors:
        channels.append(dimensions(tensors, key, 5)[1])
    depth = sum(key.startswith("style.") and key.endswith(".weight") for key in tensors)
    style = dimensions(tensors, "style.1.weight", 2)[0]
    return Made(StyleGAN2Generator(channels, style, depth), FIRST * 2 ** (len(channels) - 1), partial(codes, style))


layouts.register("stylegan2")(Layout("StyleGAN2", "MIT; NVIDIA Source Code License-NC where NVIDIA trained it", build))
