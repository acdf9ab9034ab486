"""What a check is: something that can be seen on a face, a number for how much of it there is, a line that says so."""

from collections.abc import Callable
from dataclasses import dataclass

from shield.detection.view import FaceView, Outline
from shield.registry import Registry


@dataclass(frozen=True)
class Measurement:
    """How much of a flaw a face shows (larger is more) and the outline of the place where it shows."""

    score: float
    outline: Outline


@dataclass(frozen=True)
class Flaw:
    """A check. ``threshold``: what at most one in twenty untouched faces goes beyond; ``spread``: a step above it.

    ``reliable``: it finds four in five of the forgeries that ``shield.bench.forgeries`` makes for it. Others are off unless
    they are asked for by name.
    """

    measure: Callable[[FaceView], Measurement]
    threshold: float
    spread: float
    sentence: str
    reliable: bool = True


flaws: Registry[Flaw] = Registry("check")
