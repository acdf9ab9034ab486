"""No search at all: what a bound would begin a search with is the result.

Where that is the universal perturbation, this is CMUA-Watermark at work (Huang et al. 2022, arXiv 2105.10872); where it
is what a network makes of the face, protection is a matter of an instant.
"""

from torch import Generator, Tensor

from shield.attacks.loop import Attack, Loss, Progress, attacks
from shield.bounds import Bound
from shield.photo import round_to_levels


class Unsearched:
    """Takes the bound's start and never asks for the loss."""

    def __call__(
        self, loss: Loss, photo: Tensor, bound: Bound, generator: Generator, progress: Progress | None = None
    ) -> Tensor:
        if progress is not None:
            progress(0, 1, 0.0)
        image = round_to_levels(bound.start(1.0, generator))
        if progress is not None:
            progress(1, 1, 0.0)
        return image


@attacks.register("universal")
@attacks.register("instant")
def unsearched(steps: int) -> Attack:
    """No step, whatever ``steps`` says."""
    return Unsearched()
