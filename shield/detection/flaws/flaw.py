"""What a check is: something to be seen on a face, a number for how much of it there is, a line that says so."""

from collections.abc import Callable
from dataclasses import dataclass

from shield.detection.view import FaceView, Outline
from shield.registry import Registry

NOTHING = float("-inf")  # the score of a face on which a check cannot say anything


@dataclass(frozen=True, eq=False)
class Measurement:
    """How much of a flaw a face shows (larger is more) and the outline of the place where it shows."""

    score: float
    outline: Outline


@dataclass(frozen=True)
class Flaw:
    """A check.

    ``threshold``: at most one in twenty untouched faces scores higher. ``spread``: so much above it counts as one step.
    ``reliable``: it finds four in five of the forgeries that ``shield.bench.forgeries`` makes for it; a check that does
    not is off unless it is asked for.
    """

    measure: Callable[[FaceView], Measurement]
    threshold: float
    spread: float
    sentence: str
    reliable: bool = True

    def excess(self, score: float) -> float:
        """How many steps a score lies above the threshold, 0 to ``MOST``."""
        return min(MOST, max(0.0, (score - self.threshold) / self.spread))


MOST = 3.0  # steps: beyond them a flaw says no more

flaws: Registry[Flaw] = Registry("check")
