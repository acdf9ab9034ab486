"""A line that is there twice: the original's shows beside the pasted face's. Brows and chin have one such line each."""

import numpy as np
from scipy.ndimage import map_coordinates

from shield.detection.flaws.flaw import Flaw, Measurement, flaws
from shield.detection.view import CHIN, LEFT_BROW, RIGHT_BROW, FaceView, Floats, Outline

HALF = 0.12  # of the face's height: how far a line's strip reaches to both sides
NEAREST, FURTHEST = 0.16, 0.42  # of the face's height: where its double may be
BROW_PARTS = (LEFT_BROW, RIGHT_BROW)
SAMPLES = 24  # along a line
FAINTEST = 0.015  # standard deviation of the light in a strip that shows a line at all


def measure_brows(view: FaceView) -> Measurement:
    scores = [doubled(view, view.points[part], -1) for part in BROW_PARTS]
    part = BROW_PARTS[int(np.argmax(scores))]
    return Measurement(max(scores), np.concatenate([view.points[part], view.moved(part, -FURTHEST)[::-1]]))


def measure_chin(view: FaceView) -> Measurement:
    outline = np.concatenate([view.points[CHIN], view.moved(CHIN, FURTHEST)[::-1]])
    return Measurement(doubled(view, view.points[CHIN], 1), outline)


def doubled(view: FaceView, line: Outline, way: int) -> float:
    """How well the strip along a line is repeated below (``way`` 1) or above it (-1): 1 for a whole copy."""
    half, near, far = (round(share * view.height) for share in (HALF, NEAREST, FURTHEST))
    first = _strip(view, line, -half, half)
    variance = float(first.var())
    if variance < FAINTEST**2:
        return 0.0
    best = 0.0
    for step in range(near, far + 1):
        second = _strip(view, line, way * step - half, way * step + half)
        shared = float(((first - first.mean()) * (second - second.mean())).mean())
        # Like in shape, and as strong: any line repeats a faint one's shape somewhere.
        likeness = shared / (first.std() * second.std() + 1e-6)
        best = max(best, likeness * min(1.0, shared / variance))
    return best


def _strip(view: FaceView, line: Outline, first: int, last: int) -> Floats:
    """The light along a line, and along it moved down by ``first`` to ``last`` px: (last - first + 1, SAMPLES)."""
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, way[-1], SAMPLES)
    x, y = (np.interp(at, way, line[:, axis]) for axis in (0, 1))
    rows = y + np.arange(first, last + 1)[:, None]
    strip: Floats = map_coordinates(
        view.light, [rows - 0.5, np.broadcast_to(x, rows.shape) - 0.5], order=1, mode="nearest"
    )
    return strip


flaws.register("brows")(Flaw(measure_brows, 0.86, 0.05, "An eyebrow is there twice.", reliable=False))
flaws.register("chin")(Flaw(measure_chin, 0.85, 0.05, "The line of the chin is there twice.", reliable=False))
