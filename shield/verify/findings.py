"""What verification found, as one frozen value, and what it comes to: which doors are still open, and a verdict."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import Any

from shield.channels import AS_SAVED
from shield.photo import FORMATS
from shield.surrogates import judges
from shield.verify.rows import (
    ENOUGH,
    EXACT,
    FOUND,
    HELD,
    NOISE,
    ORIGINAL,
    PROTECTED,
    RESAVED,
    SOCIAL,
    SOURCE,
    Detection,
    Effect,
    FaceReport,
    FileReport,
    Swap,
)
from shield.verify.visibility import PhotoVisibility

CONTROLS = {RESAVED: "control: saved only", NOISE: "control: noise"}
SWAPS, SEARCH, STRANGER, EDITS, UNSEEN = "face swap", "face search", "stranger", "edits", "unseen edits"
GOOD, FAIR, POOR, NOTHING = "protected", "partly protected", "not protected", "nothing to protect from"

Count = tuple[int, int]  # so many of so many


@dataclass(frozen=True)
class Door:
    """One way into a photo: how many tools worked on the original, and how many of these still do on the protected one.

    ``name``: "face swap" (a picture of another person counts where it shows whose photo it is), "face search" (a
    recogniser counts where it knows the person), "stranger" (the same of recognisers that no search asked), "edits"
    and "unseen edits" (one counts where it makes a usable deepfake). ``searched``: the search worked to close it.
    ``tried``: tools. ``worked``: those that work on the original. ``saved``: those that still do on the protected file,
    in the kind of frames in which most do. ``after``: the same by channel, of those that worked there. ``judged``:
    whether outcomes were read; without, an edit counts where it is not disrupted (Ruiz et al. 2020).
    """

    name: str
    searched: bool
    tried: int
    worked: int
    saved: int
    after: Mapping[str, Count] = field(default_factory=dict)
    judged: bool = True

    def left(self, channel: str = AS_SAVED) -> Count | None:
        """How many still work after a channel, and of how many; None where that was not measured."""
        return (self.saved, self.worked) if channel == AS_SAVED else self.after.get(channel)

    @property
    def worst(self) -> tuple[str, Count]:
        """The channel after which most still work, "none" where none leaves more than the file as saved."""
        counts = {AS_SAVED: (self.saved, self.worked), **self.after}
        channel = max(counts, key=lambda name: counts[name][0] / max(1, counts[name][1]))
        return channel, counts[channel]


@dataclass(frozen=True)
class Findings:
    """Everything that was measured on the two files.

    ``recipe``: the settings of the search where they are known. ``effects``: after every channel. ``adversaries``:
    after what every adversary does, of the protected photo and of the original (saved the same way) as control,
    hardened manipulators included; empty where nobody asked. ``weights``: sha256 by model. ``machine``: device,
    threads and precision, on which the last digits depend. ``seconds``: by phase. ``detections``: what the detector
    says of the photos and of their manipulations. ``reference``: another photo of the person, where one was given.
    ``swaps``: what a face swap makes of them; empty where none was made.
    """

    schema: int
    recipe: dict[str, Any] | None
    original: FileReport
    protected: FileReport
    faces: tuple[FaceReport, ...]
    photo: PhotoVisibility
    effects: tuple[Effect, ...]
    adversaries: tuple[Effect, ...]
    weights: dict[str, str]
    versions: dict[str, str]
    machine: dict[str, str]
    seconds: dict[str, float]
    detections: tuple[Detection, ...] = ()
    reference: FileReport | None = None
    swaps: tuple[Swap, ...] = ()

    @property
    def face_lpips(self) -> float:
        """The worst face's."""
        return self.worst_face.visibility.face_lpips

    @property
    def bound_kept(self) -> bool | None:
        """Whether every face obeys the Recipe's bounds; None where the Recipe is not known.

        In lossy files the codec's own changes come on top of the largest change, so there only what is seen counts.
        """
        if self.recipe is None:
            return None
        seen = [face.visibility for face in self.faces]
        bent = any(face.warp for face in seen)
        most = max(face.max_levels for face in seen) if bent else self.photo.max_levels
        levels = FORMATS[self.protected.format].lossy or most <= self.recipe["levels"]
        limits = self.recipe["face_lpips"], self.recipe.get("flip", 1.0)  # older reports know no FLIP
        return bool(levels and all(face.face_lpips <= limits[0] and face.flip <= limits[1] for face in seen))

    @property
    def worst_face(self) -> FaceReport:
        """The face with the largest face LPIPS."""
        return max(self.faces, key=lambda face: face.visibility.face_lpips)

    @property
    def verdict(self) -> str:
        """In a word or two: "protected", "partly protected" or "not protected".

        Protected: as saved and after a social network nothing works any more of what the search worked against and
        worked on the original. Partly: of one such way in at least, half or less does. "nothing to protect from" where
        nothing of that worked on the original.
        """
        left = [door.left(channel) for door in self.doors() if door.searched for channel in (AS_SAVED, SOCIAL)]
        counts = [count for count in left if count and count[1]]
        if not counts and any(left):
            return NOTHING
        if counts and not any(still for still, _ in counts):
            return GOOD
        return FAIR if any(still <= ENOUGH * worked for still, worked in counts) else POOR

    @property
    def reached(self) -> bool:
        """Whether the photo is protected."""
        return self.verdict == GOOD

    def doors(self) -> tuple[Door, ...]:
        """Every way into the photo that was tried, in order: face swap, face search, edits."""
        worked_on, recognisers = self._worked_on(), self._recognisers()
        editors = {effect.surrogate for effect in self.effects} - recognisers
        asked = recognisers & worked_on
        strangers = recognisers - asked if self._seen() else recognisers & {*judges}
        found = [
            self._swap_door(bool(asked) or not recognisers),
            self._search_door(SEARCH, asked - strangers, True),
            self._search_door(STRANGER, strangers, bool(asked - strangers)),
            self._edit_door(EDITS, editors & worked_on, True),
            self._edit_door(UNSEEN, editors - worked_on, False),
        ]
        return tuple(door for door in found if door is not None)

    def broken_edits(self) -> Door | None:
        """What the search worked on by the measure of Ruiz et al. alone: edits that are not disrupted still work."""
        return self._edit_door(EDITS, self._worked_on() - self._recognisers(), True, judged=False)

    def _swap_door(self, searched: bool) -> Door | None:
        clean = self.lent(ORIGINAL)
        if not clean:
            return None
        worked = works(clean)
        sent = dict.fromkeys(row.channel for row in self.swaps if row.picture == PROTECTED and row.channel != AS_SAVED)
        after = {channel: (works(self.lent(channel=channel)), worked) for channel in sent}
        return Door(SWAPS, searched, len(clean), worked, works(self.lent()), after)

    def _search_door(self, name: str, recognisers: Collection[str], searched: bool) -> Door | None:
        if not recognisers:
            return None
        _, lost, total = self._worst(recognisers)
        if not total:  # not measured as saved
            return None
        sent = {channel: self._worst(recognisers, channel)[1:] for channel in self._sent(recognisers)}
        after = {channel: (of - gone, of) for channel, (gone, of) in sent.items()}
        return Door(name, searched, total, total, total - lost, after)

    def _edit_door(self, name: str, editors: Collection[str], searched: bool, judged: bool = True) -> Door | None:
        if not editors:
            return None
        own = [row for row in self.effects if row.picture == PROTECTED and row.surrogate in editors]
        judged = judged and any(row.usable is not None for row in own)
        tried, worked, saved = self._left(editors, AS_SAVED, judged)
        sent = {channel: self._left(editors, channel, judged) for channel in self._sent(editors)}
        after = {channel: (still, of) for channel, (_, of, still) in sent.items()}
        return Door(name, searched, tried, worked, saved, after, judged)

    def _left(self, editors: Collection[str], channel: str, judged: bool) -> tuple[int, int, int]:
        """How many edits were tried, work on the original and still do, in the frames in which most do."""
        if not judged:
            _, broken, total = self._worst(editors, channel)
            return total, total, total - broken
        rows = [row for row in self.select(channel=channel, frame=None) if row.surrogate in editors]
        return max(self._by_frames(channel, rows).values(), key=openness, default=(0, 0, 0))

    def _usable(self, channel: str) -> dict[str, tuple[int, int, int]]:
        """By kind of frames: how many edits are judged, make a usable deepfake of the original, and still do."""
        rows = self.select(channel=channel, frame=None)
        return self._by_frames(channel, [row for row in rows if row.usable is not None])

    def _by_frames(self, channel: str, rows: Sequence[Effect]) -> dict[str, tuple[int, int, int]]:
        """By kind of frames: how many edits there are, work on the original, and still do."""
        kinds = {frame: [row for row in rows if row.frame == frame] for frame in self._judged(channel)}
        return {
            frame: (len(own), sum(map(_worked, own)), sum(map(_stands, own))) for frame, own in kinds.items() if own
        }

    def select(
        self,
        picture: str = PROTECTED,
        channel: str = AS_SAVED,
        surrogate: str | None = None,
        frame: str | None = HELD,
    ) -> tuple[Effect, ...]:
        """The rows of one picture and channel, of one surrogate or of all, in one kind of frames or (None) in all."""
        return tuple(
            effect
            for effect in self.effects
            if (effect.picture, effect.channel) == (picture, channel)
            and surrogate in (None, effect.surrogate)
            and frame in (None, effect.frame)
        )

    def channels(self) -> tuple[str, ...]:
        """The channels that were tried, in order."""
        return tuple(dict.fromkeys(effect.channel for effect in self.effects))

    def surrogates(self) -> tuple[str, ...]:
        """The surrogates that were tried, in order."""
        return tuple(dict.fromkeys(effect.surrogate for effect in self.effects))

    def frames(self, channel: str = AS_SAVED) -> tuple[str, ...]:
        """The kinds of frames in which the protected photo was measured after a channel, in order."""
        return tuple(dict.fromkeys(effect.frame for effect in self.select(channel=channel, frame=None)))

    def rows(self) -> tuple[tuple[str, str], ...]:
        """The channels and kinds of frames in which the protected photo was measured, in order."""
        return tuple((channel, frame) for channel in self.channels() for frame in self.frames(channel))

    def table(self) -> dict[str, dict[str, float]]:
        """Share of (face x edit x frame) disrupted, by column (a surrogate or a control) and row (channel and frames).

        Both by their titles. What was not measured is not there.
        """
        columns = {self._title(name): self._shares(PROTECTED, name) for name in self.surrogates()}
        pictures = {effect.picture for effect in self.effects}
        return columns | {heading: self._shares(name) for name, heading in CONTROLS.items() if name in pictures}

    def row_titles(self) -> tuple[str, ...]:
        """The titles of the table's rows, in order: "as saved, held"."""
        return tuple(starmap(title, self.rows()))

    def lent(self, picture: str = PROTECTED, channel: str = AS_SAVED) -> tuple[Swap, ...]:
        """The swaps that put the face of one picture, after one channel, on the donors on whom the original's works."""
        rows = [swap for swap in self.swaps if swap.role == SOURCE]
        clean = [row for row in rows if (row.picture, row.channel) == (ORIGINAL, AS_SAVED)]
        if picture == ORIGINAL:
            return tuple(clean)
        working = {(row.face, row.donor) for row in clean if row.works}
        return tuple(
            row for row in rows if (row.picture, row.channel) == (picture, channel) and (row.face, row.donor) in working
        )

    def _seen(self) -> set[str]:
        """The surrogates that the search is known to have worked on."""
        return {effect.surrogate for effect in self.effects if effect.seen}

    def _recognisers(self) -> set[str]:
        return {effect.surrogate for effect in self.effects if effect.l2 is None}

    def _worked_on(self) -> set[str]:
        """The surrogates that the search worked on or, where that is not known, those that were measured in full."""
        return self._seen() or self._in_full() or set(self.surrogates())

    def _in_full(self) -> set[str]:
        """The surrogates that were measured after more than being saved."""
        return {
            effect.surrogate for effect in self.effects if (effect.picture, effect.channel) != (PROTECTED, AS_SAVED)
        }

    def _asked(self) -> set[str]:
        """The recognisers that the search worked on, judges, and others that were measured in full."""
        return self._recognisers() & (self._worked_on() | self._in_full() | {*judges})

    def _judged(self, channel: str = AS_SAVED) -> tuple[str, ...]:
        """The kinds of frames by which protection is judged: all that were measured, but for the upper limit."""
        measured = self.frames(channel)
        return tuple(frame for frame in measured if frame != EXACT) or measured

    def _sent(self, surrogates: Collection[str]) -> list[str]:
        """The channels, other than just saving, after which any of these surrogates was measured."""
        rows = [e for e in self.effects if e.picture == PROTECTED and e.surrogate in surrogates]
        return [channel for channel in dict.fromkeys(e.channel for e in rows) if channel != AS_SAVED]

    def _counts(self, surrogates: Collection[str], channel: str = AS_SAVED) -> dict[str, tuple[int, int]]:
        """Disrupted edits of these surrogates, and all of them, by kind of frames."""
        rows = [effect for effect in self.select(channel=channel, frame=None) if effect.surrogate in surrogates]
        return {frame: disrupted(e for e in rows if e.frame == frame) for frame in dict.fromkeys(e.frame for e in rows)}

    def _worst(self, surrogates: Collection[str], channel: str = AS_SAVED) -> tuple[str, int, int]:
        """The kind of frames, in words, in which the fewest edits of these surrogates break; how many, and of how many.

        Nothing of nothing where there are none.
        """
        judged = self._judged(channel)
        counts = {frame: count for frame, count in self._counts(surrogates, channel).items() if frame in judged}
        if not counts:
            return "", 0, 0
        frame = min(counts, key=lambda name: counts[name][0] / counts[name][1])
        alike = len(counts) > 1 and len(set(counts.values())) == 1
        return "however the face is framed" if alike else framed(frame), *counts[frame]

    def _shares(self, picture: str, surrogate: str | None = None) -> dict[str, float]:
        """Mean share of frames disrupted, by title of the row."""
        shares = {}
        for channel, frame in self.rows():
            if rows := self.select(picture, channel, surrogate, frame):
                shares[title(channel, frame)] = sum(row.share for row in rows) / len(rows)
        return shares

    def _title(self, surrogate: str) -> str:
        unseen = self.recipe and not any(effect.seen for effect in self.effects if effect.surrogate == surrogate)
        return f"{surrogate}, unseen" if unseen else surrogate


def openness(count: tuple[int, int, int]) -> tuple[float, int]:
    """Of edits that were tried, work and still do: how open that leaves a door, for finding the worst of several."""
    _, worked, still = count
    return still / max(1, worked), worked


def _worked(row: Effect) -> bool:
    """Whether an edit works on the original; one that no judge reads does."""
    return row.usable is None or row.works


def _stands(row: Effect) -> bool:
    """Whether it still does; one that no judge reads does where it does not break."""
    return not row.disrupted if row.usable is None else row.still_works


def title(channel: str, frame: str) -> str:
    """A row of the table in words."""
    return f"{'as saved' if channel == AS_SAVED else channel}, {frame}"


def framed(frame: str) -> str:
    """A kind of frames in words."""
    words = {EXACT: "in the search's own frame, an upper limit", HELD: "in frames drawn at random"}
    return words.get(frame) or f"as found by {frame.removeprefix(FOUND)}"


def disrupted(effects: Iterable[Effect]) -> Count:
    """How many rows are disrupted, and how many there are."""
    rows = list(effects)
    return sum(row.disrupted for row in rows), len(rows)


def works(swaps: Iterable[Swap]) -> int:
    """How many swaps show whom they should."""
    return sum(swap.works for swap in swaps)
