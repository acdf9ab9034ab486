"""A face lit from another side than the forehead above it and the neck below it."""

import numpy as np

from shield.detection.flaws.flaw import NOTHING, Flaw, Measurement, flaws
from shield.detection.view import FaceView, Outline

FEWEST = 9  # px
BRIGHT = 0.8  # of a part's pixels this share is darker: strands of hair and shadows do not count


def measure(view: FaceView) -> Measurement:
    """How much one cheek outshines the other, as a logarithm, beyond what forehead or neck account for.

    The least of three explanations counts: the light of the forehead, that of the neck, and light from the front.
    """
    cheeks = _lean(view, *view.cheek_outlines, share=0.5)
    others = [_lean(view, *_halves(outline), share=BRIGHT) for outline in (view.forehead_outline, view.neck_outline)]
    if cheeks is None:
        return Measurement(NOTHING, view.face_outline)
    explained = [0.0, *(other for other in others if other is not None)]
    return Measurement(min(abs(cheeks - other) for other in explained), view.face_outline)


def _halves(band: Outline) -> tuple[Outline, Outline]:
    """The left and the right half of a band whose upper edge is followed by its lower one, backwards."""
    count = len(band) // 2
    edges = band[:count], band[count:][::-1]
    half = (count + 1) // 2
    left, right = ([edge[part] for edge in edges] for part in (slice(0, half), slice(count - half, count)))
    return tuple(np.concatenate([upper, lower[::-1]]) for upper, lower in (left, right))  # type: ignore[return-value]


def _lean(view: FaceView, left: Outline, right: Outline, share: float) -> float | None:
    """The logarithm of the left part's light over the right one's; None where there is too little to see."""
    parts = [view.light[view.inside(outline)] for outline in (left, right)]
    if min(map(len, parts)) < FEWEST:
        return None
    first, second = (np.log(np.quantile(part, share) + 0.02) for part in parts)
    return float(first - second)


flaws.register("lighting")(
    Flaw(measure, 0.30, 0.2, "The light on the face comes from another side than around it.", reliable=False)
)
