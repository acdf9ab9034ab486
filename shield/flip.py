"""FLIP: how different two pictures look to somebody who flips between them.

Andersson et al. 2020, "FLIP: A Difference Evaluator for Alternating Images" (HPG 2020): colours as the eye's own
filters leave them at a distance, and what happens to edges and points. Differentiable, so that a search can pay for
what is seen: LPIPS hardly minds the smooth changes of skin that age a face by years.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from shield.separable import Kernel, separable

PIXELS_PER_DEGREE = 3840 * math.pi / 180  # the authors' own: 67, of a monitor as wide as it is far, with 3840 px
# Contrast sensitivity of the eye per opponent channel: a1, b1, a2, b2 of two Gaussians, in degrees.
SENSITIVITY = ((1.0, 0.0047, 0.0, 1e-5), (1.0, 0.0053, 0.0, 1e-5), (34.1, 0.04, 13.5, 0.025))
COLOUR_POWER = 0.7
KNEE, AT_KNEE = 0.4, 0.95  # of the largest difference; differences up to the knee take this much of the range
FEATURE_WIDTH, FEATURE_POWER = 0.082, 0.5  # degrees
# sRGB's primaries to XYZ, D65.
XYZ = (
    (10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794),
    (2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897),
    (1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382),
)
TINY = 1e-12


def flip(one: Tensor, other: Tensor, pixels_per_degree: float = PIXELS_PER_DEGREE) -> Tensor:
    """The difference at every pixel of two pictures (N, 3, H, W) in [0, 1]: (N, H, W) in [0, 1]."""
    seen, shown = opponents(one), opponents(other)
    colour = spread(hyab(filtered(seen, pixels_per_degree), filtered(shown, pixels_per_degree)))
    return colour ** (1 - _feature_difference(seen, shown, pixels_per_degree))


def perceived(image: Tensor, pixels_per_degree: float = PIXELS_PER_DEGREE) -> Tensor:
    """A picture (N, 3, H, W) in [0, 1] as FLIP's eye sees its colours: filtered, in Hunt-adjusted Lab."""
    return filtered(opponents(image), pixels_per_degree)


def hyab(one: Tensor, other: Tensor) -> Tensor:
    """The HyAB distance of colours (N, 3, H, W) in Lab: city block between lightness and chroma, (N, H, W)."""
    change = one - other
    return change[:, 0].abs() + (change[:, 1:].square().sum(1) + TINY).sqrt()


def spread(distances: Tensor) -> Tensor:
    """HyAB distances as FLIP's range [0, 1] holds them: small ones take most of it."""
    raised, largest = distances.clamp(min=TINY) ** COLOUR_POWER, _largest()
    knee = KNEE * largest
    above = AT_KNEE + (raised - knee) / (largest - knee) * (1 - AT_KNEE)
    return torch.where(raised < knee, AT_KNEE / knee * raised, above)


def opponents(image: Tensor) -> Tensor:
    """sRGB (N, 3, H, W) in [0, 1] to the opponent channels YCxCz: lightness, red-green, blue-yellow."""
    x, y, z = _mixed(_xyz(image), _linear(image)).div(_white(image)).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def filtered(channels: Tensor, pixels_per_degree: float) -> Tensor:
    """YCxCz as the eye resolves it, in Hunt-adjusted Lab (N, 3, H, W)."""
    parts = zip(channels.split(1, 1), _sensitivity(pixels_per_degree), strict=True)
    seen = [torch.stack([separable(part, down, right) for down, right in own]).sum(0) for part, own in parts]
    y, red, blue = torch.cat(seen, dim=1).unbind(1)
    y = (y + 16) / 116
    ratios = torch.stack([y + red / 500, y, y - blue / 200], dim=1)
    linear = _mixed(torch.linalg.inv(_xyz(ratios)), ratios * _white(ratios)).clamp(0, 1)
    return _hunt(_lab(linear))


@lru_cache(maxsize=8)
def _sensitivity(pixels_per_degree: float) -> list[list[tuple[Kernel, Kernel]]]:
    """Per channel the separable Gaussians whose sum it is filtered by."""
    widest = max(b for _, b1, _, b2 in SENSITIVITY for b in (b1, b2))
    radius = math.ceil(3 * math.sqrt(widest / (2 * math.pi**2)) * pixels_per_degree)
    degrees = torch.arange(-radius, radius + 1, dtype=torch.float64) / pixels_per_degree
    kernels = []
    for a1, b1, a2, b2 in SENSITIVITY:
        curves = [
            (a * math.sqrt(math.pi / b), torch.exp(-((math.pi * degrees) ** 2) / b)) for a, b in ((a1, b1), (a2, b2))
        ]
        total = sum(weight * float(curve.sum()) ** 2 for weight, curve in curves)
        parts = [(weight / total * curve, curve) for weight, curve in curves if weight]
        kernels.append([(_kernel(down), _kernel(right)) for down, right in parts])
    return kernels


def _kernel(curve: Tensor) -> Kernel:
    return tuple(curve.tolist())


def _feature_difference(one: Tensor, other: Tensor, pixels_per_degree: float) -> Tensor:
    """How much edges and points differ, (N, H, W) in [0, 1], of pictures in YCxCz."""
    edges, points = zip(
        *(_features((image[:, :1] + 16) / 116, pixels_per_degree) for image in (one, other)), strict=True
    )
    changes = [(after - before).abs() for before, after in (edges, points)]
    return (torch.maximum(*changes)[:, 0] / math.sqrt(2)).clamp(min=TINY) ** FEATURE_POWER


def _features(lightness: Tensor, pixels_per_degree: float) -> tuple[Tensor, Tensor]:
    """How strong an edge and a point is at every pixel of (N, 1, H, W)."""
    deviation = 0.5 * FEATURE_WIDTH * pixels_per_degree
    radius = math.ceil(3 * deviation)
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    curve = torch.exp(-(x**2) / (2 * deviation**2))
    strengths = []
    for across in (-x * curve, (x**2 / deviation**2 - 1) * curve):
        # Positive and negative weights of the whole filter add up to one each.
        halves = [part * float(curve.sum()) for part in (across.clamp(min=0).sum(), -across.clamp(max=0).sum())]
        across = torch.where(across < 0, across / halves[1], across / halves[0])
        plain, changing = _kernel(curve), _kernel(across)
        one, other = separable(lightness, plain, changing), separable(lightness, changing, plain)
        strengths.append((one.square() + other.square() + TINY**2).sqrt())
    return strengths[0], strengths[1]


def _linear(image: Tensor) -> Tensor:
    return torch.where(image > 0.04045, ((image.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, image / 12.92)


def _lab(linear: Tensor) -> Tensor:
    ratios, delta = _mixed(_xyz(linear), linear) / _white(linear), 6 / 29
    curve = torch.where(ratios > delta**3, ratios.clamp(min=delta**3) ** (1 / 3), ratios / (3 * delta**2) + 4 / 29)
    x, y, z = curve.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def _hunt(lab: Tensor) -> Tensor:
    """Colours are seen stronger in the light (the Hunt effect)."""
    lightness, a, b = lab.unbind(1)
    return torch.stack([lightness, 0.01 * lightness * a, 0.01 * lightness * b], dim=1)


def _mixed(matrix: Tensor, image: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix, image)


def _xyz(like: Tensor) -> Tensor:
    return torch.tensor(XYZ).to(like)


def _white(like: Tensor) -> Tensor:
    return _xyz(like).sum(1)[:, None, None]


@lru_cache(maxsize=1)
def _largest() -> float:
    """The largest difference of all: between pure green and pure blue."""
    green, blue = (torch.tensor(colour)[None, :, None, None] for colour in ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    largest: float = float(hyab(_hunt(_lab(green)), _hunt(_lab(blue)))) ** COLOUR_POWER
    return largest
