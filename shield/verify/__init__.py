"""Verification on saved files, with real codecs and controls."""

from shield.verify.effects import Manipulation
from shield.verify.report import NOISE, PROTECTED, RESAVED, Detection, Effect, Report
from shield.verify.verification import Counted, Verification, find_faces, verify_photo

__all__ = [
    "NOISE",
    "PROTECTED",
    "RESAVED",
    "Counted",
    "Detection",
    "Effect",
    "Manipulation",
    "Report",
    "Verification",
    "find_faces",
    "verify_photo",
]
