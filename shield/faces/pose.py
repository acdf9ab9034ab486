"""A face that a detector saw, looked at again: upright, and by others, before anything is framed by it."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from shield.faces.aligners.aligner import Pixels
from shield.faces.aligners.centerface import look as centerface_look
from shield.faces.aligners.landmarks import STILL, read_points
from shield.faces.aligners.yunet import look as yunet_look
from shield.faces.face import Face, crop_matrix, distance
from shield.faces.sampling import cut
from shield.faces.templates import Framing, as_points

Look: TypeAlias = Callable[[Pixels], list[Face]]

UPRIGHT = 10  # degrees: up to here a detector's points are as good as they get; from 30 on they are far off
AGREE = 0.3  # eye distances: two who see a point that far apart do not see the same face
SURE = 0.5  # score of a detector that says "face"
AROUND, SIDE = Framing(side=1.6), 384  # the upright picture in which a detector looks again, and its side in px
DOUBT = "detector and landmarks see its points {:.1f} eye distances apart"


def settled(pixels: Pixels, seen: Face) -> Face | None:
    """The face that a detector saw in a photo (H, W, 3), with points that others confirm; None where none do.

    An upright face on which detector and landmarks agree has its points half-way between theirs. Another is tried in
    all four quarter turns: framed by the landmarks, looked at again upright, and taken as the turn has it in which the
    detector agrees with the landmarks and a second detector sees it too. A face that the detector is sure of and that
    nobody confirms comes back as it was seen, with a ``doubt``.
    """
    read = read_points(pixels, seen)
    apart = distance(seen, read)
    agreed = seen.score > SURE and apart < AGREE
    if agreed and abs(read.tilt) < UPRIGHT:
        return between(seen, read)
    upright = [face for pose in _poses(pixels, seen) if (face := _confirmed(pixels, pose)) is not None]
    if upright:
        return max(upright, key=lambda face: face.score)
    if agreed:
        return between(seen, read)
    return replace(seen, doubt=DOUBT.format(apart)) if seen.score > SURE else None


def _poses(pixels: Pixels, seen: Face) -> list[Face]:
    """What the landmarks read of a face that may be turned by 0, 90, 180 and 270 degrees; each answer once."""
    poses: list[Face] = []
    for quarter in range(4):
        read = read_points(pixels, seen.reframed((0, 0), 1, 90 * quarter))
        if all(distance(read, other) > STILL for other in poses):
            poses.append(read)
    return poses


def _confirmed(pixels: Pixels, read: Face) -> Face | None:
    """The face where both detectors see it, too, when it is shown upright; None where one does not."""
    again = _looked_again(pixels, read, centerface_look)
    if again is None or distance(again, read) > AGREE:
        return None
    second = _looked_again(pixels, read, yunet_look)
    return between(again, read) if second is not None and distance(second, read) < AGREE else None


def _looked_again(pixels: Pixels, face: Face, look: Look) -> Face | None:
    """The face nearest to where it should be in its upright picture, as a detector sees it there."""
    picture = cut(pixels, face, SIDE, AROUND)[0].permute(1, 2, 0).mul(255).round().byte().numpy()
    matrix = crop_matrix(face, AROUND) / (SIDE, SIDE, 1)
    seen = [found.mapped(matrix) for found in look(picture)]
    return min(seen, key=lambda found: distance(found, face), default=None)


def between(seen: Face, read: Face) -> Face:
    """The detector's face with its points half-way to the landmarks'.

    Each alone wavers (a detector's points by .07 eye distances when the photo is only resampled), and networks were
    trained on what detectors see, so that neither is the truth.
    """
    return replace(seen, points=as_points((np.array(seen.points) + np.array(read.points)) / 2))
