"""Bounds: how far the protected photo may go from the original. One file and one word here each."""

from shield.bounds import l2, lab
from shield.bounds.begun import Begun
from shield.bounds.bound import Bound, Limits, Steered, bounds
from shield.bounds.grey import Grey, seen_grey
from shield.bounds.linf import Linf
from shield.bounds.lpips import FaceLpips, LpipsBound

__all__ = [
    "Begun",
    "Bound",
    "FaceLpips",
    "Grey",
    "Limits",
    "Linf",
    "LpipsBound",
    "Steered",
    "bounds",
    "l2",
    "lab",
    "seen_grey",
]
