"""Who makes faces for the detector to learn from and to be tested on: editors, a swap, generators, a set of faces."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from shield.faces.templates import PORTRAIT
from shield.generators import generators, load_generator
from shield.registry import Named, Registry
from shield.surrogates import load_surrogate
from shield.surrogates.published import Editor
from shield.surrogates.recognisers import JUDGE
from shield.swap.network import SIZE, SWAP, TEMPLATE, load_swap
from shield.training.data import SOURCES, FaceSet
from shield.training.framing import between, reframed
from shield.training.hardening import Hardening, changed

EDITORS = ("stargan", "ganimation", "cyclegan", "spade")
STYLEGAN, SYNTHETIC = "stylegan", SOURCES.index("synthetic")  # what made the faces of that source
RELATIVES = 6  # of every editor, itself among them
APART = 0.03  # share of itself by which a weight of a relative differs: its traces are its own
FAR_APART = 0.5  # of a stranger, which makes nothing worth seeing: what breaks it is a pattern of its own
PROTECTED = 4  # one in so many faces is protected first, from the editor or from a stranger
STRENGTHS = tuple(
    Hardening(critic=False, levels=levels, steps=steps, share=1 / steps) for levels, steps in ((3, 1), (6, 2), (10, 3))
)
LENDERS = 64  # people whose faces are swapped in
CPU = torch.device("cpu")


class Maker(ABC):
    """Makes faces. All are (1, 3, s, s) in [-1, 1], in portrait framing."""

    name: str

    @abstractmethod
    def made(self, face: Tensor, random: Generator) -> Tensor:
        """A made face: of this one, where it is made of one at all."""

    def partner(self, face: Tensor) -> Tensor:
        """A photographed face with the history that a made one has of itself: its size, above all."""
        return face

    def pair(self, face: Tensor, random: Generator) -> tuple[Tensor, Tensor]:
        """A photographed face and a made one to learn from."""
        return self.partner(face), self.made(face, random)


makers: Registry[Callable[[FaceSet], Maker]] = Registry("maker of faces")


class Edited(Maker):
    """What an editor makes; in pairs also what its relatives make, and faces that were protected first.

    What a protected face is protected from is the editor, or a stranger, whose edits are all alike: the detector must
    not take the pattern for a trace, whichever network it was made against.
    """

    def __init__(self, editor: Editor) -> None:
        self.name, self.editor = editor.name, editor
        random = Generator().manual_seed(0)
        self.relatives = [editor, *(perturbed(editor, APART, random) for _ in range(1, RELATIVES))]
        self.strangers = [perturbed(editor, FAR_APART, random) for _ in range(RELATIVES)]

    def made(self, face: Tensor, random: Generator) -> Tensor:
        return _edited(self.editor, face, self._asked(random))

    def pair(self, face: Tensor, random: Generator) -> tuple[Tensor, Tensor]:
        maker, asked = self.relatives[chosen(RELATIVES, random)], self._asked(random)
        if chosen(PROTECTED, random) == 0:
            stranger = self.strangers[chosen(RELATIVES, random)]
            target, wanted = (maker, asked) if chosen(2, random) else (stranger, stranger.conditions[:1])
            face = changed(target.network, face, wanted, STRENGTHS[chosen(len(STRENGTHS), random)], random)
        return face, _edited(maker, face, asked)

    def _asked(self, random: Generator) -> Tensor:
        conditions = self.editor.conditions
        return conditions[chosen(len(conditions), random)][None]


@torch.no_grad()
def _edited(editor: Editor, face: Tensor, asked: Tensor) -> Tensor:
    result: Tensor = editor.network(face, asked)
    return result.float()


def chosen(count: int, random: Generator) -> int:
    """A number below ``count``."""
    return int(torch.randint(count, (), generator=random))


def perturbed(editor: Editor, apart: float, random: Generator) -> Editor:
    """An editor whose weights differ from the editor's by ``apart`` of themselves."""
    other = copy.deepcopy(editor)
    for weight in other.network.parameters():
        weight.mul_(1 + apart * torch.randn(weight.shape, generator=random))
    return other


class Swapped(Maker):
    """Faces with somebody else's put on them."""

    name = SWAP

    def __init__(self, faces: Tensor) -> None:
        """``faces``: uint8 (N, 3, s, s), of whom some lend theirs."""
        self.network, judge = load_swap(CPU), load_surrogate(JUDGE, CPU)
        lenders = faces[torch.randperm(len(faces), generator=Generator().manual_seed(0))[:LENDERS]].float() / 255
        with torch.no_grad():
            self.identities = judge(reframed(lenders, between(PORTRAIT, judge.framing), judge.size))[:, 0]

    @torch.no_grad()
    def made(self, face: Tensor, random: Generator) -> Tensor:
        person = chosen(len(self.identities), random)
        painted = self.network(reframed(face, between(PORTRAIT, TEMPLATE), SIZE), self.identities[person : person + 1])
        back, side = between(TEMPLATE, PORTRAIT), face.shape[-1]
        share = reframed(self.network.core.expand(1, 3, -1, -1), back, side, padding="zeros")
        return face + share * (reframed(painted, back, side) - face)


class Generated(Maker):
    """Faces of nothing, as large as photographed ones; where they are small, those are made as small and enlarged."""

    def __init__(self, name: str) -> None:
        self.name, self.generator = name, load_generator(name, CPU)

    def partner(self, face: Tensor) -> Tensor:
        if self.generator.size >= face.shape[-1]:
            return face
        return _sized(F.interpolate(face, size=self.generator.size, mode="area"), face.shape[-1])

    def made(self, face: Tensor, random: Generator) -> Tensor:
        face_of_nothing = self.generator.sample(1, chosen(2**31, random))
        return _sized(2 * face_of_nothing - 1, face.shape[-1])


def _sized(face: Tensor, side: int) -> Tensor:
    return F.interpolate(face, size=(side, side), mode="bilinear", antialias=True)


class Drawn(Maker):
    """Made faces of a set."""

    def __init__(self, name: str, faces: Tensor) -> None:
        """``faces``: uint8 (N, 3, s, s)."""
        self.name, self.faces = name, faces

    def made(self, face: Tensor, random: Generator) -> Tensor:
        row = chosen(len(self.faces), random)
        return self.faces[row : row + 1].float() / 127.5 - 1


def _editor(name: str, data: FaceSet) -> Edited:
    editor = load_surrogate(name, CPU)
    assert isinstance(editor, Editor)
    return Edited(editor)


def _generator(name: str, data: FaceSet) -> Generated:
    return Generated(name)


for _name in EDITORS:
    makers.register(_name)(partial(_editor, _name))
for _name in generators.registered():
    makers.register(_name)(partial(_generator, _name))


def _imported() -> list[str]:
    """The generators that the user imported, which teach no detector and test every one."""
    return [name for name in generators if name not in generators.registered()]


makers.follow(Named(_imported, lambda name: partial(_generator, name)))


@makers.register(SWAP)
def swapped(data: FaceSet) -> Swapped:
    """A face swap; the people are those of the photographs."""
    return Swapped(data.faces[data.source != SYNTHETIC])


@makers.register(STYLEGAN)
def stylegan(data: FaceSet) -> Drawn:
    """The StyleGAN whose faces the archives hold."""
    return Drawn(STYLEGAN, data.faces[data.source == SYNTHETIC])
