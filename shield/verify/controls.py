"""Controls: what saving alone does, and what any noise of the same visibility would do."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield.bounds import FaceLpips
from shield.lpips import load_lpips
from shield.region import Region, shares

LARGEST_NOISE = 64.0  # levels
BISECTIONS = 8
STRIP = 64  # rows


@dataclass(frozen=True)
class SignNoise:
    """Random ``signs`` (1, 3, h, w), each of as many whole levels as ``window`` (1, 1, h, w) lets through.

    Fractions of a level are spread by ``dither`` (1, 3, h, w) in [0, 1), so that LPIPS can follow the strength.
    """

    signs: Tensor
    dither: Tensor
    window: Tensor

    def on(self, levels: Tensor, strength: float) -> Tensor:
        """Levels (1, 3, h, w), uint8, with noise of up to ``strength`` levels."""
        noisy = torch.empty_like(levels)
        parts = noisy, levels, self.signs, self.dither, self.window
        # In strips: a large photo never stands in memory as floats.
        for part, before, signs, dither, window in zip(*(p.split(STRIP, dim=2) for p in parts), strict=True):
            part[:] = (strength * window + dither).floor_().mul_(signs).add_(before).clamp_(0, 255)
        return noisy


@torch.no_grad()
def sign_noise(
    pixels: NDArray[np.uint8], regions: list[Region], targets: list[float], seed: int, device: torch.device
) -> tuple[NDArray[np.uint8], list[float]]:
    """Random-sign noise in every region, as strong as its target face LPIPS allows, and the LPIPS it came to."""
    noisy, reached = pixels.copy(), []
    random = torch.Generator().manual_seed(seed)
    for region, window, target in zip(regions, shares(regions), targets, strict=True):
        before = region.crop(pixels, device)
        measure = FaceLpips(load_lpips(device), before, region.local_face)
        signs = 2 * torch.randint(2, before.shape, generator=random, dtype=torch.int8) - 1
        dither = torch.rand(before.shape, generator=random, dtype=torch.float16)  # of a large face there is much
        if (before == before[:, :1]).all():  # of a grey photo it is grey, or it would be seen by its colour
            signs, dither = (part[:, :1].expand_as(part) for part in (signs, dither))
        noise = SignNoise(signs.to(device), dither.to(device), window.to(device))
        low, high = 0.0, LARGEST_NOISE
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            inside = bool(measure(noise.on(before, middle)) <= target)
            low, high = (middle, high) if inside else (low, middle)
        reached.append(float(measure(noise.on(before, low))))
        current = region.crop(noisy, device)  # a neighbour's noise may be there already
        noisy[region.box] = noise.on(current, low)[0].permute(1, 2, 0).cpu().numpy()
    return noisy, reached
