"""Attacks: ways to climb a loss within a bound. One file and one word here each."""

from shield.attacks import adam, apgd, lpa, momentum, sign, tangent, torchattacks, unsearched
from shield.attacks.loop import Attack, Progress, attacks

__all__ = [
    "Attack",
    "Progress",
    "adam",
    "apgd",
    "attacks",
    "lpa",
    "momentum",
    "sign",
    "tangent",
    "torchattacks",
    "unsearched",
]
