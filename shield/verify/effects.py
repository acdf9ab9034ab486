"""What the surrogates make of each picture after each channel, against what they make of the original in that frame."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from types import MappingProxyType
from typing import TypeAlias

import torch
from PIL import Image
from torch import Tensor

from shield.channels import AS_SAVED, Pixels
from shield.device import fast_precision
from shield.faces import Face, warp
from shield.objectives import l1, l2, l2_mask
from shield.photo import shrink, to_pixels
from shield.region import Region, region_of
from shield.surrogates import Surrogate
from shield.verify.frames import Scene, kinds
from shield.verify.mark import mark
from shield.verify.outcomes import Judges, can_judge
from shield.verify.rows import ENOUGH, HELD, PROTECTED, Effect

BATCH = 16  # crops that are measured together, at most
PIXELS = 24 * 128 * 128  # of the results that a network makes at a time, about: it holds many times as much meanwhile

LARGE = 1024  # px: side of the portrait framing above which a picture is shrunk around the face before it is cut
AROUND = 1.5  # of that framing: what is shrunk; all frames lie within

AS_BEFORE = "did not work on the original either"
STILL_USABLE, NOT_USABLE = "still a usable deepfake", "no usable deepfake any more"

Frame: TypeAlias = tuple[int, Face]  # number of the known face, and how it is framed
Ways: TypeAlias = Mapping[str, Callable[[Pixels], Pixels]]  # what happens to a file, by name
# A picture, a channel and a surrogate -> the kinds of frames that are wanted, and how many of each.
Wanted: TypeAlias = Callable[[str, str, Surrogate], Mapping[str, int]]


@dataclass(frozen=True)
class Manipulation:
    """One edit of one face, as pictures (size, size, 3): made from the original and from the protected photo.

    They show the frame of the median distance among ``frames``; ``share`` of these are disrupted, ``disrupted`` says
    that half of them or more are, this one then too. ``usable``, ``usable_clean``: as in ``Effect``.
    """

    face: int
    surrogate: str
    edit: str
    clean: Pixels = field(repr=False)
    broken: Pixels = field(repr=False)
    disrupted: bool
    share: float = 1.0
    frames: int = 1
    usable: float | None = None
    usable_clean: float | None = None

    @property
    def worked(self) -> bool:
        """Whether the edit makes a usable deepfake of the original; yes where nobody can tell."""
        return self.usable is None or self.usable_clean is None or self.usable_clean >= ENOUGH

    @property
    def stopped(self) -> bool:
        """Whether it does not work on the protected photo: no usable deepfake or, where nobody can tell, disrupted."""
        return self.disrupted if self.usable is None else self.usable < ENOUGH

    @property
    def words(self) -> str:
        """What came of it: of a usable deepfake or, where nobody can tell, whether it broke; in how many frames."""
        if not self.worked:
            return AS_BEFORE
        if self.usable is None:
            words, share = "broken" if self.disrupted else "not broken", self.share
        else:
            words, share = (NOT_USABLE, 1 - self.usable) if self.stopped else (STILL_USABLE, self.usable)
        return words if self.frames == 1 else f"{words} ({share * self.frames:.0f} of {self.frames} frames)"

    @property
    def pictures(self) -> tuple[Image.Image, Image.Image]:
        """What was made of the original and of the protected photo, to show: each is marked."""
        return mark(self.clean), mark(self.broken)


@dataclass(frozen=True)
class Look:
    """One face as a surrogate saw it in N ``frames`` of one ``kind``.

    ``clean``, ``results``: of the original and of what was sent, (N, E, ...). ``measures``: distance, and l1, l2 and
    l2_mask where the surrogate makes pictures, (N, E) each. ``usable``: which of ``results`` and of ``clean`` are
    usable deepfakes, as ``Judges.usable`` says it; empty where no edit can be judged.
    """

    face: int
    kind: str
    frames: Sequence[Face]
    clean: Tensor
    results: Tensor
    measures: Sequence[Tensor]
    usable: Sequence[Tensor] = ()

    def known(self, surrogate: Surrogate, reference: Tensor) -> list[tuple[float, float]]:
        """Shares of frames, by edit, in which a recogniser takes what was sent, and the original, for a reference's."""
        distances = (surrogate.distance(results, reference) for results in (self.results, self.clean))
        shares = ((distance <= surrogate.threshold).double().mean(0).tolist() for distance in distances)
        return list(zip(*shares, strict=True))


def face_crop(pixels: Pixels, face: Face, surrogate: Surrogate, device: torch.device) -> Tensor:
    """The face as the surrogate wants it, (1, 3, size, size); only the face's region becomes a tensor."""
    region = region_of(face, pixels.shape[1], pixels.shape[0])
    return warp(region.crop(pixels, device), region.local_face, surrogate.size, surrogate.framing)


class Crops:
    """The crops of a picture of the scene, whatever its size. Around a large face it is shrunk once, for all frames."""

    def __init__(self, scene: Scene, pixels: Pixels, device: torch.device) -> None:
        self.pixels, self.device = pixels, device
        height, width = scene.pixels.shape[:2]
        self.scale = pixels.shape[1] / width, pixels.shape[0] / height
        self.faces = [face.scaled(*self.scale) for face in scene.faces]
        self._shrunk: dict[int, tuple[Region, Tensor]] = {}

    def __call__(self, surrogate: Surrogate, frames: Sequence[Frame]) -> Tensor:
        """What the surrogate is given, (N, 3, size, size), in frames of the original."""
        return torch.cat([self._crop(surrogate, number, face.scaled(*self.scale)) for number, face in frames])

    def _crop(self, surrogate: Surrogate, number: int, frame: Face) -> Tensor:
        if self.faces[number].side <= LARGE:
            return face_crop(self.pixels, frame, surrogate, self.device)
        if number not in self._shrunk:
            self._shrunk[number] = self._around(self.faces[number])
        region, view = self._shrunk[number]
        local = frame.moved(region.left, region.top).scaled(
            view.shape[-1] / region.width, view.shape[-2] / region.height
        )
        return warp(view, local, surrogate.size, surrogate.framing)

    def _around(self, face: Face) -> tuple[Region, Tensor]:
        region = region_of(face.reframed((0.0, 0.0), AROUND, 0.0), self.pixels.shape[1], self.pixels.shape[0])
        size = round(region.height * LARGE / face.side), round(region.width * LARGE / face.side)
        return region, shrink(region.crop(self.pixels, self.device), size)


class References:
    """What surrogates make of the original, by frame: asked once, for all pictures and channels."""

    def __init__(self, scene: Scene, device: torch.device) -> None:
        self.device, self.crops, self.judges = device, Crops(scene, scene.pixels, device), Judges(device)
        self._known: dict[tuple[str, Frame], tuple[Tensor, Tensor]] = {}
        self._usable: dict[tuple[str, Frame], Tensor] = {}

    def __call__(self, surrogate: Surrogate, frames: Sequence[Frame]) -> tuple[Tensor, Tensor]:
        """The crops (N, 3, size, size) in these frames, and their results (N, E, ...)."""
        new = [frame for frame in dict.fromkeys(frames) if (surrogate.name, frame) not in self._known]
        if new:
            crops = self.crops(surrogate, new)
            for frame, crop, result in zip(new, crops, run(surrogate, crops), strict=True):
                self._known[surrogate.name, frame] = crop, result
        known = [self._known[surrogate.name, frame] for frame in frames]
        return torch.stack([crop for crop, _ in known]), torch.stack([result for _, result in known])

    def persons(self, frames: Sequence[Frame]) -> Tensor:
        """The faces in these frames as the judges' recogniser knows them, (N, 1, D)."""
        return self(self.judges.recogniser, frames)[1]

    def usable(self, surrogate: Surrogate, frames: Sequence[Frame]) -> Tensor:
        """Which of the results in these frames are usable deepfakes, (N, E): as ``Judges.usable`` says it."""
        new = [frame for frame in dict.fromkeys(frames) if (surrogate.name, frame) not in self._usable]
        if new:
            crops, results = self(surrogate, new)
            undamaged = torch.zeros(results.shape[:2], device=self.device)
            answers = self.judges.usable(surrogate, crops, results, self.persons(new), undamaged)
            self._usable |= {(surrogate.name, frame): answer for frame, answer in zip(new, answers, strict=True)}
        return torch.stack([self._usable[surrogate.name, frame] for frame in frames])


@torch.no_grad()
def measure_effects(
    scene: Scene,
    pictures: Mapping[str, Pixels],
    ways: Ways,
    surrogates: Sequence[Surrogate],
    wanted: Wanted,
    seen: Collection[str],
    device: torch.device,
    tell: Callable[[], None] = lambda: None,
    known: Mapping[str, Tensor] = MappingProxyType({}),
) -> tuple[list[Effect], list[Manipulation]]:
    """A row for every picture, channel, kind of frames, face, surrogate and edit that is wanted.

    And the protected photo's manipulations as saved. ``tell`` is called before each picture after each channel.
    ``known``: by recogniser, the embedding (1, 1, D) of the reference photo's face.
    """
    references = References(scene, device)
    effects: list[Effect] = []
    manipulations: list[Manipulation] = []
    for picture, channel in sendings(pictures, ways, surrogates, wanted):
        tell()
        sent = Sent(scene, ways[channel](pictures[picture]), references)
        for surrogate in surrogates:
            shown: list[Look] = []
            for look in sent.looks(surrogate, wanted(picture, channel, surrogate)):
                rows = _effects(look, surrogate, surrogate.name in seen, picture, channel)
                effects += _beside(rows, look, surrogate, known[surrogate.name]) if surrogate.name in known else rows
                if (picture, channel) == (PROTECTED, AS_SAVED) and surrogate.makes_pictures:
                    shown.append(look)
            manipulations += _manipulations(shown, surrogate)
    return effects, manipulations


def sendings(
    pictures: Collection[str], ways: Collection[str], surrogates: Sequence[Surrogate], wanted: Wanted
) -> list[tuple[str, str]]:
    """Every picture after every channel in which a row is wanted."""
    return [pair for pair in product(pictures, ways) if any(wanted(*pair, surrogate) for surrogate in surrogates)]


def run(surrogate: Surrogate, crops: Tensor) -> Tensor:
    """What a surrogate makes of crops (N, 3, size, size): (N, E, ...), a batch at a time."""
    # Half precision halves the time; tests hold its distances to within 4 % of the threshold.
    together = min(BATCH, max(1, PIXELS // (len(surrogate.edits) * surrogate.size**2)))
    with fast_precision(crops.device):
        return torch.cat([surrogate(batch).float() for batch in crops.split(together)])


class Sent:
    """A picture of the scene that was sent through a channel. Frames of each kind are looked for in it once."""

    def __init__(self, scene: Scene, pixels: Pixels, references: References) -> None:
        self.scene, self.pixels, self.references = scene, pixels, references
        self.crops = Crops(scene, pixels, references.device)
        self._frames: dict[tuple[str, int], list[tuple[Face, ...]]] = {}

    def frames(self, kind: str, draws: int) -> list[tuple[Face, ...]]:
        """The frames of that kind of every known face."""
        key = kind, draws
        if key not in self._frames:
            self._frames[key] = kinds[kind](self.scene, self.pixels, draws)
        return self._frames[key]

    def looks(self, surrogate: Surrogate, wanted: Mapping[str, int]) -> Iterator[Look]:
        """Every face in every kind of frames that is wanted, so many draws each; few frames go through together."""
        together: list[tuple[int, str, Sequence[Face]]] = []
        for kind, draws in wanted.items():
            for number, frames in enumerate(self.frames(kind, draws)):
                if together and sum(len(own) for _, _, own in together) + len(frames) > BATCH:
                    yield from self._looked(surrogate, together)
                    together = []
                if frames:
                    together.append((number, kind, frames))
        if together:
            yield from self._looked(surrogate, together)

    def _looked(self, surrogate: Surrogate, asked: Sequence[tuple[int, str, Sequence[Face]]]) -> Iterator[Look]:
        frames = [(number, frame) for number, _, own in asked for frame in own]
        crops, clean = self.references(surrogate, frames)
        results = run(surrogate, self.crops(surrogate, frames))
        measures = _measures(surrogate, crops, clean, results)
        usable = self._usable(surrogate, frames, crops, results, measures)
        sizes = [len(own) for _, _, own in asked]
        parts = zip(*(values.split(sizes) for values in (clean, results, *measures, *usable)), strict=True)
        for (number, kind, own), (before, after, *figures) in zip(asked, parts, strict=True):
            yield Look(number, kind, own, before, after, figures[: len(measures)], figures[len(measures) :])

    def _usable(
        self,
        surrogate: Surrogate,
        frames: Sequence[Frame],
        crops: Tensor,
        results: Tensor,
        measures: Sequence[Tensor],
    ) -> list[Tensor]:
        """Which results, and which of the original's, are usable deepfakes, (N, E) each; nothing without a judge."""
        if not can_judge(surrogate):
            return []
        persons, damage = self.references.persons(frames), measures[-1]
        answers = self.references.judges.usable(surrogate, crops, results, persons, damage)
        return [answers, self.references.usable(surrogate, frames)]


def _measures(surrogate: Surrogate, crops: Tensor, clean: Tensor, results: Tensor) -> list[Tensor]:
    distance = surrogate.distance(results, clean)
    if not surrogate.makes_pictures:
        return [distance]
    return [distance, l1(results, clean), l2(results, clean), l2_mask(results, clean, 2 * crops - 1)]


def _effects(look: Look, surrogate: Surrogate, seen: bool, picture: str, channel: str) -> Iterator[Effect]:
    """A row per edit: means over the frames."""
    means = [measure.mean(0).tolist() for measure in look.measures]
    shares = (look.measures[0] > surrogate.threshold).double().mean(0).tolist()
    values: list[list[float | None]] = means[1:] or [[None] * len(shares)] * 3
    values += _usable(look)
    for edit, distance, share, *others in zip(surrogate.edits, means[0], shares, *values, strict=True):
        yield Effect(
            look.face,
            surrogate.name,
            edit,
            seen,
            picture,
            channel,
            look.kind,
            len(look.frames),
            distance,
            surrogate.threshold,
            share,
            share >= ENOUGH,
            *others,
        )


def _beside(rows: Iterable[Effect], look: Look, surrogate: Surrogate, reference: Tensor) -> Iterator[Effect]:
    """The rows of a recogniser, and whom it knows beside a reference."""
    for row, (known, clean) in zip(rows, look.known(surrogate, reference), strict=True):
        yield replace(row, known=known, known_clean=clean)


def _usable(look: Look) -> list[list[float | None]]:
    """By edit the share of usable deepfakes, and the same of the original; None where nobody can tell."""
    shares = [answers.mean(0).tolist() for answers in look.usable] or [[math.nan] * look.measures[0].shape[1]] * 2
    return [[None if math.isnan(share) else share for share in column] for column in shares]


def _manipulations(looks: Sequence[Look], surrogate: Surrogate) -> Iterator[Manipulation]:
    """Every edit of every face in held frames, or in the first kind where there are none of these."""
    shown = {look.face: look for look in (*reversed(looks), *(look for look in looks if look.kind == HELD))}
    for face, look in sorted(shown.items()):
        distances = look.measures[0]
        # With the upper median at least half of the frames are beyond the threshold just where this one is.
        medians = distances.argsort(dim=0)[len(distances) // 2].tolist()
        shares = (distances > surrogate.threshold).double().mean(0).tolist()
        usable = zip(*_usable(look), strict=True)
        for number, (edit, frame, share, outcome) in enumerate(
            zip(surrogate.edits, medians, shares, usable, strict=True)
        ):
            before, after = (to_pixels((made[frame, number] + 1) / 2) for made in (look.clean, look.results))
            broken, count = share >= ENOUGH, len(look.frames)
            yield Manipulation(face, surrogate.name, edit, before, after, broken, share, count, *outcome)
