"""Gaussian noise, as sensors of cameras that photograph a screen add it."""

import torch
from torch import Generator, Tensor

from shield.transforms.transform import Transform, Unframed, View, transforms

LEVELS = 4  # standard deviation


class Noise(Unframed):
    """New noise every time."""

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        grain = torch.randn(view.shape, generator=generator).to(view)
        return (view + LEVELS / 255 * grain).clamp(0, 1)


@transforms.register("noise")
def noise(view: View, generator: Generator) -> Transform:
    return Noise()
