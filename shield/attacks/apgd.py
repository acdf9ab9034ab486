"""APGD: steps that halve where they stop paying, and go back to the best (Croce and Hein 2020, arXiv 2003.01690)."""

from functools import partial

from torch import Tensor

from shield.attacks.loop import Attack, GradientAttack, Here, attacks
from shield.bounds import Bound

FIRST_STEP = 2.0  # of the bound
MOMENTUM = 0.75  # weight of the new step against the last one
FIRST_CHECK, SHORTER, SHORTEST = 0.22, 0.03, 0.06  # of all steps: until the first check; how intervals shrink
PAYING = 0.75  # share of steps since the last check that must have gone up


def checkpoints(steps: int) -> list[int]:
    """The steps at which the step size is looked at."""
    places, interval = [0.0, FIRST_CHECK], FIRST_CHECK
    while places[-1] < 1:
        interval = max(interval - SHORTER, SHORTEST)
        places.append(places[-1] + interval)
    return sorted({max(1, round(place * steps)) for place in places[1:] if place <= 1})


class StepControl:
    """One search's rule."""

    def __init__(self, steps: int) -> None:
        self.checks, self.share = checkpoints(steps), FIRST_STEP
        self.previous: Tensor | None = None
        self.best: Here | None = None
        self.rises, self.last_score = 0, float("inf")
        self.checked_at, self.share_then, self.best_then = 0, 0.0, -float("inf")

    def __call__(self, here: Here, bound: Bound) -> Tensor:
        self.rises += here.score > self.last_score
        self.last_score = here.score
        if self.best is None or here.score > self.best.score:
            self.best = here
        if here.step in self.checks and self._stuck(here, self.best):
            self.share /= 2
            here, self.previous = self.best, self.best.image
        aim = bound.contain(here.image + bound.step(here.gradient.sign(), self.share))
        last = here.image - (here.image if self.previous is None else self.previous)
        weight = 1.0 if self.previous is None else MOMENTUM
        self.previous = here.image
        return here.image + weight * (aim - here.image) + (1 - weight) * last

    def _stuck(self, here: Here, best: Here) -> bool:
        """Whether too few steps went up, or neither the step size nor the best has changed since the last check."""
        few = self.rises < PAYING * (here.step - self.checked_at)
        idle = self.share == self.share_then and best.score == self.best_then
        self.rises, self.checked_at, self.share_then, self.best_then = 0, here.step, self.share, best.score
        return few or idle


@attacks.register("apgd")
def apgd(steps: int) -> Attack:
    return GradientAttack(partial(StepControl, steps), steps, start=1.0)
