"""Visible flaws: what forensic readers look for on a face. One file and one word here each."""

from shield.detection.flaws import blur, doubling, droplets, eyes, grid, lighting, seam, skin
from shield.detection.flaws.flaw import Flaw, Measurement, flaws

__all__ = [
    "Flaw",
    "Measurement",
    "blur",
    "doubling",
    "droplets",
    "eyes",
    "flaws",
    "grid",
    "lighting",
    "seam",
    "skin",
]
