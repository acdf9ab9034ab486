"""Training: the recipes that make the weights in models/. One file and one word here each."""

from shield.training import attributes, cyclegan, detector, ganimation, stargan, students, swap, universal
from shield.training.command import train_model
from shield.training.loop import recipes

__all__ = [
    "attributes",
    "cyclegan",
    "detector",
    "ganimation",
    "recipes",
    "stargan",
    "students",
    "swap",
    "train_model",
    "universal",
]
