"""What happens to pictures before anybody judges them: other frames and sizes, other light, blur, lossy files.

The detector's augmentation, after Wang et al. 2020 (arXiv 1912.11035): blur of sigma 0 to 3, JPEG or WebP of quality 30
to 100; more pictures go through a codec than are blurred, as most of the web's did. A real face and what a generator
made of it share one history, codec and all, so that a file's history says nothing of which is which.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from kornia.filters import gaussian_blur2d
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from shield.channels import Pixels
from shield.channels.jpeg import jpeg
from shield.channels.webp import webp

OFTEN, SOMETIMES, SELDOM = 0.7, 0.3, 0.2  # how many of the pictures a step of a history changes
SHIFT, ZOOM, TURN = 0.05, 0.12, 6.0  # of a frame: share of the side, share, degrees; at most, either way
SMALLEST = 0.5  # of the side: the least size that a picture had in between
LIGHT, TINT = 0.2, 0.08  # of the range
BLUR = 3.0  # px: sigma at most
QUALITIES = (30, 100)
LEVELS = 12.0  # of the pattern that a protected photo may carry, at most
FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)

Draw = Callable[[float, float], float]


def with_history(pictures: Tensor, random: Generator, share: float = 1.0) -> Tensor:
    """Pictures (V, 3, s, s) in [0, 1], all with one random history: the same, (V, 3, s, s).

    ``share``: of the usual number of things that happen.
    """

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=random))

    def happens(often: float) -> bool:
        return draw(0, 1) < share * often

    if draw(0, 1) < 0.5:
        pictures = pictures.flip(3)
    if happens(SELDOM):
        pictures = pictures + _pattern(pictures.shape[-1], draw, random)
    if happens(SOMETIMES):
        pictures = _reframed(pictures, draw)
    if happens(SOMETIMES):
        light = torch.tensor([draw(-TINT, TINT) for _ in range(3)])[:, None, None] + draw(-LIGHT, LIGHT)
        pictures = pictures * (1 + draw(-LIGHT, LIGHT)) + light
    pictures = pictures.clamp(0, 1)
    if happens(SOMETIMES):
        pictures = _each(pictures, _resizing(pictures.shape[-1], draw))
    if happens(SOMETIMES):
        pictures = _blurred(pictures, draw(0, BLUR))
    if happens(OFTEN):
        quality, codec = round(draw(*QUALITIES)), webp if draw(0, 1) < SELDOM else jpeg
        pictures = _each(pictures, lambda pixels: codec(pixels, quality))
    return pictures


def _pattern(side: int, draw: Draw, random: Generator) -> Tensor:
    """Signed noise of a few levels, fine or coarse, (1, 3, side, side): what protecting a photo looks like."""
    grain = max(2, round(side / 2 ** draw(0, 4)))
    noise = torch.randn(1, 3, grain, grain, generator=random)
    noise = F.interpolate(noise, size=(side, side), mode="bicubic", align_corners=False)
    return torch.tanh(2 * noise) * draw(1, LEVELS) / 255


def _reframed(pictures: Tensor, draw: Draw) -> Tensor:
    turn, zoom = math.radians(draw(-TURN, TURN)), 1 + draw(-ZOOM, ZOOM)
    cosine, sine = zoom * math.cos(turn), zoom * math.sin(turn)
    right, down = (2 * draw(-SHIFT, SHIFT) for _ in range(2))
    matrix = torch.tensor([[cosine, -sine, right], [sine, cosine, down]]).expand(len(pictures), -1, -1)
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)


def _resizing(side: int, draw: Draw) -> Callable[[Pixels], Pixels]:
    small = round(side * draw(SMALLEST, 1))
    down, up = (FILTERS[int(draw(0, len(FILTERS)))] for _ in range(2))

    def resize(pixels: Pixels) -> Pixels:
        return np.asarray(Image.fromarray(pixels).resize((small, small), down).resize((side, side), up))

    return resize


def _blurred(pictures: Tensor, sigma: float) -> Tensor:
    size = 2 * max(1, round(3 * sigma)) + 1
    blurred: Tensor = gaussian_blur2d(pictures, (size, size), (max(sigma, 1e-3),) * 2, border_type="reflect")
    return blurred


def _each(pictures: Tensor, change: Callable[[Pixels], Pixels]) -> Tensor:
    """Every picture changed as levels of 8 bits."""
    levels = (255 * pictures).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    changed = np.stack([change(pixels) for pixels in levels])
    return torch.from_numpy(changed).permute(0, 3, 1, 2).float() / 255
