"""The sign of an accumulated gradient: MI-FGSM (Dong et al. 2018, arXiv 1710.06081), NI-FGSM (Lin et al. 2020,
arXiv 1908.06281). Steps that agree add up, those of one picture's quirks cancel, so that more carries over to networks
that the search did not see.
"""

from torch import Tensor

from shield.attacks.loop import Attack, GradientAttack, Update, along, attacks
from shield.attacks.sign import NUDGE, STEP

DECAY = 1.0  # of what was accumulated, per step: both papers keep all of it


def momentum_update(ahead: bool = False) -> Update:
    """``ahead``: look one step of the accumulated gradient ahead, as Nesterov's method does (in Sutskever's form)."""
    total: Tensor | float = 0.0

    def update(gradient: Tensor, step: int) -> Tensor:
        nonlocal total
        gradient = gradient / gradient.abs().mean().clamp(min=1e-12)
        total = DECAY * total + gradient
        return (gradient + DECAY * total if ahead else total).sign()

    return update


def nesterov_update() -> Update:
    return momentum_update(ahead=True)


@attacks.register("mifgsm")
def mifgsm(steps: int) -> Attack:
    return GradientAttack(along(momentum_update, STEP), steps, start=NUDGE)


@attacks.register("nifgsm")
def nifgsm(steps: int) -> Attack:
    return GradientAttack(along(nesterov_update, STEP), steps, start=NUDGE)
