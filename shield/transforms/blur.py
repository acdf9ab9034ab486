"""Gaussian blur, of one sigma or of a new one every time."""

import torch
from kornia.filters import gaussian_blur2d
from torch import Generator, Tensor

from shield.transforms.transform import Transform, Unframed, View, transforms
from shield.web import BLUR_SIGMA

WIDEST = 3.0  # sigma in px of the photo


class Blur(Unframed):
    """Gaussian blur; ``lowest`` and ``highest`` sigma are in px of the photo, one between them is drawn each time."""

    def __init__(self, lowest: float, highest: float, view: View) -> None:
        self.lowest, self.highest = lowest * view.scale, highest * view.scale

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        sigma = self.lowest + (self.highest - self.lowest) * float(torch.rand((), generator=generator))
        size = 2 * max(1, round(3 * sigma)) + 1
        size = min(size, 2 * (min(view.shape[-2:]) // 2) - 1)  # a kernel reflects at most what there is
        blurred: Tensor = gaussian_blur2d(view, (size, size), (sigma, sigma), border_type="reflect")
        return blurred


@transforms.register("blur")
def blur(view: View, generator: Generator) -> Transform:
    return Blur(BLUR_SIGMA, BLUR_SIGMA, view)


@transforms.register("spread-spectrum-blur")
def spread_spectrum_blur(view: View, generator: Generator) -> Transform:
    """Ruiz et al. 2020's answer to a blur of unknown width: another width at every step."""
    return Blur(0.3, WIDEST, view)
