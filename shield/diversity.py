"""What a recogniser is shown of a face, varied, so that a change holds for recognisers that no search saw.

Xie et al. 2019, "Improving Transferability of Adversarial Examples with Input Diversity" (arXiv 1803.06978). Mirrored,
and coarser: a person stays who he is. A manipulator's picture would be another one.
"""

import random
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

COARSEST = 0.6  # of the size


@dataclass(frozen=True)
class Variation:
    """``mirrored``; ``share``: of the size, to which the picture shrinks before it is enlarged again."""

    mirrored: bool = False
    share: float = 1.0

    @classmethod
    def draw(cls, source: random.Random) -> "Variation":
        """The next one."""
        return cls(source.random() < 0.5, source.uniform(COARSEST, 1))

    def __call__(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, s, s) in [0, 1], varied alike."""
        size = crops.shape[-2:]
        small = [max(1, int(side * self.share)) for side in size]
        if small != list(size):
            crops = F.interpolate(crops, size=small, mode="bilinear", antialias=True)
            crops = F.interpolate(crops, size=size, mode="bilinear", align_corners=False)
        return crops.flip(-1) if self.mirrored else crops


PLAIN = Variation()
