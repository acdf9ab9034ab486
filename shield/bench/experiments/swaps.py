"""How well the face swap puts a person's face on others: pairs of LFW's test persons, none of them protected.

What protection leaves of it stands in every report, and over photos in ``shield bench results``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby

import numpy as np
import torch

from shield import FaceError, detect
from shield.bench.experiments.experiment import Case, Experiment, Row, Setting, experiments, numbers
from shield.bench.photos import LFW, ORDER, STORED, Pixels
from shield.bench.statistics import spread
from shield.errors import InputError
from shield.faces import Face
from shield.faces.aligners import aligners
from shield.faces.landmarks import FRAMING, SIZE, landmark_network
from shield.faces.sampling import cut
from shield.swap import ALIGNER, Canvas, Swapper, identity, pasted, repainted, shipped_swap
from shield.training.data import FaceSet, load_faces
from shield.verify.swaps import KNOWN_BY, Readers, found_anew

CPU = torch.device("cpu")
UNSEEN = "no face"  # what ``shield detect`` says of a swap in which it finds none


@dataclass(frozen=True)
class Pair:
    """A test person's photo, another photo of the same person, and somebody else's photo that gets the face."""

    source: Pixels
    other: Pixels
    target: Pixels


class Swaps(Experiment):
    """See above."""

    title = "How well the face swap shows a person, and what the detector says of it"
    paper = ""
    published: Sequence[Row] = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        network = shipped_swap(CPU)
        if network is None:
            raise InputError("models/ holds no swap network; train one (shield train swap).")
        test = load_faces(setting.archives(), "test", STORED, (LFW,))
        for number, pair in enumerate(pairs(test, setting.count)):
            yield Case(f"pair {number:03}", partial(self.measure, number, pair, network))

    def measure(self, number: int, pair: Pair, network: Swapper) -> list[Row]:
        """One row; a pair in which a face is not found shows nobody."""
        first: Row = {"pair": number}
        return [{**first, **(swapped(pair, network, readers()) or {})}]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        missing = [0.0] * sum("known" not in row for row in rows)

        def share(column: str, least: int = KNOWN_BY) -> str:
            return spread([float(value >= least) for value in numbers(rows, column)] + missing)

        def called(word: str) -> str:
            return spread([float(row.get("verdict") == word) for row in rows])

        moved = numbers(rows, "moved")
        lines = {
            f"person known by {KNOWN_BY} of 3": share("known"),
            "the same, from another photo of the person": share("known_as_other"),
            "the target as it was taken for the person": share("before"),
            "the target's person still known": share("left"),
            "68 landmarks moved, mean, in eye distances": spread(moved),
            "68 landmarks moved, median": float(np.median(moved)) if moved else None,
            "68 landmarks moved, nine in ten by less than": float(np.quantile(moved, 0.9)) if moved else None,
            **{f"called {word}": called(word) for word in ("fake", "unsure")},
        }
        counts = {title: len(moved) if "moved" in title else len(rows) for title in lines}
        return [
            {"swaps of clean photos": title, "value": value, "pairs": counts[title]} for title, value in lines.items()
        ]


experiments.register("swaps")(Swaps())


@cache
def readers() -> Readers:
    """The recognisers that read swaps, loaded once."""
    return Readers(CPU)


def pairs(faces: FaceSet, count: int) -> Iterator[Pair]:
    """So many persons with two photos or more, each with the photo of another person of the same sex."""
    male = faces.columns("Male")[:, 0]
    random = np.random.default_rng(ORDER)
    rows = sorted(range(len(faces)), key=lambda row: faces.persons[row])
    several = [own for _, group in groupby(rows, lambda row: faces.persons[row]) if len(own := list(group)) > 1]
    for number in random.permutation(len(several))[:count]:
        one, other = several[number][:2]
        alike = torch.nonzero(male == male[one])[:, 0].tolist()
        strangers = [row for row in alike if faces.persons[row] != faces.persons[one]]
        chosen = faces.faces[[one, other, strangers[int(random.integers(len(strangers)))]]]
        yield Pair(*(np.ascontiguousarray(face.permute(1, 2, 0).numpy()) for face in chosen))


def swapped(pair: Pair, network: Swapper, read_by: Readers) -> Row | None:
    """What became of one pair; None where a face is not found.

    ``known``, ``known_as_other``: by how many recognisers the person of the source is known in the swap, by the source
    and by the other photo; ``before``: in the target as it was; ``left``: how many still know the target's person in
    the swap. ``moved``: mean distance of the 68 landmarks between target and swap, in eye distances. ``verdict``: of
    ``shield detect``.
    """
    source, other, target = (_found(pixels) for pixels in (pair.source, pair.other, pair.target))
    if source is None or other is None or target is None:
        return None
    before = Canvas.around(pair.target, target)
    (made,) = pasted([before], repainted([before], identity(pair.source, source), network))
    after = found_anew(made, before)
    read = read_by([Canvas(pair.source, source), Canvas(pair.other, other), before, after])
    persons = [[faces[row : row + 1] for faces in read] for row in range(3)]
    # Who knows each person (rows: source, another photo of him, the target's) in the target as it was and in the swap.
    known = [[len(read_by.knowing(own)) for own in read_by.between(read, person)[2:]] for person in persons]
    # Both in the frame that the target's own points give: what the swap moves there counts.
    moved = (_landmarks(Canvas(made, before.face)) - _landmarks(before)).norm(dim=1).mean()
    return {
        "known": known[0][1],
        "known_as_other": known[1][1],
        "before": known[0][0],
        "left": known[2][1],
        "moved": float(moved),
        "verdict": _judged(made),
    }


def _found(pixels: Pixels) -> Face | None:
    """The largest face, by the swap's own aligner."""
    return next(iter(aligners[ALIGNER](pixels)), None)


@torch.no_grad()
def _landmarks(canvas: Canvas) -> torch.Tensor:
    """The 68 points of a face, in eye distances of its frame, (68, 2)."""
    points: torch.Tensor = landmark_network()(cut(canvas.pixels, canvas.face, SIZE, FRAMING))[0]
    return points / FRAMING.eye_distance


def _judged(pixels: Pixels) -> str:
    try:
        return detect(pixels).verdict
    except FaceError:
        return UNSEEN
