"""The frames in which manipulators take a face: never one, always a distribution.

Nobody who makes a deepfake frames a face as a search did: detectors, landmarks and templates disagree by percents of
the frame. So a search looks through frames drawn anew at every step (expectation over transformation; Athalye et al.
2018, arXiv 1707.07397), and verification through other draws of the same distribution, held out from every search.
"""

import random
from dataclasses import dataclass

from shield.faces import Face


@dataclass(frozen=True)
class Reframing:
    """One frame, seen from the template's: ``shift`` in shares of its side, ``scale`` of its size, turn in degrees."""

    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    degrees: float = 0.0

    def of(self, face: Face) -> Face:
        """The face as somebody sees it who frames it so."""
        return face.reframed(self.shift, self.scale, self.degrees)


@dataclass(frozen=True)
class Frames:
    """Frames around a template's, uniform up to ``shift`` of the side, ``scale`` of the size and ``turn`` degrees."""

    shift: float = 0.04
    scale: float = 0.08
    turn: float = 4.0

    def times(self, share: float) -> "Frames":
        """The same, so much as wide; 0: the template's own frame alone."""
        return Frames(share * self.shift, share * self.scale, share * self.turn)

    def draw(self, source: random.Random) -> Reframing:
        """The next frame."""
        right, down, larger, turned = (source.uniform(-1, 1) for _ in range(4))
        return Reframing((self.shift * right, self.shift * down), 1 + self.scale * larger, self.turn * turned)


FRAMES = Frames()  # what detectors, landmarks and the rules of published tools differ by
EXACT = Reframing()  # the template on the very points that the search knew: an upper limit
HELD = 16  # draws that no search sees
_HELD_SEED = "held out from every search"  # a text: no Recipe's seed, which is a number, ever equals it


def held(count: int = HELD) -> tuple[Reframing, ...]:
    """The first ``count`` of the fixed draws on which protection is judged. The same for everybody, always."""
    source = random.Random(_HELD_SEED)
    return tuple(FRAMES.draw(source) for _ in range(count))


def searched(seed: int) -> random.Random:
    """The source of a search's draws."""
    return random.Random(seed)
