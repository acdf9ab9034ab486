"""Controls: what saving alone does, and what any noise of the same visibility would do."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield.bounds import FaceLpips
from shield.lpips import load_lpips
from shield.photo import FORMATS, JPEG_QUALITY, Photo, decode, encode, to_pixels
from shield.region import Region, shares

LARGEST_NOISE = 64.0  # levels
BISECTIONS = 8


def resaved(photo: Photo, format: str, quality: int = JPEG_QUALITY) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a photo after saving it in ``format`` and reading it again."""
    if not FORMATS[format].lossy:
        return photo.pixels
    return decode(encode(replace(photo, alpha=None), format, quality=quality)).pixels


@torch.no_grad()
def sign_noise(
    pixels: NDArray[np.uint8], regions: list[Region], targets: list[float], seed: int, device: torch.device
) -> tuple[NDArray[np.uint8], list[float]]:
    """Random-sign noise in every region, as strong as its target face LPIPS allows, and the LPIPS it came to.

    Noise is in whole levels; fractions of a level are spread by dithering, so that its LPIPS can follow the target.
    """
    noisy, reached = pixels.copy(), []
    random = torch.Generator().manual_seed(seed)
    for region, window, target in zip(regions, shares(regions), targets, strict=True):
        before = region.crop(pixels, device)
        measure = FaceLpips(load_lpips(device), before, region.local_face)
        signs = (2 * torch.randint(2, before.shape, generator=random, dtype=torch.int8) - 1).to(device)
        dither, window = torch.rand(before.shape, generator=random).to(device), window.to(device)

        def at(strength: float, signs: Tensor = signs, dither: Tensor = dither, window: Tensor = window) -> Tensor:
            return (strength * window + dither).floor_().mul_(signs).div_(255)  # in place: large photos are large

        low, high = 0.0, LARGEST_NOISE
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            inside = bool(measure(at(middle).add_(before).clamp_(0, 1)) <= target)
            low, high = (middle, high) if inside else (low, middle)
        reached.append(float(measure(at(low).add_(before).clamp_(0, 1))))
        current = region.crop(noisy, device)  # a neighbour's noise may be there already
        noisy[region.box] = to_pixels(at(low).add_(current))
    return noisy, reached
