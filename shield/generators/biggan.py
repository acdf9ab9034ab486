"""BigGAN's generator (Brock et al. 2019, "Large Scale GAN Training", arXiv 1809.11096): faces by hair, sex and age.

In the layout of ajbrock/BigGAN-PyTorch, names included. Published files hold beside each weight W, under spectral norm,
``u0`` (1, outputs) and ``sv0``. With W as a matrix of ``outputs`` rows and v = u0 W / |u0 W|, the weight that counts is
W / |W v|; ``sv0`` is what |W v| was a step before, and no network reads it.
"""

from collections.abc import Collection, Sequence
from functools import partial
from itertools import pairwise, product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.generators.generator import Inputs, Seeded, generators, shipped
from shield.generators.layout import Layout, Made, layouts
from shield.surrogates.published import MisfitError, Tensors, dimensions

NAME = "biggan"  # of the generator and its model
HAIR, SEXES, AGES = ("black", "blond", "brown"), ("female", "male"), ("old", "young")
CLASSES = tuple(f"{hair} hair, {sex}, {age}" for hair, sex, age in product(HAIR, SEXES, AGES))
WIDTH, SHARED = 28, 64  # channels of the last block's half; numbers of a class
FACTORS = (16, 16, 8, 4, 2)  # of 64 px
ATTENTION = 2  # at 32 px
SLOTS = 20  # numbers of the code for each block, and for the start
FIRST = 4  # px
EPSILON, MOMENTUM = 1e-5, 0.1


class Statistics(nn.Module):
    """Batch normalisation without scale; the statistics of training are stored for later."""

    stored_mean: Tensor
    stored_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("stored_mean", torch.zeros(channels))
        self.register_buffer("stored_var", torch.ones(channels))

    def normalised(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same shape."""
        return F.batch_norm(
            x, self.stored_mean, self.stored_var, training=self.training, momentum=MOMENTUM, eps=EPSILON
        )


class ClassNorm(Statistics):
    """Batch normalisation, scaled and shifted as the class and the code say."""

    def __init__(self, channels: int, inputs: int) -> None:
        super().__init__(channels)
        self.gain, self.bias = nn.Linear(inputs, channels, bias=False), nn.Linear(inputs, channels, bias=False)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        gain, bias = self.gain(told)[:, :, None, None], self.bias(told)[:, :, None, None]
        result: Tensor = self.normalised(x) * (1 + gain) + bias
        return result


class Norm(Statistics):
    """Batch normalisation with a scale and a shift of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gain, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.normalised(x) * self.gain[:, None, None] + self.bias[:, None, None]


class Block(nn.Module):
    """(N, inputs, h, w) to (N, outputs, 2 h, 2 w), by what it is told (N, T)."""

    def __init__(self, inputs: int, outputs: int, told: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_sc = nn.Conv2d(inputs, outputs, 1)
        self.bn1, self.bn2 = ClassNorm(inputs, told), ClassNorm(outputs, told)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        y = F.interpolate(F.relu(self.bn1(x, told)), scale_factor=2.0)
        y = self.conv2(F.relu(self.bn2(self.conv1(y), told)))
        result: Tensor = y + self.conv_sc(F.interpolate(x, scale_factor=2.0))
        return result


class Attention(nn.Module):
    """Every point sees all others (Zhang et al. 2019, arXiv 1805.08318); (N, C, h, w) to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.phi = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.g = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.o = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        asked = self.theta(x).flatten(2)  # (N, C / 8, h w)
        keys, values = (F.max_pool2d(layer(x), 2).flatten(2) for layer in (self.phi, self.g))
        weights = torch.softmax((asked.transpose(1, 2) @ keys).float(), dim=2).to(values.dtype)
        found = (values @ weights.transpose(1, 2)).view(len(x), -1, *x.shape[2:])
        result: Tensor = x + self.gamma * self.o(found)
        return result


class BigGANGenerator(nn.Module):
    """Codes (N, ``code``) and classes (N,) to pictures (N, 3, s, s) in [-1, 1]; s is 4 times 2 per further factor.

    ``factors``: channels before the first block and after each, in widths. ``attention``: the blocks after which every
    point sees all others.
    """

    def __init__(
        self,
        width: int = WIDTH,
        classes: int = len(CLASSES),
        shared: int = SHARED,
        slots: int = SLOTS,
        factors: Sequence[int] = FACTORS,
        attention: Collection[int] = (ATTENTION,),
    ) -> None:
        super().__init__()
        channels = [factor * width for factor in factors]
        self.slots, self.first, self.code, self.classes = slots, channels[0], slots * len(factors), classes
        self.shared = nn.Embedding(classes, shared)
        self.linear = nn.Linear(slots, channels[0] * FIRST**2)
        blocks: list[nn.ModuleList] = []
        for number, (wide, narrow) in enumerate(pairwise(channels)):
            parts: list[nn.Module] = [Block(wide, narrow, shared + slots)]
            blocks.append(nn.ModuleList(parts + [Attention(narrow)] * (number in attention)))
        self.blocks = nn.ModuleList(blocks)
        last = nn.Conv2d(channels[-1], 3, 3, padding=1)
        self.output_layer = nn.Sequential(Norm(channels[-1]), nn.ReLU(), last)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear, nn.Embedding)):
                nn.init.orthogonal_(layer.weight)

    def forward(self, codes: Tensor, classes: Tensor) -> Tensor:
        told = self.shared(classes)
        begin, *slots = codes.split(self.slots, dim=1)
        x = self.linear(begin).view(-1, self.first, FIRST, FIRST)
        for parts, slot in zip(self.blocks, slots, strict=True):
            block, *attention = parts.children()
            x = block(x, torch.cat([told, slot], dim=1))
            for layer in attention:
                x = layer(x)
        return torch.tanh(self.output_layer(x).float())


def drawn(size: int, classes: int, count: int, random: torch.Generator) -> Inputs:
    """Codes (``count``, ``size``) and classes (``count``,), each as likely."""
    return torch.randn(count, size, generator=random), torch.randint(classes, (count,), generator=random)


def build(tensors: Tensors) -> Made:
    """The network whose sizes the tensors have. Raises MisfitError."""
    outputs, slots = dimensions(tensors, "linear.weight", 2)
    channels, attention = [outputs // FIRST**2], list[int]()
    while (key := f"blocks.{len(channels) - 1}.0.conv1.weight") in tensors:
        if f"blocks.{len(channels) - 1}.1.theta.weight" in tensors:
            attention.append(len(channels) - 1)
        channels.append(dimensions(tensors, key)[0])
    if outputs % FIRST**2 or min(channels) < 8:
        raise MisfitError(f"it begins with {outputs} numbers and narrows to {min(channels)} channels")
    classes, shared = dimensions(tensors, "shared.weight", 2)
    network = BigGANGenerator(1, classes, shared, slots, channels, attention)
    return Made(network, FIRST * 2 ** (len(channels) - 1), partial(drawn, network.code, classes))


def renewed(tensors: Tensors) -> dict[str, Tensor]:
    """A published file's tensors with the weights that count, which lie there under spectral norm."""
    result = {key: value for key, value in tensors.items() if not key.endswith((".u0", ".sv0"))}
    for key in tensors:
        weight = f"{key.removesuffix('.u0')}.weight"
        if key.endswith(".u0") and weight in tensors:
            rows = tensors[weight].float().flatten(1)
            direction = F.normalize(tensors[key].float() @ rows, dim=1)
            result[weight] = tensors[weight].float() / (rows @ direction.T).norm()
    return result


layouts.register(NAME)(Layout("BigGAN", "MIT", build, renewed))


@generators.register(NAME)
def biggan(device: torch.device) -> Seeded:
    """The BigGAN of models/."""
    return shipped(NAME, BigGANGenerator, "BigGAN", partial(drawn, SLOTS * len(FACTORS), len(CLASSES)), device)
