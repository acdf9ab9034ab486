"""What verification found, as one frozen value: rows for researchers, sentences for people, JSON for both."""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import starmap
from typing import Any

from shield.carriers import Field
from shield.channels import AS_SAVED, load_channel
from shield.photo import FORMATS
from shield.surrogates import judges
from shield.verify.visibility import FaceVisibility, PhotoVisibility

SCHEMA = 6
PROTECTED, RESAVED, NOISE = "protected", "resaved", "noise"
CONTROLS = {RESAVED: "control: saved only", NOISE: "control: noise"}
EXACT, HELD, FOUND = "exact", "held", "found:"  # kinds of frames; the last one is followed by an aligner's name
SOCIAL = "social"
ORIGINAL, MANIPULATED, BROKEN = "original", "manipulated", "broken"
SOURCE, TARGET = "source", "target"  # what the photo is to a face swap
ENOUGH = 0.5  # share of the frames in which an edit that counts as disrupted is, or as a usable deepfake


@dataclass(frozen=True)
class Effect:
    """What one edit made of one face of one picture after one channel, against the original's result in the same frame.

    ``channel``: what happened to the file on its way, or what an adversary did to it. ``picture``: "protected", or a
    control: "resaved" (the original, saved the same way) or "noise" (random signs at the protected photo's face
    LPIPS). ``frame``: where the face was taken from: "held" (draws of a distribution that no search sees),
    "found:NAME" (where that aligner finds it in the very pixels that were sent) or "exact" (as the search knew it: an
    upper limit). ``frames``: how many of these there were; ``distance`` (l2, or squared distance of embeddings),
    ``l1``, ``l2`` and ``l2_mask`` (on [-1, 1], None for embeddings) are means over them, ``share`` is the share in
    which the distance is beyond ``threshold``. ``disrupted``: that is at least half of them. ``seen``: the search used
    the surrogate. ``usable``: the share of frames in which the result is a usable deepfake, that is, the attribute
    network or the landmarks read the edit in it, SFace (which no search asks) knows the person of the original, and
    l2_mask is at most 0.05; ``usable_clean``: the same of the original's result in the same frames. None where no judge
    reads the edit. ``known``: the share of frames in which a recogniser takes the face for that of the reference photo,
    ``known_clean``: the same of the original; None where there is no reference, and of manipulators.
    """

    face: int
    surrogate: str
    edit: str
    seen: bool
    picture: str
    channel: str
    frame: str
    frames: int
    distance: float
    threshold: float
    share: float
    disrupted: bool
    l1: float | None
    l2: float | None
    l2_mask: float | None
    usable: float | None = None
    usable_clean: float | None = None
    known: float | None = None
    known_clean: float | None = None

    @property
    def works(self) -> bool:
        """Whether the edit makes a usable deepfake of the original: otherwise nothing is lost by protection."""
        return self.usable_clean is not None and self.usable_clean >= ENOUGH

    @property
    def still_works(self) -> bool:
        """Whether it makes one of the original and of this picture."""
        return self.works and self.usable is not None and self.usable >= ENOUGH


@dataclass(frozen=True)
class Detection:
    """What the detector's network says of one picture of a face.

    ``picture``: "original" or "protected", the photos; "manipulated", what ``surrogate`` makes of the original for
    ``edit``, or "broken", what it makes of the protected photo. ``probability``: that it is made or manipulated.
    ``verdict``: "real", "fake" or "unsure".
    """

    face: int
    picture: str
    surrogate: str | None
    edit: str | None
    probability: float
    verdict: str


@dataclass(frozen=True)
class Swap:
    """One face swap, as a tool makes it of one picture after one channel.

    ``role``: "source", the photo's face was put on the ``donor``'s picture, or "target", the donor's face on the photo.
    ``picture``: "original", "protected", or a control. ``distances``: squared, by recogniser, from the face in the swap
    to that of whom it should show, in the clean photo or in the donor's picture. ``known_by``: the recognisers that
    know him. ``works``: at least two do. ``l2``, ``l2_mask``: of a target, from what the network makes of the original
    in the same frame, on [-1, 1].
    """

    face: int
    donor: str
    role: str
    picture: str
    channel: str
    distances: dict[str, float]
    known_by: tuple[str, ...]
    works: bool
    l2: float | None = None
    l2_mask: float | None = None


@dataclass(frozen=True)
class FaceReport:
    """One face: where it is, how visible its change is, and the same of the noise control.

    ``aligner``: what found it; "" of a whole picture. ``doubt``: why it may be framed wrongly, "" where it is not.
    ``flow``: what it was bent by, where that is known: right and down by row and column, in sides of its frame.
    """

    box: tuple[float, float, float, float]
    score: float
    side: float
    visibility: FaceVisibility
    noise_face_lpips: float
    aligner: str = ""
    doubt: str = ""
    flow: Field | None = field(default=None, repr=False)


@dataclass(frozen=True)
class FileReport:
    """One file: what was read and how large it is. ``notes``: sentences on what was converted or left out of it."""

    name: str | None
    sha256: str
    format: str
    width: int
    height: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
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

    def __repr__(self) -> str:
        broken, total = _count(self.select(channel=AS_SAVED))
        names = f"{self.original.name!r}, {self.protected.name!r}"
        return f"Report({names}, {len(self.faces)} face(s), {broken} of {total} manipulations broken as saved)"

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
    def reached(self) -> bool:
        """Whether every edit that the search worked on is disrupted as saved, in held frames and for every aligner."""
        worked_on = self._worked_on()
        rows = [row for frame in self._judged() for row in self.select(frame=frame) if row.surrogate in worked_on]
        return bool(rows) and all(row.disrupted for row in rows)

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

    @property
    def verdict(self) -> str:
        """In a word or two: "protected", "partly protected" or "not protected".

        Of the manipulations that the search worked on, on the saved file, in the frames in which the fewest break, and
        after a social network's compression.
        """
        worked_on = self._worked_on()
        counts = [self._worst(worked_on)[1:], self._worst(worked_on, SOCIAL)[1:]]
        broken, total = (sum(column) for column in zip(*counts, strict=True))
        return "protected" if broken == total > 0 else "partly protected" if broken else "not protected"

    def headline(self) -> str:
        """The shortest sentence: how many manipulations break, and after what a social network does to photos.

        In the frames in which the fewest do. Of the manipulations that the search worked on; of the others in a
        sentence of their own. Before it whom face swaps show, whom recognisers know, and what deepfakes are usable.
        """
        worked_on = self._worked_on()
        sentences = self._outcomes()
        if edited := worked_on - self._asked():
            where, *counts = self._worst(edited)
            parts = [f"{counts[0]} of {counts[1]} manipulations break {where}".rstrip()]
            if SOCIAL in self.channels():
                parts.append("after a social network's compression {} of {}".format(*self._worst(edited, SOCIAL)[1:]))
            sentences.append("; ".join(parts) + ".")
        if unseen := set(self.surrogates()) - worked_on - self._asked():
            sentences.append("Of networks that the search did not see, {} of {}.".format(*self._worst(unseen)[1:]))
        return " ".join(sentences) + self.doubts()

    def identity_sentence(self) -> str:
        """How many recognisers no longer know the person, which is what face swaps and face search go by.

        Of those that the search worked on and of judges, in the frames in which the fewest lose him.
        """
        asked = self._asked()
        where, lost, total = self._worst(asked)
        parts = [f"Face swap and face search: {lost} of {total} recognisers no longer know the person {where}".rstrip()]
        seen = {effect.surrogate for effect in self.effects if effect.seen}
        if seen and (judged := asked - seen):
            parts.append("of those that no search asked, {} of {}".format(*self._worst(judged)[1:]))
        if SOCIAL in self.channels():
            parts.append("after a social network's compression {} of {}".format(*self._worst(asked, SOCIAL)[1:]))
        return "; ".join(parts) + "."

    def sentence(self) -> str:
        """Plain sentences on what holds and what does not, of what the search worked on and of judges."""
        edited = self._worked_on() - self._asked()
        return " ".join(self._outcomes() + ([self._edits_sentence(edited)] if edited else [])) + self.doubts()

    def outcome_sentence(self) -> str:
        """How many edits make a usable deepfake of the original, and how many of these one of the protected photo.

        Of all editors, in the frames in which most still do; "" where no judge reads an edit.
        """
        counts = {frame: _usable(self.select(frame=frame)) for frame in self._judged()}
        counts = {frame: count for frame, count in counts.items() if count[0]}
        if not counts:
            return ""
        frame = max(counts, key=lambda name: counts[name][2] / max(1, counts[name][1]))
        alike = len(counts) > 1 and len(set(counts.values())) == 1
        judged, before, after = counts[frame]
        parts = [
            f"Edits, {'however the face is framed' if alike else framed(frame)}: {before} of {judged} would have made "
            f"a usable deepfake of the original, {after} of the protected photo"
        ]
        _, before, after = _usable(self.select(channel=SOCIAL))
        if before:
            parts.append(f"after a social network's compression {after} of {before}")
        return "; ".join(parts) + "."

    def _outcomes(self) -> list[str]:
        """What tools still do: a sentence each on face swaps, recognisers and editors, where there are any."""
        swaps = self.swap_sentence() if self.lent(ORIGINAL) else ""
        sentences = [swaps, self.identity_sentence() if self._asked() else "", self.outcome_sentence()]
        return [sentence for sentence in sentences if sentence]

    def _edits_sentence(self, worked_on: set[str]) -> str:
        """One plain sentence on what becomes of the edits of these surrogates."""
        saved = self._counts(worked_on)
        exact = saved.pop(EXACT) if len(saved) > 1 and EXACT in saved else None
        where, broken, total = self._worst(worked_on)
        parts = [f"{broken} of {total} manipulations break on the saved file {where}".rstrip()]
        if len(set(saved.values())) > 1:
            others = {framed(frame): count for frame, count in saved.items() if framed(frame) != where}
            for count in dict.fromkeys(others.values()):
                parts.append("{} of {} {}".format(*count, _list([word for word in others if others[word] == count])))
        if exact is not None and exact != (broken, total):
            parts.append("{} of {} {}".format(*exact, framed(EXACT)))
        sent = {channel: self._worst(worked_on, channel)[1:] for channel in self._sent(worked_on)}
        firm = [load_channel(c).words for c, (b, t) in sent.items() if b == t]
        weak = [f"{load_channel(c).words} ({b} of {t})" for c, (b, t) in sent.items() if b < broken]
        if firm and broken == total:
            parts.append(f"still all of them after {_list(firm)}")
        if weak:
            parts.append(f"fewer after {_list(weak)}")
        frame = next(iter(self._judged()), HELD)
        noise, measured = _count(row for row in self.select(NOISE, frame=frame) if row.surrogate in worked_on)
        if measured:
            parts.append(f"noise of the same visibility breaks {noise}")
        return "; ".join(parts) + "."

    def doubts(self) -> str:
        """A sentence, after a space, on every face that may be framed wrongly; nothing where there is none."""
        doubtful = [(number, face.doubt) for number, face in enumerate(self.faces, start=1) if face.doubt]
        return "".join(
            f" Face {number} may be framed wrongly, and what is said of it with it: {doubt}."
            for number, doubt in doubtful
        )

    @property
    def other_side(self) -> "Report":
        """This report with adversaries where channels are: whatever reads the one reads the other."""
        return replace(self, effects=self.adversaries, adversaries=())

    def reference_sentence(self) -> str:
        """One plain sentence on how many recognisers know the person of the reference photo, in the worst frames.

        Only those count that know the original beside it.
        """
        lost, total = self._lost()
        if not total:
            return (
                "Beside the other photo no recogniser knows the person of the original, so that nothing can be said; "
                "give another photo of the same person."
            )
        parts = [f"Beside the other photo {lost} of {total} recognisers no longer know the person"]
        if SOCIAL in self.channels():
            parts.append("after a social network's compression {} of {}".format(*self._lost(SOCIAL)))
        return "; ".join(parts) + "."

    def _lost(self, channel: str = AS_SAVED) -> tuple[int, int]:
        """How many recognisers (of every face) know the reference's person in no kind of frames; of how many."""
        lost: dict[tuple[int, str, str], bool] = {}
        for row in (row for frame in self._judged(channel) for row in self.select(channel=channel, frame=frame)):
            if row.known is not None and row.known_clean is not None and row.known_clean >= ENOUGH:
                lost[_subject(row)] = lost.get(_subject(row), True) and row.known < ENOUGH
        return sum(lost.values()), len(lost)

    def undo_sentence(self) -> str:
        """One plain sentence on the mildest cleaning after which recognisers know the person again.

        The mildest is the one that moves them least where it is done to the original.
        """
        asked, side = self._asked(), self.other_side
        rows = [row for row in side.effects if row.surrogate in asked and row.channel != AS_SAVED]
        lost = {_subject(row) for row in side.select() if row.surrogate in asked and row.disrupted}
        if not lost:
            return "The cheapest undo: none is needed, for recognisers know the person on the saved file."
        back = Counter(r.channel for r in rows if r.picture == PROTECTED and _subject(r) in lost and not r.disrupted)
        if not back:
            ways = len({row.channel for row in rows})
            return f"The cheapest undo: none of {ways} ways to clean the photo brings the person back."
        harm = dict.fromkeys(back, 0.0)
        for row in rows:
            if row.picture == RESAVED and row.channel in harm:
                harm[row.channel] += row.distance / row.threshold
        mildest = min(back, key=harm.__getitem__)
        known = f"{back[mildest]} of {len(lost)} recognisers know the person again"
        return f"The cheapest undo: {mildest}, after which {known}."

    def adversary_sentence(self) -> str:
        """One plain sentence on what adversaries undo of what breaks on the saved file, and what they break themselves.

        Of the manipulations that the search worked on; hardened manipulators, on which it never does, are named apart.
        """
        side, seen = self.other_side, self._worked_on()
        broken = {_subject(effect) for effect in side.select() if effect.surrogate in seen and effect.disrupted}
        undone, spoilt = Counter[str](), Counter[str]()
        for effect in side.effects:
            if _subject(effect) in broken and effect.channel != AS_SAVED:
                undone[effect.channel] += effect.picture == PROTECTED and not effect.disrupted
                spoilt[effect.channel] += effect.picture == RESAVED and effect.disrupted
        parts = ["No manipulation breaks on the saved file, so that an adversary has nothing to undo"]
        if broken:
            parts = [f"Of {len(broken)} broken manipulations an adversary undoes {_by_count(undone)}"]
        if +spoilt:
            parts.append(f"the same done to the original breaks {_by_count(+spoilt)}")
        for name in [name for name in side.surrogates() if name not in self.surrogates()]:
            parts.append("{} of {} break of the hardened {}".format(*_count(side.select(surrogate=name)), name))
        return "; ".join(parts) + "."

    def detector_sentence(self) -> str:
        """One plain sentence on what the detector calls fake: of the photos, and of the manipulations."""
        verdicts: dict[str, list[str]] = {}
        for row in self.detections:
            verdicts.setdefault(row.picture, []).append(row.verdict)
        photos = [f"the {name} photo {_worst(verdicts[name])}" for name in (ORIGINAL, PROTECTED) if name in verdicts]
        words = {MANIPULATED: "manipulations of the original", BROKEN: "of the protected photo"}
        made = [
            f"{verdicts[k].count('fake')} of {len(verdicts[k])} {word}" for k, word in words.items() if k in verdicts
        ]
        parts = [f"The detector calls {_list(photos)}"] if photos else ["The detector saw no photo"]
        if made:
            parts.append(f"fake it calls {_list(made)}")
        return "; ".join(parts) + "."

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

    def swap_sentence(self) -> str:
        """Plain sentences on whom face swaps show, with the face of the original and of the protected photo; and on it.

        Of the swaps that put it on the donors on whom the original's works.
        """
        clean = self.lent(ORIGINAL)
        if not clean:
            return "No face swap was made of this photo."
        working = _works(clean)
        start = f"A face swap made from this photo shows you in {_of(working, len(clean))} pictures"
        if not working:
            return f"{start}: there is nothing to protect from."
        those = "of those " if working < len(clean) else "of "
        parts = [f"{start}, made from the protected photo in {_works(self.lent()) or 'none'} {those}{working}"]
        sent = dict.fromkeys(row.channel for row in self.swaps if row.picture == PROTECTED and row.channel != AS_SAVED)
        if sent:
            parts.append(
                _list([f"after {load_channel(c).words} in {_works(self.lent(channel=c)) or 'none'}" for c in sent])
            )
        if noise := self.lent(NOISE):
            parts.append(f"from noise of the same visibility in {_works(noise) or 'none'}")
        return "; ".join(parts) + "." + self._target_sentence()

    def _target_sentence(self) -> str:
        """A sentence, after a space, on swaps that put another face on the photo; nothing where there are none."""
        rows = [[row for row in self.swaps if (row.role, row.picture) == (TARGET, it)] for it in (ORIGINAL, PROTECTED)]
        if not all(rows):
            return ""
        clean, protected = (f"{_of(_works(own), len(own))}" for own in rows)
        return f" Another face put on this photo shows that person in {clean}, on the protected photo in {protected}."

    def _worked_on(self) -> set[str]:
        """The surrogates that the search worked on or, where that is not known, those that were measured in full."""
        seen = {effect.surrogate for effect in self.effects if effect.seen}
        return seen or self._in_full() or set(self.surrogates())

    def _in_full(self) -> set[str]:
        """The surrogates that were measured after more than being saved."""
        return {
            effect.surrogate for effect in self.effects if (effect.picture, effect.channel) != (PROTECTED, AS_SAVED)
        }

    def _asked(self) -> set[str]:
        """The recognisers that the search worked on, judges, and others that were measured in full."""
        recognisers = {effect.surrogate for effect in self.effects if effect.l2 is None}
        return recognisers & (self._worked_on() | self._in_full() | {*judges})

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
        return {frame: _count(e for e in rows if e.frame == frame) for frame in dict.fromkeys(e.frame for e in rows)}

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

    def to_json(self) -> str:
        """JSON text; infinite values (the PSNR of equal pictures) become null."""
        return json.dumps(_finite(asdict(self)), indent=2, ensure_ascii=True) + "\n"


def framed(frame: str) -> str:
    """A kind of frames in words."""
    words = {EXACT: "in the search's own frame, an upper limit", HELD: "in frames drawn at random"}
    return words.get(frame) or f"as found by {frame.removeprefix(FOUND)}"


def title(channel: str, frame: str) -> str:
    """A row of the table in words."""
    return f"{'as saved' if channel == AS_SAVED else channel}, {frame}"


def _count(effects: Iterable[Effect]) -> tuple[int, int]:
    rows = list(effects)
    return sum(row.disrupted for row in rows), len(rows)


def _usable(effects: Iterable[Effect]) -> tuple[int, int, int]:
    """How many edits are judged, make a usable deepfake of the original, and of these still do."""
    rows = [row for row in effects if row.usable is not None]
    return len(rows), sum(row.works for row in rows), sum(row.still_works for row in rows)


def _worst(verdicts: Iterable[str]) -> str:
    return max(verdicts, key=("real", "unsure", "fake").index)


def _subject(effect: Effect) -> tuple[int, str, str]:
    """Which manipulation a row is of."""
    return effect.face, effect.surrogate, effect.edit


def _works(swaps: Iterable[Swap]) -> int:
    return sum(swap.works for swap in swaps)


def _of(count: int, total: int) -> str:
    return f"{count or 'none'} of {total}"


def _by_count(counts: Mapping[str, int]) -> str:
    """How many by whom, fewest first: "none by blur and JPEG 50, 2 by median 5"."""
    numbers = sorted(set(counts.values()))
    return ", ".join(f"{n or 'none'} by {_list([name for name in counts if counts[name] == n])}" for n in numbers)


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
