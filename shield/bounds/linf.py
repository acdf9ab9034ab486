"""The largest change of any value, in whole 8-bit levels, with a weight per pixel."""

import torch
from torch import Generator, Tensor

from shield.bounds.bound import Excesses, Limits, bounds


class Linf:
    """|image - original| <= radius, within [0, 1].

    ``levels``: the largest change in 8-bit levels; ``weights``: share of it per pixel, broadcastable to the
    original, in [0, 1]. A bound in whole levels survives rounding and saving. ``chroma``: share of the radius by which
    a channel's change may differ from the channels' mean change; 1 leaves colours free.
    """

    def __init__(self, original: Tensor, levels: int, weights: Tensor, chroma: float = 1.0) -> None:
        self.original, self.chroma = original, chroma
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
        change = image - self.original
        if self.chroma < 1:
            grey = change.mean(1, keepdim=True)
            colour = change - grey
            # Scaled, not cut: the parts of a colour must still add up to nothing.
            strongest = colour.abs().amax(1, keepdim=True).clamp(min=1e-9)
            change = grey + colour * (self.chroma * self.radius / strongest).clamp(max=1)
        return (self.original + change.clamp(min=-self.radius, max=self.radius)).clamp(0, 1)

    def contain(self, image: Tensor) -> Tensor:
        return self.project(image)

    def excesses(self, image: Tensor) -> Excesses:
        # Projection keeps every step inside, so there is nothing to push back.
        return (torch.full((), -1.0, device=image.device),)


@bounds.register("linf")
def linf(original: Tensor, limits: Limits) -> Linf:
    return Linf(original, limits.levels, limits.weights, limits.chroma)
