"""The rows of a report: what one network made of one picture, what a face swap showed, where a face is. Values."""

from dataclasses import dataclass, field

from shield.carriers import Field
from shield.credentials import Claim
from shield.verify.visibility import FaceVisibility

PROTECTED, RESAVED, NOISE = "protected", "resaved", "noise"
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
    """One file: what was read and how large it is.

    ``notes``: sentences on what was converted or left out of it. ``claim``: what its Content Credentials say.
    """

    name: str | None
    sha256: str
    format: str
    width: int
    height: int
    notes: tuple[str, ...] = ()
    claim: Claim | None = None
