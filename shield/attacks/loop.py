"""The one loop of every gradient attack: judge, differentiate, step, project. Methods fill in where to step.

Projected gradient descent: Madry et al. 2018 (arXiv 1706.06083). A bound that is too dear to project on at each step
(LPIPS) enters as a Lagrangian penalty whose weight follows the violation (Laidlaw et al. 2021, arXiv 2006.12655).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from shield.bounds import Bound
from shield.errors import SearchError
from shield.photo import round_to_levels
from shield.registry import Registry

Progress = Callable[[int, int, float], None]  # step, steps, best so far
Update = Callable[[Tensor, int], Tensor]  # gradient, step -> direction of about [-1, 1] per value
Weights = Callable[[int, float], float]  # step, excess at it -> the weight of the bound's excess at the next

SLACK = 0.1  # the penalty sets in this far below the bound
GOAL = 1.0  # of every loss: everything breaks with margin
FIRST_WEIGHT = 0.1  # of the penalty
GROWTH, DECAY = 1.06, 0.95  # of its weight per step above and below the bound


@dataclass(frozen=True)
class Here:
    """Where a search stands: ``image`` (1, 3, H, W), its ``gradient`` and its ``score`` (loss less excess).

    ``value``: of the loss. ``excesses``: of the bound. ``pull``: the gradient of the one of a number.
    """

    step: int
    image: Tensor
    gradient: Tensor
    score: float
    value: float
    excesses: list[float]
    pull: Callable[[int], Tensor]


Rule = Callable[[Here, Bound], Tensor]  # the next image; the loop contains it


class Loss(Protocol):
    """A scalar to climb. A loss whose calls draw anew also has ``judge``, which compares pictures on the same draws."""

    def __call__(self, photo: Tensor, /) -> Tensor:
        """Of a photo (1, 3, H, W) in [0, 1]."""
        ...


@runtime_checkable
class Drawn(Loss, Protocol):
    """A loss whose every call draws anew."""

    def judge(self, photo: Tensor, /) -> Tensor:
        """On draws that are always the same."""
        ...


class Attack(Protocol):
    """Climbs a loss within a bound. Knows nothing of faces, networks or codecs."""

    def __call__(
        self, loss: Loss, photo: Tensor, bound: Bound, generator: Generator, progress: Progress | None = None
    ) -> Tensor:
        """The best picture found, in whole 8-bit levels: (1, 3, H, W) in [0, 1] like ``photo``.

        Raises SearchError where the loss is not a number. An exception from ``progress`` cancels the search.
        """
        ...


def along(update: Callable[[], Update], share: float) -> Callable[[], Rule]:
    """Steps of ``share`` of the bound along what ``update`` makes of the gradients."""

    def begin() -> Rule:
        direction = update()
        return lambda here, bound: here.image + bound.step(direction(here.gradient, here.step), share)

    return begin


def following() -> Weights:
    """The weight grows while the bound is exceeded and falls while it is not."""
    weight = FIRST_WEIGHT

    def next_weight(step: int, excess: float) -> float:
        nonlocal weight
        if step >= 0:
            weight *= GROWTH if excess > 0 else DECAY
        return weight

    return next_weight


@dataclass(frozen=True)
class GradientAttack:
    """``steps`` steps by ``rule``. Every search begins with a rule and a penalty of its own, so that none remembers.

    ``start``: share of the bound by which the start is moved at random. Ends early where a loss that draws
    nothing reaches ``goal`` inside the bound.
    """

    rule: Callable[[], Rule]
    steps: int
    start: float
    penalty: Callable[[], Weights] = following
    goal: float = GOAL

    def __call__(
        self, loss: Loss, photo: Tensor, bound: Bound, generator: Generator, progress: Progress | None = None
    ) -> Tensor:
        image, rule, weights = bound.start(self.start, generator), self.rule(), self.penalty()
        weight = weights(-1, -1.0)
        best, best_score = photo, -float("inf")
        for step in range(self.steps + 1):
            # The gradient is taken where the picture is judged: on whole levels, as a file would hold it.
            candidate = round_to_levels(image).requires_grad_(True)
            here = _evaluate(loss, bound, candidate, weight, step)
            excess = max(here.excesses)
            if here.score > best_score:
                best, best_score = candidate.detach(), here.score
            # Of a loss that draws anew one value says little.
            done = step == self.steps or (here.value >= self.goal and excess <= 0 and not isinstance(loss, Drawn))
            if progress is not None:
                progress(self.steps if done else step, self.steps, max(0.0, best_score))
            if done:
                break
            weight = weights(step, excess)
            image = bound.contain(rule(replace(here, image=image), bound))
        # Where each step saw other draws, what was best on the way and what came last are compared on the same ones.
        finalists = [best, candidate.detach()] if isinstance(loss, Drawn) else [best]
        inside = [round_to_levels(bound.project(finalist)) for finalist in finalists]
        return max(inside, key=lambda image: float(loss.judge(image))) if isinstance(loss, Drawn) else inside[0]


def _evaluate(loss: Loss, bound: Bound, image: Tensor, weight: float, step: int) -> Here:
    """The search at ``image``; its gradient is that of loss - weight * penalty."""
    value, excesses = loss(image), bound.excesses(image)

    def gradient_of(scalar: Tensor) -> Tensor:
        if not scalar.requires_grad:  # a bound that projection keeps by itself
            return torch.zeros_like(image)
        (gradient,) = torch.autograd.grad(scalar, image, retain_graph=True)
        return gradient

    excess = torch.stack(excesses).amax()
    gradient = gradient_of(value - weight * (excess + SLACK).clamp(min=0) if weight else value)
    if not (torch.isfinite(value) and torch.isfinite(excess) and torch.isfinite(gradient).all()):
        raise SearchError("The search met a loss that is not a number; the photo was left as it is.")
    score = value.item() - max(0.0, excess.item())
    told = [float(it.detach()) for it in excesses]
    return Here(step, image, gradient, score, value.item(), told, lambda number: gradient_of(excesses[number]))


attacks: Registry[Callable[[int], Attack]] = Registry("attack")
