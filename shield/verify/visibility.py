"""How visible a change is, on the pixels of two files."""

from dataclasses import dataclass

import numpy as np
import torch
from kornia.metrics import ssim as ssim_map
from numpy.typing import NDArray

from shield.lpips import load_lpips, shrink_to
from shield.photo import to_levels
from shield.region import Region
from shield.visibility import Seen, Visibility

PHOTO_SIDE = 1024  # px: the whole photo is compared with its long side at most this
SSIM_WINDOW = 11

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class FaceVisibility(Seen):
    """Of one face's region: what ``Seen`` holds, and figures of the pixels.

    ``max_levels``: beyond the warp, whose largest movement is ``warp``, in sides of the face's frame.
    """

    psnr: float
    ssim: float
    max_levels: int
    warp: float = 0.0


@dataclass(frozen=True)
class PhotoVisibility:
    """Of the whole photo. ``changed_outside``: pixels outside the face regions that differ."""

    lpips: float
    psnr: float
    ssim: float
    max_levels: int
    changed_outside: int


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures."""
    rows = zip(one, other, strict=True)  # row by row: a large photo never stands in memory as float
    total = sum(float(np.square(a.astype(np.float64) - b).sum()) for a, b in rows)
    return float("inf") if total == 0 else float(10 * np.log10(255**2 * one.size / total))


def max_levels(one: Pixels, other: Pixels) -> int:
    """The largest change of any value, in 8-bit levels."""
    rows = zip(one, other, strict=True)
    return max(int((np.maximum(a, b) - np.minimum(a, b)).max()) for a, b in rows)


def ssim(one: torch.Tensor, other: torch.Tensor) -> float:
    """Structural similarity (Wang et al. 2004) of (1, 3, H, W) in [0, 1]; 1 for equal pictures."""
    return float(ssim_map(one, other, SSIM_WINDOW).mean())


@torch.no_grad()
def face_visibility(
    original: Pixels,
    changed: Pixels,
    region: Region,
    device: torch.device,
    bent: Pixels | None = None,
    warp: float = 0.0,
) -> FaceVisibility:
    """How visible the change of one face is. ``bent``: its region of the original, bent by up to ``warp``."""
    before, after = region.crop(original, device), region.crop(changed, device)
    unchanged = None if bent is None else to_levels(bent).to(device)
    seen = Visibility(before, region.local_face)(after, unchanged)
    return FaceVisibility(
        **vars(seen),
        psnr=psnr(original[region.box], changed[region.box]),
        ssim=ssim(shrink_to(before, PHOTO_SIDE), shrink_to(after, PHOTO_SIDE)),
        max_levels=max_levels(original[region.box] if bent is None else bent, changed[region.box]),
        warp=warp,
    )


@torch.no_grad()
def photo_visibility(original: Pixels, changed: Pixels, regions: list[Region], device: torch.device) -> PhotoVisibility:
    """How visible the change of the whole photo is."""
    before, after = (shrink_to(to_levels(pixels).to(device), PHOTO_SIDE) for pixels in (original, changed))
    outside = np.empty(original.shape[:2], bool)
    for row, one, other in zip(outside, original, changed, strict=True):  # a large photo is not copied
        row[:] = (one != other).any(axis=1)
    for region in regions:
        outside[region.box] = False
    return PhotoVisibility(
        float(load_lpips(device)(before, after)),
        psnr(original, changed),
        ssim(before, after),
        max_levels(original, changed),
        int(outside.sum()),
    )
