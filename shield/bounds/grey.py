"""Grey photos stay grey: the search sees grey pictures alone, so that its change is one."""

from dataclasses import dataclass

from torch import Generator, Tensor

from shield.bounds.bound import Bound, Excesses


def as_grey(image: Tensor) -> Tensor:
    """The picture (N, 3, H, W) with every channel the mean of all; its gradient is then the same in each."""
    return image.mean(dim=1, keepdim=True).expand_as(image)


@dataclass(frozen=True)
class Grey:
    """``bound``, of whose pictures only the grey ones are allowed."""

    bound: Bound

    def start(self, share: float, generator: Generator) -> Tensor:
        return as_grey(self.bound.start(share, generator))

    def step(self, direction: Tensor, share: float) -> Tensor:
        return self.bound.step(direction, share)

    def project(self, image: Tensor) -> Tensor:
        return as_grey(self.bound.project(image))

    def contain(self, image: Tensor) -> Tensor:
        return as_grey(self.bound.contain(image))

    def excesses(self, image: Tensor) -> Excesses:
        return self.bound.excesses(as_grey(image))
