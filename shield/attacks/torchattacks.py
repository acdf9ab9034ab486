"""torchattacks' attacks on shield's loss, unchanged (Kim 2020, arXiv 2010.01950): by name, "torchattacks:MIFGSM".

They climb a classifier's cross entropy within a ball around a picture. Here the classifier has two classes, "it still
works" and "it breaks", whose logits are the loss's; the ball is the largest change that the bound allows anywhere, and
the picture that the classifier looks at is first drawn into the bound and rounded, as a file would hold it.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from shield.attacks.loop import FIRST_WEIGHT, GOAL, SLACK, Loss, Progress, attacks
from shield.attacks.sign import STEP
from shield.bounds import Bound
from shield.errors import SearchError
from shield.photo import round_to_levels

QUERIES = 20  # of a black-box attack per step: it learns less from each than from a gradient
TOLERANCE = 1e-3
NUDGE = 0.1  # attacks without a random start begin where the loss has no gradient


class GoalReachedError(Exception):
    """Ends an attack that knows no end of its own."""


class Judge(nn.Module):
    """Pictures (1, 3, H, W) to logits (1, 2); remembers the best it was shown, and tells of progress."""

    def __init__(self, loss: Loss, bound: Bound, ball: "Ball", calls: int, progress: Progress | None) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()), requires_grad=False)  # torchattacks asks parameters for the device
        self.loss, self.bound, self.ball, self.calls, self.progress = loss, bound, ball, calls, progress
        self.best: Tensor | None = None
        self.best_score, self.call = -float("inf"), 0

    def forward(self, image: Tensor) -> Tensor:
        # What lies outside the ball is a copy that the attack darkened, resized or moved to learn from, no candidate.
        candidate = self.ball.holds(image.detach())
        judged = self._drawn(image) if candidate else image
        value, excess = self.loss(judged), torch.stack(self.bound.excesses(judged)).amax()
        if not (torch.isfinite(value) and torch.isfinite(excess)):
            raise SearchError("The search met a loss that is not a number; the photo was left as it is.")
        if image.requires_grad:
            judged.register_hook(_checked)
        score = float(value.detach()) - max(0.0, float(excess.detach()))
        if candidate and score > self.best_score:
            self.best, self.best_score = judged.detach(), score
        done = candidate and float(value.detach()) >= GOAL and float(excess.detach()) <= 0
        self._report(done)
        if done:
            raise GoalReachedError
        breaks = value - FIRST_WEIGHT * (excess + SLACK).clamp(min=0)
        return torch.stack([GOAL - breaks, breaks - GOAL])[None]

    def _drawn(self, image: Tensor) -> Tensor:
        """Into the bound and rounded. The gradient is the drawn picture's, the attack moves its own."""
        drawn = round_to_levels(self.bound.contain(image.detach()))
        return image + (drawn - image).detach() if image.requires_grad else drawn

    def _report(self, done: bool) -> None:
        if self.progress is not None:
            step = self.calls if done else min(self.call, self.calls - 1)
            self.progress(step, self.calls, max(0.0, self.best_score))
        self.call += 1


def _checked(gradient: Tensor) -> Tensor:
    if not torch.isfinite(gradient).all():
        raise SearchError("The search met a loss that is not a number; the photo was left as it is.")
    return gradient


@dataclass(frozen=True)
class Ball:
    """The pictures within ``radius`` of ``centre``, by their largest change or by its Euclidean norm."""

    centre: Tensor
    radius: float
    euclidean: bool

    def holds(self, image: Tensor) -> bool:
        change = image - self.centre
        return float(change.norm() if self.euclidean else change.abs().max()) <= self.radius * (1 + TOLERANCE)


@dataclass(frozen=True)
class Adapter:
    """An attack of torchattacks as one of shield's. ``settings``: from the ball's radius, the steps and a seed."""

    name: str
    steps: int
    settings: Callable[[float, int, int], dict[str, Any]]
    euclidean: bool = False

    def __call__(
        self, loss: Loss, photo: Tensor, bound: Bound, generator: Generator, progress: Progress | None = None
    ) -> Tensor:
        largest = bound.step(torch.ones_like(photo), 1.0)
        radius = float(largest.norm() if self.euclidean else largest.abs().max())
        start = round_to_levels(bound.start(NUDGE, generator))
        seed = int(torch.randint(2**31, (1,), generator=generator))
        judge = Judge(loss, bound, Ball(start, radius, self.euclidean), self._calls(radius), progress)
        with torch.random.fork_rng(devices=[photo.device] if photo.device.type == "cuda" else []):
            torch.manual_seed(seed)  # torchattacks draws from torch's own random numbers
            self._run(judge.to(photo.device), start, radius, seed)
        if progress is not None and judge.best_score < GOAL:
            progress(judge.calls, judge.calls, max(0.0, judge.best_score))
        best = photo if judge.best is None else judge.best
        return round_to_levels(bound.project(best))

    def _run(self, judge: nn.Module, start: Tensor, radius: float, seed: int) -> None:
        attack = getattr(importlib.import_module("torchattacks"), self.name)
        try:
            result = attack(judge, **self.settings(radius, self.steps, seed))(start, torch.zeros(1, dtype=torch.long))
            with torch.no_grad():
                judge(result)  # attacks do not look at where their last step led
        except GoalReachedError:
            return

    def _calls(self, radius: float) -> int:
        """How often the attack asks for logits: counted on a picture of a few pixels."""
        counter = _Counter()
        with torch.random.fork_rng(devices=[]):
            self._run(counter, torch.full((1, 3, 16, 16), 0.5), radius, seed=0)
        return counter.calls


class _Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        return torch.stack([1 + 0 * image.mean(), -1 + 0 * image.mean()])[None]


def _whole(radius: float, steps: int, seed: int) -> dict[str, Any]:
    return {"eps": radius}


def _stepwise(radius: float, steps: int, seed: int) -> dict[str, Any]:
    return {"eps": radius, "alpha": STEP * radius, "steps": steps}


def _queries(radius: float, steps: int, seed: int) -> dict[str, Any]:
    return {"eps": radius, "n_queries": QUERIES * steps, "seed": seed}


def _register(name: str, settings: Callable[[float, int, int], dict[str, Any]], euclidean: bool = False) -> None:
    attacks.register(f"torchattacks:{name}")(partial(Adapter, name, settings=settings, euclidean=euclidean))


_register("FGSM", _whole)
for _name in ("BIM", "PGD", "MIFGSM", "NIFGSM", "DIFGSM", "TIFGSM", "SINIFGSM", "VMIFGSM", "EOTPGD"):
    _register(_name, _stepwise)
_register("PGDL2", _stepwise, euclidean=True)
_register("Square", _queries)
