"""Detection: is this picture generated or manipulated? A network, visible flaws, and one verdict with reasons."""

from shield.detection import flaws
from shield.detection.calibration import called, probability_of
from shield.detection.detection import DEFAULT_CHECKS, detect, judge
from shield.detection.detector import SHIPPED, Detector, Shipped, detectors
from shield.detection.verdict import FaceVerdict, Reason, Verdict

__all__ = [
    "DEFAULT_CHECKS",
    "SHIPPED",
    "Detector",
    "FaceVerdict",
    "Reason",
    "Shipped",
    "Verdict",
    "called",
    "detect",
    "detectors",
    "flaws",
    "judge",
    "probability_of",
]
