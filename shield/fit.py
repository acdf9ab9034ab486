"""From the changes of all faces to one file: each as large as what may be seen of it, measured on the reopened file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield.bounds import shrinkage
from shield.carriers import Change, Flow, bent_regions, written
from shield.device import pick_device
from shield.errors import BoundError
from shield.photo import FORMATS, Photo, decode, encode, to_levels
from shield.recipe import Recipe
from shield.region import Region
from shield.visibility import Seen, Visibility

ATTEMPTS = 12
ALONE = 4  # attempts in which a face shrinks what is its own; then those shrink as well that share pixels with it
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


# How far each face exceeds the bound: -1 unchanged, 0 at the bound, positive beyond it. Of a candidate whose faces were
# bent by these flows.
Flows = Sequence[Flow | None]
Excesses = Callable[[Candidate, Flows], list[float]]


def measured(pixels: Pixels, regions: Sequence[Region], recipe: Recipe) -> Excesses:
    """A function that measures the reopened file of a candidate against the original's pixels."""
    device = pick_device(recipe.device)
    seen = [Visibility(region.crop(pixels, device), region.local_face) for region in regions]

    def excesses(candidate: Candidate, flows: Flows) -> list[float]:
        shown = candidate.reopened()
        unchanged: list[Tensor | None] = [None] * len(regions)
        if any(flows):
            unchanged = [to_levels(part).to(device) for part in bent_regions(pixels, regions, flows)]
        rows = zip(seen, regions, unchanged, strict=True)
        return [_excess(see(region.crop(shown, device), bent), recipe) for see, region, bent in rows]

    return excesses


def refuse_if_saving_alone_exceeds(original: Candidate, excesses: Excesses, faces: int) -> None:
    """Raises BoundError where a lossy file changes a face by more than the bound before shield changes anything."""
    if (
        FORMATS[original.format].lossy and max(excesses(replace(original), [None] * faces)) > 0
    ):  # a copy, whose file is not kept
        raise BoundError(
            f"Saving this photo already changes a face by more than the bound ({_words(original.recipe)}); "
            "choose PNG as format, a higher quality or a stronger preset."
        )


@dataclass(frozen=True)
class Fitted:
    """A file, and what of every face's change is in it."""

    data: bytes
    changes: tuple[Change, ...]


@torch.no_grad()
def fit(original: Candidate, regions: Sequence[Region], changes: Sequence[Change], excesses: Excesses) -> Fitted:
    """The file with every face's change as large as the bound, measured on the reopened file, allows.

    Every face has its own factor; all are found together. Where a face exceeds by its neighbour's change, that has to
    shrink too. Raises BoundError where no factor will do.
    """
    factors = [1.0] * len(regions)
    for attempt in range(ATTEMPTS):
        scaled = tuple(change.scaled(factor) for change, factor in zip(changes, factors, strict=True))
        # No name for the pixels: of a lossy file they are gone before it is opened again.
        candidate = original.showing(written(original.photo.pixels, regions, scaled, original.recipe.levels))
        beyond = excesses(candidate, [change.flow for change in scaled])
        if max(beyond) <= 0:
            return Fitted(candidate.data, scaled)
        for number, region in enumerate(regions):
            meant = [
                excess
                for other, excess in enumerate(beyond)
                if other == number or (attempt >= ALONE and region.meets(regions[other]))
            ]
            factors[number] *= shrinkage(max(meant)) if max(meant) > 0 else 1.0
        if max(factors) < SMALLEST:
            break
    raise BoundError(f"No change fits the bound ({_words(original.recipe)}); choose a stronger preset.")


def _words(recipe: Recipe) -> str:
    return f"face LPIPS {recipe.face_lpips:g}, FLIP {recipe.flip:g}"


def _excess(seen: Seen, recipe: Recipe) -> float:
    return max(seen.face_lpips / recipe.face_lpips, seen.flip / recipe.flip) - 1
