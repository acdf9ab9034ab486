"""A change neither finer than the networks look nor broader than eyes take for grain.

What is finer would be paid for and do nothing; what is broader shows as a stain on a cheek, which no measure minds
much.
"""

from dataclasses import dataclass

from torch import Generator, Tensor
from torch.nn import functional as F

from shield.bounds.bound import Bound, Excesses

FINEST, BROADEST = 256, 32  # points across a face's frame, of the grids between which a change lives


@dataclass(frozen=True)
class Band:
    """``bound``, with changes that a grid of ``FINEST`` points across the face holds and one of ``BROADEST`` does not.

    ``side``: of the face's frame, px of the original (1, 3, H, W).
    """

    bound: Bound
    original: Tensor
    side: float

    def start(self, share: float, generator: Generator) -> Tensor:
        return self.bound.contain(self.original + self._within(self.bound.start(share, generator) - self.original))

    def step(self, direction: Tensor, share: float) -> Tensor:
        return self.bound.step(self._within(direction), share)

    def project(self, image: Tensor) -> Tensor:
        return self.bound.project(image)

    def contain(self, image: Tensor) -> Tensor:
        return self.bound.contain(image)

    def excesses(self, image: Tensor) -> Excesses:
        return self.bound.excesses(image)

    def _within(self, change: Tensor) -> Tensor:
        return self._on(change, FINEST) - self._on(change, BROADEST)

    def _on(self, change: Tensor, points: int) -> Tensor:
        """What a grid of so many points across the face holds of a change; all of it where that is as fine."""
        height, width = change.shape[-2:]
        scale = points / self.side
        if scale >= 1:
            return change
        size = max(1, round(height * scale)), max(1, round(width * scale))
        grid = F.interpolate(change, size=size, mode="bilinear", antialias=True)
        return F.interpolate(grid, size=(height, width), mode="bicubic", align_corners=False)
