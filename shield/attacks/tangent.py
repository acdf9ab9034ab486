"""Along the tangent of the limits that are reached: gradient projection (Rosen 1960) with momentum (Dong et al. 2018).

A penalty trades the loss against the limits by a weight that has to be found, photo by photo. Here no weight is
needed: what climbs is the part of the accumulated gradient that leaves every limit that is reached as it is. Gradients
are taken as they come, not as signs or normalised per pixel, so that a change grows where it does most for what is
seen of it.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from shield.attacks.loop import Attack, GradientAttack, Here, Rule, attacks
from shield.bounds import Bound

PATH = 1.4  # root mean square of all steps together, were they in one direction; share of the largest change
LAST = 0.1  # of the first step, to which steps shrink along a cosine
MOMENTUM = 0.9
NEAR = -0.08  # an excess from which on a limit counts as reached
BACK = 5.0  # of an excess: how much harder a limit that is exceeded pushes back
REFRESHED = 2  # steps after which the gradient of a limit is taken anew: it costs as much as the loss
ENOUGH = 0.9  # value from which on the change begins to shrink instead


class Tangent:
    """One search's rule."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.total: Tensor | None = None
        self.value = 0.0  # of the last steps
        self.pulls: dict[int, Tensor] = {}  # by number of the limit

    def __call__(self, here: Here, bound: Bound) -> Tensor:
        ascent = _unit(here.gradient)
        self.total = ascent if self.total is None else MOMENTUM * self.total + (1 - MOMENTUM) * ascent
        direction = _unit(self.total)
        reached = [number for number, excess in enumerate(here.excesses) if excess > NEAR]
        pulls = [self._pull(here, number) for number in reached]
        pushes = [1 + min(max(BACK * here.excesses[number], -1.0), 1.0) for number in reached]
        for weight, push, pull in zip(_weights(direction, pulls), pushes, pulls, strict=True):
            direction = direction - weight * push * pull
        self.value = MOMENTUM * self.value + (1 - MOMENTUM) * here.value
        if (spare := min(1.0, max(0.0, (self.value - ENOUGH) / (1 - ENOUGH)))) > 0:
            loudest = self._pull(here, here.excesses.index(max(here.excesses)))
            direction = (1 - spare) * direction - spare * loudest
        return here.image + bound.step(direction * math.sqrt(direction.numel()), self._share(here.step))

    def _pull(self, here: Here, number: int) -> Tensor:
        """Where a limit's excess grows; it turns slowly."""
        if number not in self.pulls or here.step % REFRESHED == 0:
            self.pulls[number] = _unit(here.pull(number))
        return self.pulls[number]

    def _share(self, step: int) -> float:
        """How far a step goes."""
        left = (1 + math.cos(math.pi * step / self.steps)) / 2
        return 2 * PATH / (1 + LAST) / self.steps * (LAST + (1 - LAST) * left)


def _weights(direction: Tensor, pulls: list[Tensor]) -> list[float]:
    """How much of each pull is in the direction: least squares, none below 0."""
    if not pulls:
        return []
    matrix = torch.stack([pull.flatten() for pull in pulls])
    # The same least squares in as many unknowns as there are pulls.
    products = (matrix @ matrix.T).double().cpu().numpy() + 1e-9 * np.eye(len(pulls))
    root = np.linalg.cholesky(products)
    weights, _ = nnls(root.T, np.linalg.solve(root, (matrix @ direction.flatten()).double().cpu().numpy()))
    return [float(weight) for weight in weights]


def _unit(gradient: Tensor) -> Tensor:
    length: Tensor = gradient.norm()
    return gradient / length.clamp(min=1e-12)


def rule(steps: int) -> Callable[[], Rule]:
    return lambda: Tangent(steps)


@attacks.register("tangent")
def tangent(steps: int) -> Attack:
    return GradientAttack(rule(steps), steps, start=0.05, penalty=lambda: lambda step, excess: 0.0)
