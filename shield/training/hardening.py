"""Hardening: a manipulator learns on pictures that were changed to break it (Ruiz et al. 2020, section 4.3).

The paper calls this adversarial training; that word stands here for a generator and its critic (``adversarial.py``).
Projected gradient descent changes every batch anew so that the generator's results move away from its clean ones. What
is asked of the results stays the same, the way back to the unchanged picture included.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.attacks.loop import GradientAttack, along
from shield.attacks.sign import sign_update
from shield.bounds import Linf

Generate = Callable[[Tensor, Tensor], Tensor]  # faces (N, 3, s, s) in [-1, 1] and conditions (N, C) to faces


@dataclass(frozen=True)
class Hardening:
    """How strongly pictures are changed, and who is shown them.

    ``critic``: the critic takes the changed pictures for real ones; otherwise it sees clean ones. ``levels``: the
    largest change in 8-bit levels; 6 are what fits in the paper's 0.05 of [-1, 1]. ``steps`` of ``share`` of it each,
    from a random start: few, for each costs a pass through the generator and back.
    """

    critic: bool
    levels: int = 6
    steps: int = 2
    share: float = 0.7


HARDENINGS = {"g": Hardening(critic=False), "gd": Hardening(critic=True)}


def changed(
    generate: Generate, faces: Tensor, conditions: Tensor, hardening: Hardening, random: torch.Generator
) -> Tensor:
    """The faces (N, 3, s, s) in [-1, 1], changed so that what is made of them is far from what it was."""
    with torch.no_grad():
        clean = generate(faces, conditions).float()
    photos = (faces + 1) / 2

    def distance(photos: Tensor) -> Tensor:
        return F.mse_loss(generate(2 * photos - 1, conditions).float(), clean)

    attack = GradientAttack(along(sign_update, hardening.share), hardening.steps, start=1.0)
    return 2 * attack(distance, photos, Linf(photos, hardening.levels, torch.ones(())), random) - 1
