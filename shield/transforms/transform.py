"""What a transform is: something that happens to a photo on its way to a manipulator.

A search that climbs through transforms climbs their expectation (EOT; Athalye et al. 2018, arXiv 1707.07397).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor

from shield.faces import Face
from shield.registry import Registry


@dataclass(frozen=True)
class View:
    """What a search looks at: part of a photo, perhaps scaled down. ``scale``: its px per px of the photo.

    ``long_side``: of the whole photo, px.
    """

    scale: float
    long_side: int


class Transform(Protocol):
    """Made for one view. All random numbers come from the generators given."""

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        """(1, 3, H, W) in [0, 1] to the same content in [0, 1], of any size, with gradients."""
        ...

    def frame(self, face: Face) -> Face:
        """Where the manipulator takes the face from, in the coordinates of what goes in."""
        ...


class Unframed:
    """A transform that leaves the framing of faces alone."""

    def frame(self, face: Face) -> Face:
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

    def frame(self, face: Face) -> Face:
        for part in self.parts:
            face = part.frame(face)
        return face


def load_transform(name: str, view: View, generator: Generator) -> Transform:
    """The transform of that name for a view; "half+jpeg75" is the one, then the other.

    Raises RecipeError for an unknown name.
    """
    parts = [transforms[part](view, generator) for part in name.split(JOINED)]
    return parts[0] if len(parts) == 1 else Chain(parts)


def check_transform(name: str) -> None:
    """Raises RecipeError where ``load_transform`` knows no such name."""
    for part in name.split(JOINED):
        transforms[part]


@transforms.register(AS_SAVED)
def as_saved(view: View, generator: Generator) -> Transform:
    return AsSaved()
