"""A bound on LPIPS: how different the face may look (after Laidlaw et al. 2021, arXiv 2006.12655)."""

import torch
from torch import Generator, Tensor

from shield.bounds.bound import Excesses
from shield.faces import Face, warp
from shield.lpips import Lpips

COARSE, FINE = 256, 512  # px: people look at faces small and large
BISECTIONS = 8


def face_sizes(face: Face) -> tuple[int, ...]:
    """The sides at which a face's LPIPS is taken: 256 px, and its own size clamped to 256..512 px."""
    own = min(max(round(face.side), COARSE), FINE)
    return (COARSE,) if own == COARSE else (COARSE, own)


class FaceLpips:
    """Face LPIPS: the larger distance of the aligned face over ``face_sizes``; the original's features are kept."""

    def __init__(self, network: Lpips, original: Tensor, face: Face, sizes: tuple[int, ...] | None = None) -> None:
        self.network, self.face = network, face
        self.sizes = sizes or face_sizes(face)
        with torch.no_grad():
            self.features = [list(network.features(warp(original, face, size))) for size in self.sizes]

    def each(self, image: Tensor) -> Tensor:
        """The distance at each of ``sizes``, (len(sizes),), for an image of the original's shape."""
        pairs = zip(self.sizes, self.features, strict=True)
        distances = [self.network.between(self.network.features(warp(image, self.face, s)), f) for s, f in pairs]
        return torch.cat(distances)

    def __call__(self, image: Tensor) -> Tensor:
        """The largest of them, a scalar."""
        return self.each(image).amax()


class LpipsBound:
    """face LPIPS <= limit. ``start`` and ``step`` move by whole values; combine it with a bound that shapes them."""

    def __init__(self, original: Tensor, limit: float, measure: FaceLpips) -> None:
        self.original, self.limit, self.measure = original, limit, measure

    def start(self, share: float, generator: Generator) -> Tensor:
        noise = (2 * torch.rand(self.original.shape, generator=generator) - 1).to(self.original)
        return self.project((self.original + share * noise).clamp(0, 1))

    def step(self, direction: Tensor, share: float) -> Tensor:
        return share * direction

    @torch.no_grad()
    def project(self, image: Tensor) -> Tensor:
        """The picture drawn straight towards the original until it obeys (bisection)."""
        image = image.clamp(0, 1)
        if self.measure(image) <= self.limit:
            return image
        low, high = 0.0, 1.0
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            inside = bool(self.measure(self.original.lerp(image, middle)) <= self.limit)
            low, high = (middle, high) if inside else (low, middle)
        return self.original.lerp(image, low)

    def contain(self, image: Tensor) -> Tensor:
        return self.project(image)

    def excesses(self, image: Tensor) -> Excesses:
        return (self.measure.each(image) / self.limit - 1).unbind()
