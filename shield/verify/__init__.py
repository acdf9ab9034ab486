"""Verification on saved files, with real codecs and controls."""

from shield.verify.effects import Manipulation
from shield.verify.plan import EXTENTS, FULL, PLAN, QUICK, Plan, plan_of
from shield.verify.report import Report
from shield.verify.rows import EXACT, HELD, NOISE, PROTECTED, RESAVED, Detection, Effect, Swap
from shield.verify.swaps import ShownSwap
from shield.verify.verification import Counted, Source, Verification, find_faces, verify_photo, versions

__all__ = [
    "EXACT",
    "EXTENTS",
    "FULL",
    "HELD",
    "NOISE",
    "PLAN",
    "PROTECTED",
    "QUICK",
    "RESAVED",
    "Counted",
    "Detection",
    "Effect",
    "Manipulation",
    "Plan",
    "Report",
    "ShownSwap",
    "Source",
    "Swap",
    "Verification",
    "find_faces",
    "plan_of",
    "verify_photo",
    "versions",
]
