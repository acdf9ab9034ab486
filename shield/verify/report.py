"""What verification found, as one frozen value: rows for researchers, sentences for people, JSON for both."""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from shield.photo import FORMATS
from shield.verify.channels import AS_SAVED
from shield.verify.visibility import FaceVisibility, PhotoVisibility

SCHEMA = 4
PROTECTED, RESAVED, NOISE = "protected", "resaved", "noise"
CONTROLS = {RESAVED: "control: saved only", NOISE: "control: noise"}
FOUND, SOCIAL = "found", "social"
ORIGINAL, MANIPULATED, BROKEN = "original", "manipulated", "broken"
WORDS = {
    "jpeg90": "JPEG 90",
    "jpeg75": "JPEG 75",
    "jpeg50": "JPEG 50",
    "half": "halving its size",
    "blur": "blurring",
    "social": "a social network",
    "webp75": "WebP 75",
    "screenshot": "a screenshot",
    "aligned": "aligning the face anew",
    "found": "finding the face anew",
    "reframed": "another framing",
}


@dataclass(frozen=True)
class Effect:
    """What one edit made of one face of one picture after one channel, against the clean original's result.

    ``channel``: what happened to the file on its way, or what an adversary did to it. ``picture``: "protected", or a
    control: "resaved" (the original, saved the same way) or "noise" (random signs at the protected photo's face
    LPIPS). ``l1``, ``l2``, ``l2_mask``: on [-1, 1], None for embeddings. ``disrupted``: ``distance`` (l2, or squared
    distance of embeddings) is beyond ``threshold``. ``seen``: the search used it.
    """

    face: int
    surrogate: str
    edit: str
    seen: bool
    picture: str
    channel: str
    distance: float
    threshold: float
    disrupted: bool
    l1: float | None
    l2: float | None
    l2_mask: float | None


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
class FaceReport:
    """One face: where it is, how visible its change is, and the same of the noise control.

    ``aligner``: what found it; "" of a whole picture. ``doubt``: why it may be framed wrongly, "" where it is not.
    """

    box: tuple[float, float, float, float]
    score: float
    side: float
    visibility: FaceVisibility
    noise_face_lpips: float
    aligner: str = ""
    doubt: str = ""


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
    says of the photos and of their manipulations.
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

        In lossy files the codec's own changes come on top of the largest change, so there only LPIPS counts.
        """
        if self.recipe is None:
            return None
        levels = FORMATS[self.protected.format].lossy or self.photo.max_levels <= self.recipe["levels"]
        return bool(levels and self.face_lpips <= self.recipe["face_lpips"])

    @property
    def worst_face(self) -> FaceReport:
        """The face with the largest face LPIPS."""
        return max(self.faces, key=lambda face: face.visibility.face_lpips)

    @property
    def reached(self) -> bool:
        """Whether every edit that the search worked on (or, where that is not known, every edit) is disrupted."""
        seen = [effect for effect in self.select() if effect.seen]
        return all(effect.disrupted for effect in seen or self.select())

    def select(
        self, picture: str = PROTECTED, channel: str = AS_SAVED, surrogate: str | None = None
    ) -> tuple[Effect, ...]:
        """The rows of one picture and channel, of one surrogate or of all."""
        return tuple(
            effect
            for effect in self.effects
            if (effect.picture, effect.channel) == (picture, channel) and surrogate in (None, effect.surrogate)
        )

    def channels(self) -> tuple[str, ...]:
        """The channels that were tried, in order."""
        return tuple(dict.fromkeys(effect.channel for effect in self.effects))

    def surrogates(self) -> tuple[str, ...]:
        """The surrogates that were tried, in order."""
        return tuple(dict.fromkeys(effect.surrogate for effect in self.effects))

    def table(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Disrupted edits and all, by channel: a row per surrogate, then a row per control."""
        rows = {self._title(name): self._counts(PROTECTED, {name}) for name in self.surrogates()}
        pictures = {effect.picture for effect in self.effects}
        return rows | {
            title: self._counts(name, self.surrogates()) for name, title in CONTROLS.items() if name in pictures
        }

    @property
    def verdict(self) -> str:
        """In a word or two: "protected", "partly protected" or "not protected".

        Of the manipulations that the search worked on, on the saved file, also where the face is found anew, and
        after a social network's compression.
        """
        counts = self._counts(PROTECTED, self._worked_on())
        rows = [counts[channel] for channel in (AS_SAVED, FOUND, SOCIAL) if channel in counts]
        broken, total = (sum(column) for column in zip(*rows, strict=True))
        return "protected" if broken == total else "partly protected" if broken else "not protected"

    def headline(self) -> str:
        """The shortest sentence: how many manipulations break, also where the face is found anew, and after what a
        social network does to photos.

        Of the manipulations that the search worked on; of the others in a sentence of their own.
        """
        worked_on = self._worked_on()
        counts = self._counts(PROTECTED, worked_on)
        parts = ["{} of {} manipulations break".format(*counts[AS_SAVED])]
        if FOUND in counts:
            parts.append("where the face is found anew {} of {}".format(*counts[FOUND]))
        if SOCIAL in counts:
            parts.append("after a social network's compression {} of {}".format(*counts[SOCIAL]))
        sentence = "; ".join(parts) + "."
        if unseen := set(self.surrogates()) - worked_on:
            others = self._counts(PROTECTED, unseen)[AS_SAVED]
            sentence += " Of networks that the search did not see, {} of {}.".format(*others)
        return sentence + self.doubts()

    def sentence(self) -> str:
        """One plain sentence on what holds and what does not, of the manipulations the search worked on."""
        seen = self._worked_on()
        counts = self._counts(PROTECTED, seen)
        broken, total = counts.pop(AS_SAVED)
        firm = [WORDS.get(c, c) for c, (b, _) in counts.items() if b == total]
        weak = [f"{WORDS.get(c, c)} ({b} of {total})" for c, (b, _) in counts.items() if b < broken]
        noise, _ = _count(e for e in self.select(NOISE) if e.surrogate in seen)
        parts = [f"{broken} of {total} manipulations break on the saved file"]
        if firm and broken == total:
            parts.append(f"still all of them after {_list(firm)}")
        if weak:
            parts.append(f"fewer after {_list(weak)}")
        return "; ".join(parts) + f"; noise of the same visibility breaks {noise}.{self.doubts()}"

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

    def _worked_on(self) -> set[str]:
        """The surrogates that the search worked on or, where that is not known, all of them."""
        return {effect.surrogate for effect in self.effects if effect.seen} or set(self.surrogates())

    def _counts(self, picture: str, surrogates: Collection[str]) -> dict[str, tuple[int, int]]:
        """Disrupted edits of these surrogates, and all of them, by channel."""
        rows = {channel: self.select(picture, channel) for channel in self.channels()}
        return {channel: _count(e for e in row if e.surrogate in surrogates) for channel, row in rows.items()}

    def _title(self, surrogate: str) -> str:
        unseen = self.recipe and not any(effect.seen for effect in self.select(surrogate=surrogate))
        return f"{surrogate}, unseen" if unseen else surrogate

    def to_json(self) -> str:
        """JSON text; infinite values (the PSNR of equal pictures) become null."""
        return json.dumps(_finite(asdict(self)), indent=2, ensure_ascii=True) + "\n"


def _count(effects: Iterable[Effect]) -> tuple[int, int]:
    rows = list(effects)
    return sum(row.disrupted for row in rows), len(rows)


def _worst(verdicts: Iterable[str]) -> str:
    return max(verdicts, key=("real", "unsure", "fake").index)


def _subject(effect: Effect) -> tuple[int, str, str]:
    """Which manipulation a row is of."""
    return effect.face, effect.surrogate, effect.edit


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
