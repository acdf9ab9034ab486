"""Bounds: how far the protected photo may go from the original. One file and one word here each."""

from shield.bounds.bound import Bound, Steered
from shield.bounds.linf import Linf
from shield.bounds.lpips import FaceLpips, LpipsBound

__all__ = ["Bound", "FaceLpips", "Linf", "LpipsBound", "Steered"]
