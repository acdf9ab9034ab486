"""Gaussian noise, as sensors of cameras that photograph a screen add it."""

import numpy as np
import torch
from torch import Generator, Tensor

from shield.channels.channel import Channel, Pixels, channels

LEVELS = 4  # standard deviation
SEED = 0  # of the real one: the same file gets the same noise


def noisy(pixels: Pixels) -> Pixels:
    """Pixels (H, W, 3) with noise."""
    grain = np.random.default_rng(SEED).normal(0, LEVELS, pixels.shape)
    return np.rint(pixels + grain).clip(0, 255).astype(np.uint8)


class Noise:
    """New noise every time."""

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        grain = torch.randn(view.shape, generator=generator).to(view)
        return (view + LEVELS / 255 * grain).clamp(0, 1)


channels.register("noise")(Channel("a camera's noise", noisy, lambda view: Noise(), only_searched=True))
