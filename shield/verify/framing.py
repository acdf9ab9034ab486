"""Where a manipulator takes known faces from.

It sees only what was sent to it. The change of a protected photo moves what a detector finds in it, and a quarter of a
percent of the frame matters.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from shield.faces import Face, crop_matrix, find_again, warp, whole_picture
from shield.faces.landmarks import LandmarkNet, load_landmarks, portrait_landmarks
from shield.region import region_of
from shield.web import SCALE, SHIFT, TURN, Pixels

CPU = torch.device("cpu")
SIDE = 256  # px of the crop in which landmarks are sought


# Faces of the original, in its px; its pixels; and pixels sent, of the same size unless nothing looks at them.
Frame = Callable[[Sequence[Face], Pixels, Pixels], Sequence[Face]]


def as_known(faces: Sequence[Face], original: Pixels, sent: Pixels) -> Sequence[Face]:
    """Where the detector found them in the original."""
    return faces


def found(faces: Sequence[Face], original: Pixels, sent: Pixels) -> Sequence[Face]:
    """Where shield's detector, whose five points are easily moved, finds them in what was sent."""
    return find_again(sent, faces)


def aligned(faces: Sequence[Face], original: Pixels, sent: Pixels) -> Sequence[Face]:
    """Moved as 68 landmarks, which are steadier, move from the original to what was sent.

    The landmarks are read off a crop at the original's frame: the best case of a steady aligner. A whole picture stays.
    """
    whole = whole_picture(sent.shape[1], sent.shape[0])
    return [face if face == whole else _aligned(face, original, sent) for face in faces]


def reframed(faces: Sequence[Face], original: Pixels, sent: Pixels) -> Sequence[Face]:
    """A little up and to the right, larger, and turned."""
    return [face.reframed((SHIFT, -SHIFT), 1 + SCALE, TURN) for face in faces]


def _aligned(face: Face, original: Pixels, sent: Pixels) -> Face:
    before, after = (_landmarks(pixels, face) for pixels in (original, sent))
    # The similarity w = a z + b, in complex coordinates, by least squares.
    centred = before - before.mean()
    a = np.vdot(centred, after) / np.vdot(centred, centred).real
    moved = [a * (complex(x, y) - before.mean()) + after.mean() for x, y in face.points]
    return Face(face.box, tuple((point.real, point.imag) for point in moved), face.score)


@torch.no_grad()
def _landmarks(pixels: Pixels, face: Face) -> NDArray[np.complex128]:
    """The landmarks of a face in px of the photo, x + iy."""
    region = region_of(face, pixels.shape[1], pixels.shape[0])
    crop = warp(region.crop(pixels, CPU), region.local_face, SIDE)
    points = portrait_landmarks(_network(), crop)[0].double().numpy()
    x, y = crop_matrix(face) @ np.vstack([points.T, np.ones(len(points))])
    return np.asarray(x + 1j * y)


@lru_cache(maxsize=1)
def _network() -> LandmarkNet:
    return load_landmarks()
