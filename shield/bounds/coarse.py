"""A change no finer than what the networks see: the rest would be paid for and do nothing."""

from dataclasses import dataclass

from torch import Generator, Tensor
from torch.nn import functional as F

from shield.bounds.bound import Bound


@dataclass(frozen=True)
class Coarse:
    """``bound``, with changes that a grid of ``size`` (height, width) holds, between whose points they are smooth."""

    bound: Bound
    original: Tensor
    size: tuple[int, int]

    def start(self, share: float, generator: Generator) -> Tensor:
        return self.bound.contain(self.original + self._coarse(self.bound.start(share, generator) - self.original))

    def step(self, direction: Tensor, share: float) -> Tensor:
        return self.bound.step(self._coarse(direction), share)

    def project(self, image: Tensor) -> Tensor:
        return self.bound.project(image)

    def contain(self, image: Tensor) -> Tensor:
        return self.bound.contain(image)

    def excesses(self, image: Tensor) -> Tensor:
        return self.bound.excesses(image)

    def _coarse(self, change: Tensor) -> Tensor:
        grid = F.interpolate(change, size=self.size, mode="bilinear", antialias=True)
        return F.interpolate(grid, size=change.shape[-2:], mode="bicubic", align_corners=False)
