"""Gaussian blur."""

from functools import partial

import torch
from kornia.filters import gaussian_blur2d
from PIL import Image, ImageFilter
from torch import Generator, Tensor

from shield.channels.channel import Channel, Pixels, View, channels
from shield.formats import pixels_of

SIGMA = 1.0  # px


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Pixels (H, W, 3) blurred by ``sigma`` px."""
    return pixels_of(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


class Blur:
    """Gaussian blur; ``lowest`` and ``highest`` sigma are in px of the photo, one between them is drawn each time."""

    def __init__(self, lowest: float, highest: float, view: View) -> None:
        self.lowest, self.highest = lowest * view.scale, highest * view.scale

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        sigma = self.lowest + (self.highest - self.lowest) * float(torch.rand((), generator=generator))
        size = 2 * max(1, round(3 * sigma)) + 1
        size = min(size, 2 * (min(view.shape[-2:]) // 2) - 1)  # a kernel reflects at most what there is
        blurred: Tensor = gaussian_blur2d(view, (size, size), (sigma, sigma), border_type="reflect")
        return blurred


channels.register("blur")(Channel("blurring", partial(blur, sigma=SIGMA), partial(Blur, SIGMA, SIGMA)))
