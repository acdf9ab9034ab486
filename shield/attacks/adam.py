"""Adam as the update (Kingma and Ba 2015, arXiv 1412.6980): smoother than the sign, so less is seen at equal effect."""

from torch import Tensor

from shield.attacks.loop import Attack, GradientAttack, Update, along, attacks

BETAS = (0.9, 0.999)


def adam_update() -> Update:
    mean: Tensor | float = 0.0
    square: Tensor | float = 0.0

    def update(gradient: Tensor, step: int) -> Tensor:
        nonlocal mean, square
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        square = BETAS[1] * square + (1 - BETAS[1]) * gradient.square()
        first, second = mean / (1 - BETAS[0] ** (step + 1)), square / (1 - BETAS[1] ** (step + 1))
        return first / (second.sqrt() + 1e-12)

    return update


@attacks.register("adam")
def adam(steps: int) -> Attack:
    return GradientAttack(along(adam_update, share=0.1), steps, start=0.1)
