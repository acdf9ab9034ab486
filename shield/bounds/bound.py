"""What a bound is: how far a picture may go from its original."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor

from shield.registry import Registry

# Differentiable scalars. In one tensor, the gradient of any of them would be taken through what all are made of.
Excesses = tuple[Tensor, ...]


class Bound(Protocol):
    """Made for one original (1, 3, H, W) in [0, 1]; pictures have its shape and range."""

    def start(self, share: float, generator: Generator) -> Tensor:
        """The original, moved at random by up to ``share`` of what the bound allows."""
        ...

    def step(self, direction: Tensor, share: float) -> Tensor:
        """The change along ``direction`` (about [-1, 1] per value), scaled to ``share`` of what the bound allows."""
        ...

    def project(self, image: Tensor) -> Tensor:
        """The nearest picture (or nearly) that obeys the bound."""
        ...

    def contain(self, image: Tensor) -> Tensor:
        """What a search does after every step: ``project``, or the part of it that is cheap."""
        ...

    def excesses(self, image: Tensor) -> Excesses:
        """One per thing that is limited: -1 at the original, 0 at the limit, positive beyond."""
        ...


@dataclass(frozen=True)
class Limits:
    """How far a picture may go, for whatever shape a bound gives it.

    ``levels``: the largest change of a value, in 8-bit levels. ``weights``: share of it per pixel, in [0, 1].
    ``chroma``: share of it that may be colour (1: all).
    """

    levels: int
    weights: Tensor
    chroma: float = 1.0


bounds: Registry[Callable[[Tensor, Limits], Bound]] = Registry("bound")


@dataclass(frozen=True)
class Steered:
    """Two bounds, of which a search stays inside ``hard`` at every step and is pushed back by its excess over ``soft``.

    Drawing every step back to the soft bound would shrink the whole change and cost many measurements; its gradient
    moves the change to where it is seen less. The end of the search is projected on both.
    """

    hard: Bound
    soft: Bound

    def start(self, share: float, generator: Generator) -> Tensor:
        return self.hard.start(share, generator)

    def step(self, direction: Tensor, share: float) -> Tensor:
        return self.hard.step(direction, share)

    def project(self, image: Tensor) -> Tensor:
        return self.soft.project(self.hard.project(image))

    def contain(self, image: Tensor) -> Tensor:
        return self.hard.contain(image)

    def excesses(self, image: Tensor) -> Excesses:
        return *self.hard.excesses(image), *self.soft.excesses(image)
