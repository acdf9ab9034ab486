"""Skin of another tone on the face than on forehead and neck: a face that another's was put over."""

import numpy as np

from shield.detection.flaws.flaw import NOTHING, Flaw, Measurement, flaws
from shield.detection.view import FaceView, Floats, Outline

FEWEST = 20  # px
SKIN = 0.25  # share of a part that is taken for skin, the nearest in tone: the rest may be hair, cloth or shadow


def measure(view: FaceView) -> Measurement:
    """The distance in the plane of a* and b*, to the nearer of forehead and neck."""
    cheeks = np.concatenate([_tones(view, outline) for outline in view.cheek_outlines])
    others = [
        tones for part in (view.forehead_outline, view.neck_outline) if len(tones := _tones(view, part)) >= FEWEST
    ]
    if len(cheeks) < FEWEST or not others:
        return Measurement(NOTHING, view.face_outline)
    tone = np.median(cheeks, axis=0)
    distances = [np.quantile(np.linalg.norm(tones - tone, axis=1), SKIN) for tones in others]
    return Measurement(float(min(distances)), view.face_outline)


def _tones(view: FaceView, outline: Outline) -> Floats:
    """The a* and b* of a part's pixels, (N, 2)."""
    tones: Floats = view.lab[view.inside(outline)][:, 1:]
    return tones


flaws.register("skin")(Flaw(measure, 8.3, 2.3, "The skin of the face has another tone than forehead and neck."))
