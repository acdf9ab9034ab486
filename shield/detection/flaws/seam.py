"""A smoothed seam around the face: what hides the edge of a face that was pasted in."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from shield.detection.flaws.flaw import NOTHING, Flaw, Measurement, flaws
from shield.detection.flaws.sharpness import details, sharpness
from shield.detection.view import FaceView

HALF_WIDTH, GAP, REACH = 3, 5, 20  # px from the outline: the seam, and where inside and outside begin and end
FEWEST = 100  # px


def measure(view: FaceView) -> Measurement:
    face = view.inside(view.face_outline)
    depth = distance_transform_edt(face) - distance_transform_edt(~face)  # above 0 inside
    inner, outer = depth > GAP, (depth < -GAP) & (depth > -REACH)
    if min(inner.sum(), outer.sum()) < FEWEST:
        return Measurement(NOTHING, view.face_outline)
    bands = details(view.light)
    beside = min(sharpness(bands, inner), sharpness(bands, outer))
    return Measurement(beside - sharpness(bands, np.abs(depth) <= HALF_WIDTH), view.face_outline)


flaws.register("seam")(Flaw(measure, 0.30, 0.2, "A smoothed seam runs around the face."))
