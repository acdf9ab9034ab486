"""A search that begins somewhere in particular."""

from dataclasses import dataclass

from torch import Generator, Tensor

from shield.bounds.bound import Bound, Excesses


@dataclass(frozen=True)
class Begun:
    """``bound``, but searches begin with ``change`` to ``original`` instead of a random one, whatever share they ask.

    ``change``: (1, 3, H, W), per value the share of the largest change that the bound allows, in [-1, 1]. The start
    obeys the bound: from beyond it, a search would spend its steps on the way back.
    """

    bound: Bound
    original: Tensor
    change: Tensor

    def start(self, share: float, generator: Generator) -> Tensor:
        return self.bound.project(self.original + self.bound.step(self.change, 1.0))

    def step(self, direction: Tensor, share: float) -> Tensor:
        return self.bound.step(direction, share)

    def project(self, image: Tensor) -> Tensor:
        return self.bound.project(image)

    def contain(self, image: Tensor) -> Tensor:
        return self.bound.contain(image)

    def excesses(self, image: Tensor) -> Excesses:
        return self.bound.excesses(image)
