"""What verification found, as one frozen value: rows for researchers, sentences for people, JSON for both."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from shield.photo import FORMATS
from shield.verify.channels import AS_SAVED
from shield.verify.visibility import FaceVisibility, PhotoVisibility

SCHEMA = 1
PROTECTED, RESAVED, NOISE = "protected", "resaved", "noise"
WORDS = {
    "jpeg90": "JPEG 90",
    "jpeg75": "JPEG 75",
    "jpeg50": "JPEG 50",
    "half": "halving its size",
    "blur": "blurring",
    "social": "a social network",
    "webp75": "WebP 75",
    "screenshot": "a screenshot",
    "reframed": "another framing",
}


@dataclass(frozen=True)
class Effect:
    """What one edit made of one face of one picture after one channel, against the clean original's result.

    ``picture``: "protected", or a control: "resaved" (the original, saved the same way) or "noise" (random signs at
    the protected photo's face LPIPS). ``l1``, ``l2``, ``l2_mask``: on [-1, 1], None for embeddings. ``disrupted``:
    ``distance`` (l2, or squared distance of embeddings) is beyond ``threshold``. ``seen``: the search used it.
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
class FaceReport:
    """One face: where it is, how visible its change is, and the same of the noise control."""

    box: tuple[float, float, float, float]
    score: float
    side: float
    visibility: FaceVisibility
    noise_face_lpips: float


@dataclass(frozen=True)
class FileReport:
    """One file: what was read and how large it is."""

    name: str | None
    sha256: str
    format: str
    width: int
    height: int


@dataclass(frozen=True)
class Report:
    """Everything that was measured on the two files.

    ``recipe``: the settings of the search where they are known. ``weights``: sha256 by model. ``machine``: device,
    threads and precision, on which the last digits depend. ``seconds``: by phase.
    """

    schema: int
    recipe: dict[str, Any] | None
    original: FileReport
    protected: FileReport
    faces: tuple[FaceReport, ...]
    photo: PhotoVisibility
    effects: tuple[Effect, ...]
    weights: dict[str, str]
    versions: dict[str, str]
    machine: dict[str, str]
    seconds: dict[str, float]

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

    def sentence(self) -> str:
        """One plain sentence on what holds and what does not, of the manipulations the search worked on."""
        seen = {effect.surrogate for effect in self.effects if effect.seen} or set(self.surrogates())
        counts = {c: _count(e for e in self.select(channel=c) if e.surrogate in seen) for c in self.channels()}
        broken, total = counts.pop(AS_SAVED)
        firm = [WORDS.get(c, c) for c, (b, _) in counts.items() if b == total]
        weak = [f"{WORDS.get(c, c)} ({b} of {total})" for c, (b, _) in counts.items() if b < broken]
        noise, _ = _count(e for e in self.select(NOISE) if e.surrogate in seen)
        parts = [f"{broken} of {total} manipulations break on the saved file"]
        if firm and broken == total:
            parts.append(f"still all of them after {_list(firm)}")
        if weak:
            parts.append(f"fewer after {_list(weak)}")
        return "; ".join(parts) + f"; noise of the same visibility breaks {noise}."

    def to_json(self) -> str:
        """JSON text; infinite values (the PSNR of equal pictures) become null."""
        return json.dumps(_finite(asdict(self)), indent=2, ensure_ascii=True) + "\n"


def _count(effects: Iterable[Effect]) -> tuple[int, int]:
    rows = list(effects)
    return sum(row.disrupted for row in rows), len(rows)


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
