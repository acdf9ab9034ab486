"""Training: the recipes that make the weights in models/. One file and one word here each."""

from shield.training import (
    attributes,
    biggan,
    cyclegan,
    detector,
    ganimation,
    pix2pixhd,
    progan,
    protector,
    spade,
    stargan,
    students,
    stylegan2,
    stylegan2_encoder,
    swap,
    universal,
)
from shield.training.command import train_model
from shield.training.loop import recipes

__all__ = [
    "attributes",
    "biggan",
    "cyclegan",
    "detector",
    "ganimation",
    "pix2pixhd",
    "progan",
    "protector",
    "recipes",
    "spade",
    "stargan",
    "students",
    "stylegan2",
    "stylegan2_encoder",
    "swap",
    "train_model",
    "universal",
]
