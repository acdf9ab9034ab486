"""How a detector that sees a bounded picture at a time finds every face of a photo of any size, each once."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from PIL import Image

from shield.faces.aligners.aligner import Pixels
from shield.faces.face import Face

SMALLEST = 40  # px: faces lower than this are left alone
# Of two boxes the surer one stays where they share more than this, by intersection over union or of the smaller one.
OVERLAP, CONTAINED = 0.3, 0.7
COARSE = 640  # long side of the pass over the whole photo
FINE_SCALE = 0.5  # of the passes over the tiles: a face of 40 px is seen at 20
MARGIN = 192  # px by which tiles overlap, as the network sees them

Look: TypeAlias = Callable[[Pixels], list[Face]]  # one pass of a network over a picture


def searched(pixels: Pixels, look: Look, tile: int) -> list[Face]:
    """Every face of a photo (H, W, 3) that is at least 40 px high, largest first.

    The whole photo is looked at once with its long side at 640 px; larger photos once more in overlapping tiles at half
    size, so that small faces in a large photo are found with bounded memory. ``tile``: side of one, as the network
    sees it.
    """
    height, width = pixels.shape[:2]
    found = _looked(pixels, look, COARSE / max(height, width), (0, 0, width, height))
    if max(height, width) * FINE_SCALE > COARSE:
        for part in _tiles(width, height, tile):
            found += [face for face in _looked(pixels, look, FINE_SCALE, part) if _inside(face, part, width, height)]
    faces = [face for face in suppress(found) if face.height >= SMALLEST]
    return sorted(faces, key=lambda face: -face.height)


def suppress(faces: list[Face]) -> list[Face]:
    """Non-maximum suppression: of boxes that show the same face only the surest stays."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(same(face, other) for other in kept):
            kept.append(face)
    return kept


def same(one: Face, other: Face) -> bool:
    """Whether two boxes overlap so much that they show one face, or a tile's part of it."""
    width = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
    height = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    areas = [(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) for f in (one, other)]
    shared = max(0.0, width) * max(0.0, height)
    return shared > OVERLAP * (sum(areas) - shared) or shared > CONTAINED * min(areas)


def _tiles(width: int, height: int, tile: int) -> Iterator[tuple[int, int, int, int]]:
    side = int(tile / FINE_SCALE)
    step = side - int(MARGIN / FINE_SCALE)
    for top in range(0, max(1, height - side + step), step):
        for left in range(0, max(1, width - side + step), step):
            yield left, top, min(width, left + side), min(height, top + side)


def _inside(face: Face, tile: tuple[int, int, int, int], width: int, height: int) -> bool:
    """Whether no border of the tile, other than the photo's own, cuts the face; the next tile has it whole."""
    left, top, right, bottom = tile
    x0, y0, x1, y1 = face.box
    horizontally = (left == 0 or x0 > left) and (right == width or x1 < right)
    return horizontally and (top == 0 or y0 > top) and (bottom == height or y1 < bottom)


def _looked(pixels: Pixels, look: Look, scale: float, tile: tuple[int, int, int, int]) -> list[Face]:
    left, top, right, bottom = tile
    crop = Image.fromarray(pixels[top:bottom, left:right])
    size = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
    resized = np.asarray(crop.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    factors = crop.width / size[0], crop.height / size[1]
    return [face.scaled(*factors).moved(-left, -top) for face in look(resized)]
