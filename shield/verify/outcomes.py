"""Whether what an editor makes is a usable deepfake: one does what was asked, shows that person, and is no garbage.

Read by networks that no search asks: what was asked by the attribute network or the landmarks, the person by SFace,
which knows the photo as it was. Garbage is what differs from the same edit of that photo where the edit changed it
(l2_mask, Huang et al. 2022, arXiv 2105.10872).
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Protocol

import torch
from torch import Tensor

from shield.device import fast_precision
from shield.faces import Face, warp
from shield.faces.attributes import SIZE, WORDS, AttributeNet, described, load_attributes
from shield.faces.expression import conditions, progress
from shield.faces.landmarks import FRAMING, LandmarkNet, load_landmarks
from shield.faces.landmarks import SIZE as LANDMARKS_SIZE
from shield.surrogates import Surrogate, ganimation, load_surrogate
from shield.surrogates.recognisers import JUDGE

GARBAGE = 0.05  # l2_mask above which an edit is none of that face any more
AS_IT_WAS = math.nan
# As GANimation's, to which SPADE adds one.
EXPRESSIONS = ganimation.EDITS | {"raised brows": (AS_IT_WAS, AS_IT_WAS, 1.5, AS_IT_WAS)}
ON_THE_WAY = 0.2  # to an expression: what counts as read; landmarks of an unedited face stay far below it


class Reading(Protocol):
    """How it is read that an edit was done."""

    def look(self, judges: "Judges", pictures: Tensor, face: Face) -> Tensor:
        """What a network sees in pictures (N, 3, s, s) in [0, 1] of a face that is there in each of them: (N, K)."""
        ...

    def done(self, before: Tensor, after: Tensor) -> Tensor:
        """Whether that became what was asked for, (N,), yes or no."""
        ...


@dataclass(frozen=True)
class Words:
    """Words that a viewer has for the edited face, for all of it, and had not for the face as it was."""

    words: tuple[str, ...]

    def look(self, judges: "Judges", pictures: Tensor, face: Face) -> Tensor:
        return judges.attributes(pictures, face)

    def done(self, before: Tensor, after: Tensor) -> Tensor:
        was, now = (torch.stack([described(seen, word) for word in self.words]).all(0) for seen in (before, after))
        return now & ~was


@dataclass(frozen=True)
class Expression:
    """A face on its way to an expression, the measures of which are ``target``: those that are to change."""

    target: tuple[float, ...]

    def look(self, judges: "Judges", pictures: Tensor, face: Face) -> Tensor:
        return judges.expression(pictures, face)

    def done(self, before: Tensor, after: Tensor) -> Tensor:
        target = torch.tensor(self.target).to(before)
        return progress(before, after, torch.where(target.isnan(), before, target)) >= ON_THE_WAY


class Judges:
    """The networks that judge edits on a device, each loaded when it is first asked."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @cached_property
    def recogniser(self) -> Surrogate:
        """Who says whether a person is known."""
        return load_surrogate(JUDGE, self.device)

    @cached_property
    def _attributes(self) -> AttributeNet:
        return load_attributes().to(self.device)

    @cached_property
    def _landmarks(self) -> LandmarkNet:
        return load_landmarks().to(self.device)

    def attributes(self, pictures: Tensor, face: Face) -> Tensor:
        """What a viewer would say of them, as logits (N, 8)."""
        logits: Tensor = self._attributes(warp(pictures, face, SIZE))
        return logits

    def expression(self, pictures: Tensor, face: Face) -> Tensor:
        """The measures of their expression, (N, 4)."""
        return conditions(self._landmarks(warp(pictures, face, LANDMARKS_SIZE, FRAMING)))

    def know(self, pictures: Tensor, face: Face, persons: Tensor) -> Tensor:
        """Whether they show the persons of these embeddings (N, 1, D): (N,), yes or no."""
        crops = warp(pictures, face, self.recogniser.size, self.recogniser.framing)
        with fast_precision(self.device):
            embeddings = self.recogniser(crops).float()
        return self.recogniser.distance(embeddings, persons)[:, 0] <= self.recogniser.threshold

    def usable(self, editor: Surrogate, crops: Tensor, results: Tensor, persons: Tensor, damage: Tensor) -> Tensor:
        """Which results (N, E, 3, s, s) in [-1, 1] are usable deepfakes: (N, E), 1 or 0, not a number where none reads.

        ``crops``: what the editor is given of the original, (N, 3, s, s) in [0, 1]. ``persons``: the recogniser's
        embeddings of the original, (N, 1, D). ``damage``: the results' l2_mask, (N, E).
        """
        face = _framed(editor)
        pictures = ((results + 1) / 2).clamp(0, 1)
        readings = [reading_of(edit) for edit in editor.edits]
        kinds = {type(reading): reading for reading in readings if reading}
        before = {kind: reading.look(self, crops, face) for kind, reading in kinds.items()}
        answers = torch.full_like(damage, torch.nan)
        for edit, reading in enumerate(readings):
            if reading is None:
                continue
            rows = (damage[:, edit] <= GARBAGE).nonzero()[:, 0]
            if len(rows):  # networks take no empty batch
                after = reading.look(self, pictures[rows, edit], face)
                rows = rows[reading.done(before[type(reading)][rows], after)]
            if len(rows):  # the recogniser is the dearest, so that it comes last
                rows = rows[self.know(pictures[rows, edit], face, persons[rows])]
            answers[:, edit] = 0
            answers[rows, edit] = 1
        return answers


def can_judge(editor: Surrogate) -> bool:
    """Whether any edit of the network can be read."""
    return editor.makes_pictures and any(map(reading_of, editor.edits))


@cache
def reading_of(edit: str) -> Reading | None:
    """How an edit is read, by its name: an expression, or words for a face ("blond hair, male"). None where it is not.

    All of the words have to be known: half of an edit is none.
    """
    if edit in EXPRESSIONS:
        return Expression(EXPRESSIONS[edit])
    words = tuple(word.strip().lower().replace("_", " ") for word in edit.split(","))
    return Words(words) if WORDS.issuperset(words) else None


def _framed(editor: Surrogate) -> Face:
    """Where the face is in what the editor is given and makes."""
    side = float(editor.size)
    return Face((0.0, 0.0, side, side), tuple((side * x, side * y) for x, y in editor.framing.points))
