"""What an objective is: a distance from a surrogate's clean results, for a search to climb."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from shield.registry import Registry


class Manipulator(Protocol):
    """What an objective knows of a surrogate."""

    threshold: float
    makes_pictures: bool

    def __call__(self, faces: Tensor) -> Tensor: ...
    def distance(self, results: Tensor, clean: Tensor) -> Tensor: ...


# Changed crops (N, 3, s, s) in [0, 1] -> (N, parts): how far each part of the results is; beyond 1 it is broken.
Measure = Callable[[Tensor], Tensor]
objectives: Registry[Callable[[Manipulator, Tensor], Measure]] = Registry("objective")  # of the clean crop (1, 3, s, s)
