"""Colour alone: every pixel keeps its lightness, and only a and b of CIE Lab change."""

import torch
from kornia.color import lab_to_rgb, rgb_to_lab
from torch import Generator, Tensor

from shield.bounds.bound import Excesses, Limits, bounds
from shield.bounds.linf import Linf


class Lab:
    """What changes is a and b; lightness is given back, as far as colours of that lightness exist.

    ``cap`` holds for every value of RGB.
    """

    def __init__(self, cap: Linf) -> None:
        self.cap = cap
        self.lightness = rgb_to_lab(cap.original)[:, :1]

    def start(self, share: float, generator: Generator) -> Tensor:
        return self.project(self.cap.start(share, generator))

    def step(self, direction: Tensor, share: float) -> Tensor:
        return self.cap.step(direction, share)

    def project(self, image: Tensor) -> Tensor:
        colours = rgb_to_lab(image.clamp(0, 1))[:, 1:]
        return self.cap.project(lab_to_rgb(torch.cat([self.lightness, colours], dim=1), clip=True))

    def contain(self, image: Tensor) -> Tensor:
        return self.project(image)

    def excesses(self, image: Tensor) -> Excesses:
        return (torch.full((), -1.0, device=image.device),)


NAME = "lab"


@bounds.register(NAME)
def lab(original: Tensor, limits: Limits) -> Lab:
    return Lab(Linf(original, limits.levels, limits.weights))
