"""The Euclidean norm of the change, within a largest change per value."""

import torch
from torch import Generator, Tensor

from shield.bounds.bound import Excesses, Limits, bounds
from shield.bounds.linf import Linf

TOLERANCE = 1e-5
ROOT_MEAN_SQUARE = 0.5  # of the largest change, where that is the same everywhere


class L2:
    """Root mean square of the change, each value over its own largest change, at most ``ROOT_MEAN_SQUARE``.

    Beside Linf the energy may gather where it does most; ``cap`` still holds for every value.
    """

    def __init__(self, cap: Linf) -> None:
        self.cap = cap
        self.radius = ROOT_MEAN_SQUARE * float(cap.radius.expand_as(cap.original).square().mean().sqrt())

    def start(self, share: float, generator: Generator) -> Tensor:
        return self.project(self.cap.start(share, generator))

    def step(self, direction: Tensor, share: float) -> Tensor:
        change = self.cap.step(direction, 1.0)
        return change * (share * self.radius / _norm(change).clamp(min=1e-12))

    def project(self, image: Tensor) -> Tensor:
        capped = self.cap.project(image)
        change = capped - self.cap.original
        norm = float(_norm(change))
        return capped if norm <= self.radius * (1 + TOLERANCE) else self.cap.original + change * (self.radius / norm)

    def contain(self, image: Tensor) -> Tensor:
        return self.project(image)

    def excesses(self, image: Tensor) -> Excesses:
        return (torch.full((), -1.0, device=image.device),)


def _norm(change: Tensor) -> Tensor:
    return change.square().mean().sqrt()


@bounds.register("l2")
def l2(original: Tensor, limits: Limits) -> L2:
    return L2(Linf(original, limits.levels, limits.weights, limits.chroma))
