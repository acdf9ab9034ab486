"""The distance of the results themselves, an edit each: what counts as disrupted (Ruiz et al. 2020)."""

import torch
from torch import Tensor

from shield.objectives.objective import Manipulator, Measure, objectives


@objectives.register("output")
@torch.no_grad()
def output(manipulator: Manipulator, crop: Tensor) -> Measure:
    clean = manipulator(crop)

    def measure(changed: Tensor) -> Tensor:
        return manipulator.distance(manipulator(changed).float(), clean) / manipulator.threshold

    return measure
