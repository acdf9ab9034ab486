"""Bounds: how far the protected photo may go from the original. One file and one word here each."""

from shield.bounds import l2, lab
from shield.bounds.band import Band
from shield.bounds.begun import Begun
from shield.bounds.bound import Bound, Excesses, Limits, Steered, bounds
from shield.bounds.grey import Grey, as_grey
from shield.bounds.greyed import Greyed
from shield.bounds.linf import Linf
from shield.bounds.lpips import FaceLpips, LpipsBound
from shield.bounds.visible import LOUDEST, Allowed, Visible, shrinkage

__all__ = [
    "LOUDEST",
    "Allowed",
    "Band",
    "Begun",
    "Bound",
    "Excesses",
    "FaceLpips",
    "Grey",
    "Greyed",
    "Limits",
    "Linf",
    "LpipsBound",
    "Steered",
    "Visible",
    "as_grey",
    "bounds",
    "l2",
    "lab",
    "shrinkage",
]
