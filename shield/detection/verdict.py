"""The verdict on a photo: how likely it is made or manipulated, and the reasons, for people and for programs."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from shield.detection.calibration import FAKE_FROM, FALSE_ALARMS, called, probability_of
from shield.files import check_writable, write_atomically
from shield.photo import as_path, encode, open_photo

Region = tuple[tuple[float, float], ...]  # corners (x, y) in px of the photo
COLOURS = ("#ff3b30", "#ffcc00", "#34c759", "#0a84ff", "#bf5af2")
WORDS = {
    "fake": "This photo is probably generated or manipulated",
    "real": "Nothing on this photo says that it was generated or manipulated",
    "unsure": "Not sure: this photo may be generated or manipulated",
}
UNSEEN = "What diffusion models and StyleGAN make is not found"


@dataclass(frozen=True)
class Reason:
    """Something that speaks for a fake.

    ``name``: of the network or the check. ``score``: what it measured; of the network its logit. ``weight``: what it
    adds to the log-odds. ``region``: where in the photo.
    """

    name: str
    sentence: str
    score: float
    weight: float
    region: Region = field(repr=False)


@dataclass(frozen=True)
class FaceVerdict:
    """One face. ``log_odds``: that it is made or manipulated. ``reasons``: the weightiest first."""

    box: tuple[float, float, float, float]
    log_odds: float
    reasons: tuple[Reason, ...]

    @property
    def probability(self) -> float:
        """That the face is made or manipulated, in [0, 1]."""
        return probability_of(self.log_odds)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What ``shield.detect`` found: every face, and the photo (H, W, 3) that they are on. The worst face counts."""

    faces: tuple[FaceVerdict, ...]
    pixels: NDArray[np.uint8]
    path: Path | None
    detector: str

    def __repr__(self) -> str:
        return f"Verdict({self.verdict!r}, probability {self.probability:.2f}, {len(self.faces)} face(s))"

    @property
    def worst(self) -> FaceVerdict:
        """The face that is most likely made."""
        return max(self.faces, key=lambda face: face.log_odds)

    @property
    def probability(self) -> float:
        """That the photo is generated or manipulated, in [0, 1]."""
        return self.worst.probability

    @property
    def verdict(self) -> str:
        """ "real", "fake" or "unsure"."""
        return called(self.probability)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reasons for the worst face, the weightiest first."""
        return self.worst.reasons

    def headline(self) -> str:
        """One plain sentence: the verdict, and how likely a fake is."""
        return f"{WORDS[self.verdict]} (probability {self.probability:.0%})."

    def limits(self) -> str:
        """One plain sentence on what this verdict does not say."""
        if self.verdict == "fake":
            return "A verdict can be wrong."
        return f"{UNSEEN}, so that this is no proof of a real photo."

    def sentence(self) -> str:
        """Plain sentences: the verdict with its reasons, and what it does not say."""
        opening = self.headline().rstrip(".")
        reasons = [reason.sentence[0].lower() + reason.sentence[1:].rstrip(".") for reason in self.reasons]
        words = f"{opening}: {'; '.join(reasons)}." if reasons else f"{opening}."
        return f"{words} {self.limits()}"

    def overlay(self) -> Image.Image:
        """The photo with every reason's region drawn and its number, the weightiest, number 1, in red."""
        picture = Image.fromarray(self.pixels).convert("RGB")
        draw = ImageDraw.Draw(picture)
        width = max(2, round(max(picture.size) / 300))
        size = 12 * width
        for face in self.faces:
            # The weightiest comes last, on top.
            for rank, reason in reversed([*enumerate(face.reasons)]):
                colour = COLOURS[rank % len(COLOURS)]
                draw.line([*reason.region, reason.region[0]], fill=colour, width=width, joint="curve")
                left, top = (max(0, min(corner[axis] for corner in reason.region)) for axis in (0, 1))
                box = (left + rank * size, top, left + (rank + 1) * size, top + size)
                draw.rectangle(box, fill=colour)
                middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
                draw.text(middle, str(rank + 1), fill="white", font_size=0.8 * size, anchor="mm")
        return picture

    def save_overlay(self, path: str | Path, force: bool = False) -> None:
        """Write the overlay as PNG, atomically; never over the photo. ``force``: overwrite another file that is there.

        Raises PhotoError where it cannot be written.
        """
        path = as_path(path)
        check_writable(path, self.path, force)
        write_atomically(encode(open_photo(self.overlay()), "png"), path, self.path, force)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pixels; ``threshold`` is the probability from which a photo is called fake."""
        return {
            "photo": None if self.path is None else self.path.name,
            "probability": self.probability,
            "verdict": self.verdict,
            "threshold": FAKE_FROM,
            "false_alarm_rate": FALSE_ALARMS,
            "sentence": self.sentence(),
            "reasons": [asdict(reason) for reason in self.reasons],
            "detector": self.detector,
            "faces": [asdict(face) | {"probability": face.probability} for face in self.faces],
        }

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(self.to_dict(), indent=2) + "\n"
