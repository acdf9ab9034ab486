"""Eyes that do not match: generators paint each by itself."""

import numpy as np
from scipy.ndimage import map_coordinates
from skimage import feature  # what it holds is loaded when it is used: half a second that no start need pay

from shield.detection.flaws.flaw import NOTHING, Flaw, Measurement, flaws
from shield.detection.view import LEFT_EYE, RIGHT_EYE, FaceView, Floats

WIDE, HIGH = 0.28, 0.20  # of the eyes' distance: half the patch around an eye
FLATTEST = 0.01  # standard deviation of the light around an eye
COLUMNS, ROWS, PLAY = 25, 17, 3  # samples; how many of them one eye may be moved against the other


def measure(view: FaceView) -> Measurement:
    """How unlike one eye is to the other's mirror image: 0 for the same, 1 and more for nothing in common."""
    left, right = _patch(view, LEFT_EYE), _patch(view, RIGHT_EYE)[:, ::-1]
    outline = np.concatenate([view.points[LEFT_EYE], view.points[RIGHT_EYE]])
    if min(left.std(), right.std()) < FLATTEST:
        return Measurement(NOTHING, outline)
    likeness = feature.match_template(left, right[PLAY:-PLAY, PLAY:-PLAY]).max()
    return Measurement(1.0 - float(likeness), outline)


def _patch(view: FaceView, part: slice) -> Floats:
    """The light around an eye, (ROWS, COLUMNS), level with the line through both."""
    between = view.middle(RIGHT_EYE) - view.middle(LEFT_EYE)
    u, v = np.linspace(-WIDE, WIDE, COLUMNS), np.linspace(-HIGH, HIGH, ROWS)[:, None]
    x = view.middle(part)[0] + between[0] * u - between[1] * v
    y = view.middle(part)[1] + between[1] * u + between[0] * v
    patch: Floats = map_coordinates(view.light, [y - 0.5, x - 0.5], order=1, mode="nearest")
    return patch


flaws.register("eyes")(Flaw(measure, 0.78, 0.2, "The two eyes do not match.", reliable=False))
