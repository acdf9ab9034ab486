"""What a bound is: how far a picture may go from its original."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor


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

    def excess(self, image: Tensor) -> Tensor:
        """Differentiable scalar: -1 at the original, 0 at the bound, positive beyond it."""
        ...


@dataclass(frozen=True)
class AllOf:
    """Several bounds at once. The first leads: it starts, it shapes the steps; the others cut and judge."""

    bounds: Sequence[Bound]

    def start(self, share: float, generator: Generator) -> Tensor:
        return self.bounds[0].start(share, generator)

    def step(self, direction: Tensor, share: float) -> Tensor:
        return self.bounds[0].step(direction, share)

    def project(self, image: Tensor) -> Tensor:
        for bound in self.bounds:
            image = bound.project(image)
        return image

    def excess(self, image: Tensor) -> Tensor:
        return torch.stack([bound.excess(image) for bound in self.bounds]).amax()
