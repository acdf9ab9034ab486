"""A face that is blurrier than its surroundings: a small generator's face, enlarged into a sharp photo."""

from scipy.ndimage import binary_dilation, binary_erosion

from shield.detection.flaws.flaw import NOTHING, Flaw, Measurement, flaws
from shield.detection.flaws.sharpness import details, sharpness
from shield.detection.view import FaceView

INWARDS, OUTWARDS = 3, 6  # px: the edge between the two belongs to neither
FEWEST = 100  # px


def measure(view: FaceView) -> Measurement:
    face = view.inside(view.face_outline)
    inner, around = binary_erosion(face, iterations=INWARDS), ~binary_dilation(face, iterations=OUTWARDS)
    if min(inner.sum(), around.sum()) < FEWEST:
        return Measurement(NOTHING, view.face_outline)
    bands = details(view.light)
    return Measurement(sharpness(bands, around) - sharpness(bands, inner), view.face_outline)


flaws.register("blur")(Flaw(measure, 0.42, 0.3, "The face is blurrier than what is around it."))
