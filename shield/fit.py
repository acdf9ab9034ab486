"""From the changes of all faces to one file: each as large as what may be seen of it, measured on the reopened file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield.bounds import shrinkage
from shield.device import pick_device
from shield.errors import BoundError
from shield.photo import FORMATS, Photo, decode, encode
from shield.recipe import Recipe
from shield.region import Region
from shield.visibility import Seen, Visibility

ATTEMPTS = 12
SMALLEST = 1e-3  # a factor below this leaves no level of any change
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Candidate:
    """A photo as it may be saved. ``file``: where it was saved already; then ``photo`` may have other pixels."""

    photo: Photo
    format: str
    recipe: Recipe
    file: bytes | None = None

    @cached_property
    def data(self) -> bytes:
        """The file."""
        if self.file is not None:
            return self.file
        return encode(self.photo, self.format, quality=self.recipe.quality, keep_exif=self.recipe.keep_exif)

    def showing(self, pixels: Pixels) -> "Candidate":
        """The same with other pixels. Of a lossy file they are not kept beside it: large photos are large."""
        changed = replace(self, photo=self.photo.with_pixels(pixels))
        return replace(self, file=changed.data) if FORMATS[self.format].lossy else changed

    def reopened(self) -> Pixels:
        """What the file shows; a lossless one need not be made for that."""
        return decode(self.data).pixels if FORMATS[self.format].lossy else self.photo.pixels


# How far each face exceeds the bound: -1 unchanged, 0 at the bound, positive beyond it.
Excesses = Callable[[Candidate], list[float]]


def measured(pixels: Pixels, regions: Sequence[Region], recipe: Recipe) -> Excesses:
    """A function that measures the reopened file of a candidate against the original's pixels."""
    device = pick_device(recipe.device)
    seen = [Visibility(region.crop(pixels, device), region.local_face) for region in regions]

    def excesses(candidate: Candidate) -> list[float]:
        shown = candidate.reopened()
        return [_excess(see(region.crop(shown, device)), recipe) for region, see in zip(regions, seen, strict=True)]

    return excesses


def refuse_if_saving_alone_exceeds(original: Candidate, excesses: Excesses) -> None:
    """Raises BoundError where a lossy file changes a face by more than the bound before shield changes anything."""
    if FORMATS[original.format].lossy and max(excesses(replace(original))) > 0:  # a copy, whose file is not kept
        raise BoundError(
            f"Saving this photo already changes a face by more than the bound ({_words(original.recipe)}); "
            "choose --format png, a higher quality or a stronger preset."
        )


@torch.no_grad()
def fit(original: Candidate, regions: Sequence[Region], changes: Sequence[Tensor], excesses: Excesses) -> bytes:
    """The file with every face's change as large as the bound, measured on the reopened file, allows.

    Every face has its own factor; all are found together. Raises BoundError where no factor will do.
    """
    factors = [1.0] * len(regions)
    for _ in range(ATTEMPTS):
        # No name for the pixels: of a lossy file they are gone before it is opened again.
        candidate = original.showing(
            _composed(original.photo.pixels, regions, changes, factors, original.recipe.levels)
        )
        beyond = excesses(candidate)
        if max(beyond) <= 0:
            return candidate.data
        factors = [f * shrinkage(excess) if excess > 0 else f for f, excess in zip(factors, beyond, strict=True)]
        if max(factors) < SMALLEST:
            break
    raise BoundError(f"No change fits the bound ({_words(original.recipe)}); choose a stronger preset.")


def _words(recipe: Recipe) -> str:
    return f"face LPIPS {recipe.face_lpips:g}, FLIP {recipe.flip:g}"


def _excess(seen: Seen, recipe: Recipe) -> float:
    return max(seen.face_lpips / recipe.face_lpips, seen.flip / recipe.flip) - 1


def _composed(
    pixels: Pixels, regions: Sequence[Region], changes: Sequence[Tensor], factors: Sequence[float], levels: int
) -> Pixels:
    """The photo with every region's change, (1, 3, h, w) on its working copy, added, cut to ``levels`` and rounded."""
    top, left = min(region.top for region in regions), min(region.left for region in regions)
    around = slice(top, max(region.bottom for region in regions)), slice(left, max(region.right for region in regions))
    result = pixels.copy()
    for channel in range(3):  # one at a time and in place: a large photo's floats are many
        plane = result[(*around, channel)]
        total = np.zeros(plane.shape, np.float32)
        for region, change, factor in zip(regions, changes, factors, strict=True):
            rows = slice(region.top - top, region.bottom - top)
            columns = slice(region.left - left, region.right - left)
            plane_of_change = region.enlarge(change[:, channel : channel + 1].cpu())[0, 0]
            total[rows, columns] += plane_of_change.mul_(255 * factor).numpy()
        np.clip(total, -levels, levels, out=total)
        total += plane
        plane[:] = np.rint(total, out=total).clip(0, 255, out=total)
    return result
