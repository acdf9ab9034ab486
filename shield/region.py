"""The part of a photo that belongs to a face: where the change lives, at what resolution, how it fades out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from shield.faces import Face, crop_matrix
from shield.faces.face import inverse
from shield.photo import STRIP, shrink, to_levels

LARGEST = 512  # px: side of the portrait framing in the working copy; the cost of a search does not grow beyond it
GRID = 16  # px: JPEG works in squares of this side, where colour is kept at half size
MARGIN = 64  # px: nothing further away reaches a pixel on a file's way
ROOM = 0.15  # of the largest framing's side: for frames that see the face elsewhere, larger and turned
FADE = 0.08  # of the framing's side: over this width the change fades out towards the region's border


@dataclass(frozen=True)
class Region:
    """The upright rectangle (px) around a face's portrait framing, cut at the photo's edge."""

    face: Face
    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array (H, W, ...)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def meets(self, other: "Region") -> bool:
        """Whether they share pixels."""
        across = max(self.left, other.left) < min(self.right, other.right)
        return across and max(self.top, other.top) < min(self.bottom, other.bottom)

    @property
    def working_size(self) -> tuple[int, int]:
        """Height and width of the working copy."""
        scale = min(1.0, LARGEST / self.face.side)
        return max(1, round(self.height * scale)), max(1, round(self.width * scale))

    @property
    def local_face(self) -> Face:
        """The face in the coordinates of the region."""
        return self.face.moved(self.left, self.top)

    @property
    def working_face(self) -> Face:
        """The face in the coordinates of the working copy."""
        height, width = self.working_size
        return self.local_face.scaled(width / self.width, height / self.height)

    def crop(self, pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
        """The region of a photo (H, W, 3) as levels: uint8 (1, 3, h, w)."""
        return to_levels(pixels[self.box]).to(device)

    def working_copy(self, crop: Tensor) -> Tensor:
        """The region (1, C, h, w), levels or in [0, 1], at the search's resolution, anti-aliased, in [0, 1]."""
        return shrink(crop, self.working_size)

    def enlarge(self, change: Tensor) -> Tensor:
        """A change found on the working copy, at the region's own resolution (bilinear: it never overshoots)."""
        return F.interpolate(change, size=(self.height, self.width), mode="bilinear", align_corners=False)

    def window(self) -> Tensor:
        """(1, 1, h, w) in [0, 1]: 1 inside the framing, fading to 0 at its border and beyond."""
        back = torch.from_numpy(inverse(crop_matrix(self.local_face))).float()
        window = torch.empty(1, 1, self.height, self.width)
        x = torch.arange(self.width)[None, :] + 0.5
        rows = (torch.arange(self.height)[:, None] + 0.5).split(STRIP)
        for strip, y in zip(window[0, 0].split(STRIP), rows, strict=True):  # large photos are large
            u, v = [_inside((a * x + b * y).add_(c)) for a, b, c in back]
            ramp = torch.minimum(u, v).div_(FADE).clamp_(0, 1)
            strip[:] = ramp.square().mul_((-2 * ramp).add_(3))
        return window


def _inside(coordinate: Tensor) -> Tensor:
    """How far inside [0, 1], from the nearer end."""
    return torch.minimum(coordinate, 1 - coordinate)


def region_of(face: Face, width: int, height: int) -> Region:
    """The region of a face in a photo of this size."""
    corners = crop_matrix(face) @ np.array([(0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1)]).T
    (left, top), (right, bottom) = np.floor(corners.min(1)), np.ceil(corners.max(1))
    return Region(face, max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom)))


@dataclass(frozen=True)
class Window:
    """The part of a photo that its faces need: their regions and what may reach into them on a file's way.

    It begins on the grid on which JPEG and resizing work, so that in it a part fares as the whole does.
    """

    top: int
    left: int
    bottom: int
    right: int

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """That part of a photo (H, W, 3); nothing is copied."""
        return pixels[self.top : self.bottom, self.left : self.right]

    def moved(self, region: Region) -> Region:
        """A region in the coordinates of that part."""
        sides = region.left - self.left, region.top - self.top, region.right - self.left, region.bottom - self.top
        return Region(region.face.moved(self.left, self.top), *sides)


def window_around(regions: Sequence[Region], width: int, height: int) -> Window:
    """The window around these regions of a photo of that size."""
    around = MARGIN + math.ceil(ROOM * max(region.face.side for region in regions))
    top, left = min(region.top for region in regions) - around, min(region.left for region in regions) - around
    bottom = max(region.bottom for region in regions) + around
    right = max(region.right for region in regions) + around
    return Window(
        max(0, top) // GRID * GRID,
        max(0, left) // GRID * GRID,
        min(height, -(-bottom // GRID) * GRID),
        min(width, -(-right // GRID) * GRID),
    )


def shares(regions: Sequence[Region]) -> list[Tensor]:
    """A window per region, (1, 1, h, w) each; where regions overlap their windows add up to at most 1."""
    windows = [region.window() for region in regions]
    if len(regions) == 1:
        return windows
    bottom, right = max(r.bottom for r in regions), max(r.right for r in regions)
    total = torch.zeros(bottom, right)
    for region, window in zip(regions, windows, strict=True):
        total[region.box] += window[0, 0]
    # w (w / sum): at most the largest window in sum, and continuous where a region ends.
    pairs = zip(regions, windows, strict=True)
    return [window * (window / total[region.box].clamp(min=1e-6)) for region, window in pairs]
