"""Attacks that step along the gradient's sign.

FGSM: Goodfellow et al. 2015 (arXiv 1412.6572). I-FGSM: Kurakin et al. 2017 (arXiv 1607.02533). PGD: Madry et al. 2018
(arXiv 1706.06083). Against manipulators, with these settings: Ruiz et al. 2020 (arXiv 2003.01279).
"""

from torch import Tensor

from shield.attacks.loop import Attack, GradientAttack, Update, along, attacks

# The squared distance to the clean result has no gradient at the photo itself, so even the attacks that are defined
# without a random start leave it by a little.
NUDGE = 0.2
STEP = 0.2  # of the bound per step: Ruiz et al. take 0.01 of 0.05


def sign_update() -> Update:
    def update(gradient: Tensor, step: int) -> Tensor:
        return gradient.sign()

    return update


@attacks.register("fgsm")
def fgsm(steps: int) -> Attack:
    """One step of the whole bound, whatever ``steps`` says."""
    return GradientAttack(along(sign_update, share=1.0), steps=1, start=NUDGE)


@attacks.register("ifgsm")
def ifgsm(steps: int) -> Attack:
    return GradientAttack(along(sign_update, STEP), steps, start=NUDGE)


@attacks.register("pgd")
def pgd(steps: int) -> Attack:
    return GradientAttack(along(sign_update, STEP), steps, start=1.0)
