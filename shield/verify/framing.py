"""Where a manipulator takes known faces from.

It sees only what was sent to it. The change of a protected photo moves what a detector finds in it, and a quarter of a
percent of the frame matters.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from shield.faces import Face, crop_matrix, find_again, similarity, warp, whole_picture
from shield.faces.landmarks import landmark_network, portrait_landmarks
from shield.faces.templates import Points, as_points, transformed
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
    return replace(face, points=as_points(transformed(similarity(before, after), np.array(face.points))))


@torch.no_grad()
def _landmarks(pixels: Pixels, face: Face) -> Points:
    """The landmarks (68, 2) of a face in px of the photo."""
    region = region_of(face, pixels.shape[1], pixels.shape[0])
    crop = warp(region.crop(pixels, CPU), region.local_face, SIDE)
    points = portrait_landmarks(landmark_network(), crop)[0].double().numpy()
    return transformed(crop_matrix(face), points)
