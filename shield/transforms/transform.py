"""What a transform is: something that happens to a photo on its way to a manipulator.

A search that climbs through transforms climbs their expectation (EOT; Athalye et al. 2018, arXiv 1707.07397).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor

from shield.faces import Face
from shield.registry import Registry

# The known face and a picture (1, 3, H, W) of the view, of any size -> where that face is found, in the view's px. Who
# framed it elsewhere before is not asked.
Find = Callable[[Face, Tensor], Face]


def where_it_was(face: Face, sent: Tensor) -> Face:
    """For views that nobody searches."""
    return face


@dataclass(frozen=True)
class View:
    """What a search looks at: part of a photo, perhaps scaled down. ``scale``: its px per px of the photo.

    ``long_side``: of the whole photo, px. ``find``, ``align``: where a detector finds a face, and where landmarks see
    it, in the photo with the view in it.
    """

    scale: float
    long_side: int
    find: Find = where_it_was
    align: Find = where_it_was


class Transform(Protocol):
    """Made for one view. All random numbers come from the generators given."""

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        """(1, 3, H, W) in [0, 1] to the same content in [0, 1], of any size, with gradients."""
        ...

    def frame(self, face: Face, sent: Tensor) -> Face:
        """Where the manipulator takes the face from, in the coordinates of what goes in, when ``sent`` comes out."""
        ...


class Unframed:
    """A transform that leaves the framing of faces alone."""

    def frame(self, face: Face, sent: Tensor) -> Face:
        return face


AS_SAVED = "none"
JOINED = "+"
transforms: Registry[Callable[[View, Generator], Transform]] = Registry("transform")


class AsSaved(Unframed):
    """Nothing happens."""

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        return view


class Chain:
    """One transform after the other, each made for the view that goes into the first."""

    def __init__(self, parts: Sequence[Transform]) -> None:
        self.parts = parts

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        for part in self.parts:
            view = part(view, generator)
        return view

    def frame(self, face: Face, sent: Tensor) -> Face:
        for part in self.parts:
            face = part.frame(face, sent)
        return face


def load_transform(name: str, view: View, generator: Generator, saving: Transform | None = None) -> Transform:
    """The transform of that name for a view; "half+jpeg75" is the one, then the other.

    ``saving``: what being saved does, where that is not nothing. Raises RecipeError for an unknown name.
    """
    parts = [
        saving if saving is not None and part == AS_SAVED else transforms[part](view, generator)
        for part in name.split(JOINED)
    ]
    return parts[0] if len(parts) == 1 else Chain(parts)


def check_transform(name: str) -> None:
    """Raises RecipeError where ``load_transform`` knows no such name."""
    for part in name.split(JOINED):
        transforms[part]


@transforms.register(AS_SAVED)
def as_saved(view: View, generator: Generator) -> Transform:
    return AsSaved()
