"""What a face swap makes of the photo: its person's face on other people's pictures, and other people's faces on it.

Whom a swap shows is read by recognisers that no swap is made by, each in its own frame and with its own threshold. A
donor whom they take for the photo's person already says nothing and is left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import torch
from PIL import Image
from torch import Tensor

from shield.channels import AS_SAVED, Pixels
from shield.faces import PORTRAIT, Face
from shield.faces.aligners import aligners
from shield.faces.sampling import cut
from shield.objectives import l2, l2_mask
from shield.photo import to_pixels
from shield.surrogates import RECOGNISERS, load_surrogate
from shield.swap import ALIGNER, SWAP, Canvas, Swapper, donor, identity, pasted, repainted
from shield.verify.effects import AS_BEFORE, Manipulation, Ways
from shield.verify.frames import Scene, kinds, nearest
from shield.verify.mark import mark
from shield.verify.plan import Plan
from shield.verify.rows import FOUND, ORIGINAL, PROTECTED, SOURCE, TARGET, Swap

KNOWN_BY = 2  # recognisers that have to know a person before a picture counts as showing him
FRAME = FOUND + ALIGNER
CROP = 128  # px: what the detector is shown

Person = Sequence[Tensor]  # what each recogniser makes of one face, (1, D) each
Tell = Callable[[], None]


@dataclass(frozen=True)
class ShownSwap:
    """A donor's picture with the photo's face: made from the original (``clean``) and from the protected photo.

    ``works``: whether each shows the photo's person, in that order.
    """

    face: int
    donor: str
    canvas: Canvas = field(repr=False)
    clean: Pixels = field(repr=False)
    broken: Pixels = field(repr=False)
    works: tuple[bool, bool]

    @property
    def pictures(self) -> tuple[Image.Image, Image.Image, Image.Image]:
        """To show: the donor, and what was made of the original and of the protected photo, which are marked."""
        return Image.fromarray(self.canvas.pixels), mark(self.clean), mark(self.broken)

    @property
    def words(self) -> tuple[str, str]:
        """Whom each shows."""
        first, second = ("shows the person" if works else "shows somebody else" for works in self.works)
        return first, second if self.works[0] else AS_BEFORE

    @property
    def manipulation(self) -> Manipulation:
        """The same as an edit of the donor's face in portrait framing, for whoever looks at faces alone."""
        clean, broken = (
            to_pixels(cut(pixels, self.canvas.face, CROP, PORTRAIT)) for pixels in (self.clean, self.broken)
        )
        return Manipulation(self.face, SWAP, self.donor, clean, broken, not self.works[1])


class Readers:
    """The recognisers that say whom a picture shows."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.recognisers = device, [load_surrogate(name, device) for name in RECOGNISERS]

    @torch.no_grad()
    def __call__(self, canvases: Sequence[Canvas]) -> list[Tensor]:
        """What each recogniser makes of the faces, (N, D) each."""
        return [
            torch.cat([part(cut(it.pixels, it.face, part.size, part.framing).to(self.device))[:, 0] for it in canvases])
            for part in self.recognisers
        ]

    def distances(self, canvases: Sequence[Canvas], person: Person) -> list[dict[str, float]]:
        """Of every face to a person, by recogniser."""
        return self.between(self(canvases), person)

    def between(self, faces: Sequence[Tensor], person: Person) -> list[dict[str, float]]:
        """The same of faces that were read, (N, D) by each recogniser."""
        read = [(each - one).square().sum(1).tolist() for each, one in zip(faces, person, strict=True)]
        names = [part.name for part in self.recognisers]
        return [dict(zip(names, own, strict=True)) for own in zip(*read, strict=True)]

    def knowing(self, distances: Mapping[str, float]) -> tuple[str, ...]:
        """Who takes faces so far apart for one person's."""
        return tuple(part.name for part in self.recognisers if distances[part.name] <= part.threshold)


def found_anew(pixels: Pixels, canvas: Canvas) -> Canvas:
    """A swap and the face in it, where the aligner finds it; where it finds none, where the canvas has it."""
    return Canvas(pixels, nearest(aligners[ALIGNER](pixels), canvas.face) or canvas.face)


class Swaps:
    """One photo's swaps, by one network."""

    def __init__(self, scene: Scene, plan: Plan, network: Swapper, device: torch.device) -> None:
        self.scene, self.network, self.device = scene, network, device
        self.readers = Readers(device)
        clean = [nearest(scene.found(ALIGNER), face) for face in scene.faces]
        self.persons = {n: self.readers([Canvas(scene.pixels, face)]) for n, face in enumerate(clean) if face}
        self.donors = {n: self._strangers(person, plan.lent_to) for n, person in self.persons.items()}
        self.shown: dict[str, dict[tuple[int, str], tuple[Pixels, bool]]] = {}  # as saved, by picture
        self._lent: dict[tuple[tuple[int, ...], bytes], list[tuple[Swap, Pixels]]] = {}

    def _strangers(self, person: Person, names: Sequence[str]) -> list[str]:
        """The donors whom nobody takes for this person."""
        distances = self.readers.distances([donor(name) for name in names], person)
        return [name for name, own in zip(names, distances, strict=True) if len(self.readers.knowing(own)) < KNOWN_BY]

    def frames(self, sent: Pixels) -> dict[int, Face]:
        """Where the aligner finds each known face in the pixels that were sent, in px of the original."""
        found = kinds[FRAME](self.scene, sent, 1)
        return {n: found[n][0] for n in self.persons if found[n] and self.donors[n]}

    def _local(self, sent: Pixels, frame: Face) -> Face:
        height, width = self.scene.pixels.shape[:2]
        return frame.scaled(sent.shape[1] / width, sent.shape[0] / height)

    def lent(self, sent: Pixels, picture: str, channel: str) -> list[Swap]:
        """The donors with the photo's face. What was sent before in other words is not swapped again."""
        key = sent.shape, sha256(sent.tobytes()).digest()
        if key not in self._lent:
            self._lent[key] = list(self._lend(sent))
        if channel == AS_SAVED:
            self.shown[picture] = {(row.face, row.donor): (result, row.works) for row, result in self._lent[key]}
        return [replace(row, picture=picture, channel=channel) for row, _ in self._lent[key]]

    def _lend(self, sent: Pixels) -> Iterator[tuple[Swap, Pixels]]:
        """A row for every face and donor, of no picture and channel yet, and the donor with that face."""
        for number, frame in self.frames(sent).items():
            canvases = [donor(name) for name in self.donors[number]]
            person = identity(sent, self._local(sent, frame), self.device)
            results = pasted(canvases, repainted(canvases, person, self.network))
            rows = self._rows(results, canvases, self.persons[number])
            for name, pixels, (distances, known_by) in zip(self.donors[number], results, rows, strict=True):
                yield Swap(number, name, SOURCE, "", "", distances, known_by, len(known_by) >= KNOWN_BY), pixels

    def received(self, sent: Pixels, picture: str, most: int) -> Iterator[Swap]:
        """The photo with the faces of so many donors, and how far each is from the original with it in that frame."""
        for number, frame in self.frames(sent).items():
            for name in self.donors[number][:most]:
                canvas, clean = Canvas.around(sent, self._local(sent, frame)), Canvas.around(self.scene.pixels, frame)
                lent = identity(donor(name).pixels, donor(name).face, self.device)
                made, before = repainted([canvas, clean], lent, self.network)[:, None].split(1)
                (result,) = pasted([canvas], made[:, 0])
                ((distances, known_by),) = self._rows([result], [canvas], self.readers([donor(name)]))
                apart = float(l2(made, before)), float(l2_mask(made, before, 2 * clean.crop - 1))
                works = len(known_by) >= KNOWN_BY
                yield Swap(number, name, TARGET, picture, AS_SAVED, distances, known_by, works, *apart)

    def _rows(
        self, results: Sequence[Pixels], canvases: Sequence[Canvas], person: Person
    ) -> list[tuple[dict[str, float], tuple[str, ...]]]:
        """How far each result's face is from a person's, and who knows it."""
        anew = [found_anew(pixels, canvas) for pixels, canvas in zip(results, canvases, strict=True)]
        return [(own, self.readers.knowing(own)) for own in self.readers.distances(anew, person)]


def measure_swaps(
    scene: Scene,
    pictures: Mapping[str, Pixels],
    ways: Ways,
    plan: Plan,
    network: Swapper,
    device: torch.device,
    tell: Tell = lambda: None,
) -> tuple[list[Swap], list[ShownSwap]]:
    """A row for every picture, channel, face and donor that the plan wants, in both roles; and what there is to see.

    ``tell`` is called before each picture after each channel.
    """
    swaps, rows = Swaps(scene, plan, network, device), list[Swap]()
    for picture, channel in lendings(pictures, plan):
        tell()
        sent = ways[channel](pictures[picture])
        rows += swaps.lent(sent, picture, channel)
        if channel == AS_SAVED and picture in (ORIGINAL, PROTECTED):
            rows += swaps.received(sent, picture, plan.put_on)
    clean, protected = (swaps.shown.get(picture, {}) for picture in (ORIGINAL, PROTECTED))
    shown = [
        ShownSwap(face, name, donor(name), result, protected[face, name][0], (works, protected[face, name][1]))
        for (face, name), (result, works) in clean.items()
        if (face, name) in protected
    ]
    return rows, shown


def lendings(pictures: Mapping[str, Pixels], plan: Plan) -> list[tuple[str, str]]:
    """Every picture after every channel from which the plan wants swaps."""
    return [(picture, channel) for picture in pictures for channel in plan.swaps(picture)]
