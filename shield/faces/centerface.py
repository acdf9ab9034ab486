"""CenterFace (Xu et al. 2019, arXiv 1911.03599): boxes and five points of every face, with onnxruntime."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image

from shield.faces.face import Face, whole_picture
from shield.weights import read_weights

SMALLEST = 40  # px: faces lower than this are left alone
THRESHOLD = 0.5
# Of two boxes the surer one stays where they share more than this, by intersection over union or of the smaller one.
OVERLAP, CONTAINED = 0.3, 0.7
STRIDE = 4
# A tile is what one pass of the network sees; the network knows faces from about 12 px to most of a tile.
TILE, MARGIN = 1024, 192
COARSE = 640  # long side of the pass over the whole photo
FINE_SCALE = 0.5  # of the passes over the tiles: a face of 40 px is seen at 20


def detect(pixels: NDArray[np.uint8]) -> list[Face]:
    """Every face of an upright RGB photo (H, W, 3) that is at least 40 px high, largest first.

    The whole photo is searched once with its long side at 640 px; larger photos once more in overlapping
    tiles at half size, so that small faces in a large photo are found with bounded memory.
    """
    height, width = pixels.shape[:2]
    found = _detect_at(pixels, COARSE / max(height, width), (0, 0, width, height))
    if max(height, width) * FINE_SCALE > COARSE:
        for tile in _tiles(width, height):
            found += [face for face in _detect_at(pixels, FINE_SCALE, tile) if _inside(face, tile, width, height)]
    faces = [face for face in _suppress(found) if face.height >= SMALLEST]
    return sorted(faces, key=lambda face: -face.height)


def find_again(pixels: NDArray[np.uint8], faces: Sequence[Face]) -> list[Face]:
    """Known faces as the detector finds them in another version of their photo, of the same size.

    One that is not found there, or is the whole picture, is where it was.
    """
    height, width = pixels.shape[:2]
    whole = whole_picture(width, height)
    found = detect(pixels) if any(face != whole for face in faces) else []
    return [face if face == whole else _nearest(found, face) for face in faces]


def _nearest(found: Sequence[Face], face: Face) -> Face:
    """The one that shows this face; the face itself where none does."""
    same = [other for other in found if _same(other, face)]
    return min(same, key=lambda other: float(np.abs(np.subtract(other.box, face.box)).sum()), default=face)


def _tiles(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    side = int(TILE / FINE_SCALE)
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


def _detect_at(pixels: NDArray[np.uint8], scale: float, tile: tuple[int, int, int, int]) -> list[Face]:
    left, top, right, bottom = tile
    crop = Image.fromarray(pixels[top:bottom, left:right])
    size = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
    resized = np.asarray(crop.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    faces = _run(resized)
    factors = crop.width / size[0], crop.height / size[1]
    return [face.scaled(*factors).moved(-left, -top) for face in faces]


def _run(pixels: NDArray[np.uint8]) -> list[Face]:
    """One pass of the network over a picture of any size."""
    height, width = pixels.shape[:2]
    padded = np.zeros((-(-height // 32) * 32, -(-width // 32) * 32, 3), np.float32)
    padded[:height, :width] = pixels
    heat, sizes, offsets, points = _session().run(None, {"input.1": padded.transpose(2, 0, 1)[None]})
    rows, columns = np.where(heat[0, 0] > THRESHOLD)
    faces = []
    for r, c in zip(rows.tolist(), columns.tolist(), strict=True):
        h, w = np.exp(sizes[0, :, r, c]) * STRIDE
        left = (c + offsets[0, 1, r, c] + 0.5) * STRIDE - w / 2
        top = (r + offsets[0, 0, r, c] + 0.5) * STRIDE - h / 2
        y, x = points[0, 0::2, r, c] * h + top, points[0, 1::2, r, c] * w + left
        box = (float(left), float(top), float(left + w), float(top + h))
        five = tuple((float(px), float(py)) for px, py in zip(x, y, strict=True))
        faces.append(Face(box, five, float(heat[0, 0, r, c])))
    return _suppress(faces)


def _suppress(faces: list[Face]) -> list[Face]:
    """Non-maximum suppression: of boxes that show the same face only the surest stays."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_same(face, other) for other in kept):
            kept.append(face)
    return kept


def _same(one: Face, other: Face) -> bool:
    """Whether two boxes overlap so much that they show one face, or a tile's part of it."""
    width = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
    height = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    areas = [(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) for f in (one, other)]
    shared = max(0.0, width) * max(0.0, height)
    return shared > OVERLAP * (sum(areas) - shared) or shared > CONTAINED * min(areas)


@lru_cache(maxsize=1)
def _session() -> Any:  # onnxruntime ships no types
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.enable_cpu_mem_arena = False  # it would keep the largest tile's activations for good
    options.log_severity_level = 3  # the file holds initialisers that nothing uses: no warning for each
    return onnxruntime.InferenceSession(read_weights("centerface"), options, providers=["CPUExecutionProvider"])
