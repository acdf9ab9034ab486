"""The distance inside the region that an edit changes (l2_mask of CMUA, Huang et al. 2022, arXiv 2105.10872).

The search then spends nothing on breaking a background that a manipulator only copies.
"""

import torch
from torch import Tensor

from shield.objectives.distances import l2_mask
from shield.objectives.objective import Manipulator, Measure, objectives
from shield.objectives.output import output


@objectives.register("masked")
@torch.no_grad()
def masked(manipulator: Manipulator, crop: Tensor) -> Measure:
    if not manipulator.makes_pictures:  # an embedding has no region
        return output(manipulator, crop)
    clean, face = manipulator(crop), 2 * crop - 1

    def measure(changed: Tensor) -> Tensor:
        return l2_mask(manipulator(changed).float(), clean, face) / manipulator.threshold

    return measure
