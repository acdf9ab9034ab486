"""The largest change of any value, in whole 8-bit levels, with a weight per pixel."""

import torch
from torch import Generator, Tensor


class Linf:
    """|image - original| <= radius, within [0, 1].

    ``levels``: the largest change in 8-bit levels; ``weights``: share of it per pixel, broadcastable to the
    original, in [0, 1]. A bound in whole levels survives rounding and saving.
    """

    def __init__(self, original: Tensor, levels: int, weights: Tensor) -> None:
        self.original = original
        self.radius = levels / 255 * weights

    def start(self, share: float, generator: Generator) -> Tensor:
        # Random numbers are drawn on the processor, so that every device starts alike.
        noise = 2 * torch.rand(self.original.shape, generator=generator) - 1
        # A start that rounds back to the original would have no gradient, so it moves by a level where it may.
        reach = torch.maximum(share * self.radius, self.radius.clamp(max=1 / 255))
        return self.project(self.original + reach * noise.to(self.original))

    def step(self, direction: Tensor, share: float) -> Tensor:
        return share * self.radius * direction

    def project(self, image: Tensor) -> Tensor:
        low, high = self.original - self.radius, self.original + self.radius
        return image.clamp(min=low, max=high).clamp(0, 1)

    def contain(self, image: Tensor) -> Tensor:
        return self.project(image)

    def excess(self, image: Tensor) -> Tensor:
        # Projection keeps every step inside, so there is nothing to push back.
        return torch.full((), -1.0, device=image.device)
