"""The Lagrangian perceptual attack: in rounds, each of which forbids LPIPS ten times as strictly (Laidlaw et al. 2021,
arXiv 2006.12655).
"""

from torch import Tensor

from shield.attacks.loop import Attack, GradientAttack, Update, Weights, along, attacks

ROUNDS = 5
FIRST_WEIGHT, STRICTER = 0.01, 10.0


def unit_update() -> Update:
    """The gradient, scaled so that its largest value is 1 (the paper scales by the distance that a step goes)."""

    def update(gradient: Tensor, step: int) -> Tensor:
        return gradient / gradient.abs().max().clamp(min=1e-12)

    return update


def rounds(steps: int) -> Weights:
    """The weight of LPIPS's excess, step by step."""

    def weight(step: int, excess: float) -> float:
        return FIRST_WEIGHT * STRICTER ** min(ROUNDS - 1, (step + 1) * ROUNDS // max(1, steps))

    return weight


@attacks.register("lpa")
def lpa(steps: int) -> Attack:
    return GradientAttack(along(unit_update, share=1.0), steps, start=0.1, penalty=lambda: rounds(steps))
