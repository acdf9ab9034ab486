"""Objectives: how far what a surrogate makes of a photo is from what it makes of the clean one. One file, one word."""

from shield.objectives import features, masked, output
from shield.objectives.distances import MASK_CHANGE, l1, l2, l2_mask, share_of_goal, squared_distance
from shield.objectives.objective import Manipulator, Measure, objectives

__all__ = [
    "MASK_CHANGE",
    "Manipulator",
    "Measure",
    "features",
    "l1",
    "l2",
    "l2_mask",
    "masked",
    "objectives",
    "output",
    "share_of_goal",
    "squared_distance",
]
