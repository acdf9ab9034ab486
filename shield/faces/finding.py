"""Faces of a photo, in whatever turn, and the same faces again in another version of it."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from shield.faces.aligners import aligners
from shield.faces.aligners.aligner import Pixels
from shield.faces.aligners.centerface import NAME, candidates
from shield.faces.aligners.passes import SMALLEST, same, suppress
from shield.faces.face import Face, whole_picture
from shield.faces.pose import settled

LYING = 45  # degrees of tilt from which on a face may be seen in a turned photo only


def detect(pixels: Pixels) -> list[Face]:
    """Every face of an upright RGB photo (H, W, 3) that is at least 40 px high, largest first, in whatever turn.

    CenterFace finds them; the 68 landmarks and, for faces that are not upright, YuNet confirm and correct their points
    (see ``settled``). Turned copies of the photo are searched only where it shows no face as it is.
    """
    return _found(pixels, turned=True)


def find_again(pixels: Pixels, faces: Sequence[Face]) -> list[Face]:
    """Known faces as they are found in another version of their photo, of the same size.

    One that is not found there, or is the whole picture, is where it was.
    """
    height, width = pixels.shape[:2]
    whole = whole_picture(width, height)
    known = [face for face in faces if face != whole]
    found = _found(pixels, turned=any(abs(face.tilt) > LYING for face in known)) if known else []
    return [face if face == whole else _nearest(found, face) for face in faces]


def _found(pixels: Pixels, turned: bool) -> list[Face]:
    faces = _settled(pixels, candidates(pixels))
    if turned and all(face.doubt for face in faces):
        faces = _distinct(faces + _settled(pixels, _seen_turned(pixels)))
    return sorted(faces, key=lambda face: -face.height)


def _settled(pixels: Pixels, seen: Iterable[Face]) -> list[Face]:
    faces = [face for one in seen if (face := settled(pixels, one)) is not None]
    return _distinct([face for face in faces if face.height >= SMALLEST])


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """Each face once; where two are one, that which nobody doubts."""
    sure = suppress([face for face in faces if not face.doubt])
    return sure + [face for face in suppress([f for f in faces if f.doubt]) if not any(same(face, s) for s in sure)]


def _seen_turned(pixels: Pixels) -> Iterator[Face]:
    """What CenterFace sees in the photo turned by 90, 180 and 270 degrees, in px of the photo as it is."""
    height, width = pixels.shape[:2]
    # From a copy turned anticlockwise by so many quarters back to the photo.
    ways = {1: ((0, -1, width), (1, 0, 0)), 2: ((-1, 0, width), (0, -1, height)), 3: ((0, 1, 0), (-1, 0, height))}
    for quarters, back in ways.items():
        for face in aligners[NAME](np.ascontiguousarray(np.rot90(pixels, quarters))):
            yield face.mapped(np.array(back, float))


def _nearest(found: Sequence[Face], face: Face) -> Face:
    """The one that shows this face; the face itself where none does."""
    alike = [other for other in found if same(other, face)]
    return min(alike, key=lambda other: float(np.abs(np.subtract(other.box, face.box)).sum()), default=face)
