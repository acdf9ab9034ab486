"""What people may see of a change: face LPIPS, FLIP, the texture of smooth skin, and stains.

LPIPS alone is blind to what ruins a portrait: within a face LPIPS of .02 a search draws wrinkles. FLIP and the skin
ratio see them. All of them are soft: a search moves along where they reach their limits (for LPIPS: Laidlaw et al.
2021, arXiv 2006.12655), and the saved file is measured again.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from shield.bounds.bound import Excesses
from shield.bounds.lpips import COARSE, face_sizes
from shield.device import fast_precision
from shield.faces import Face, warp
from shield.flip import PIXELS_PER_DEGREE, TINY, hyab, perceived, spread
from shield.lpips import Lpips
from shield.skin import Skin, stains

ATTEMPTS = 12  # to draw a picture back
LESS = 0.98  # a little more than the excess asks for, so that few attempts are needed
LEAST = 0.5  # of HyAB: colours that differ by less are as cheap
LOUD = 0.8  # of the loudest: what is pushed down with them
LOUDEST = 0.99  # the quantile of FLIP that stands for the loudest places


@dataclass(frozen=True)
class Allowed:
    """How much may be seen. ``lpips``: of the face. ``flip``: mean of the face; ``loudest``: its 99th percentile.
    ``skin``: the skin ratio. ``stains``: root mean square of broad changes of colour.
    """

    lpips: float
    flip: float
    loudest: float
    skin: float
    stains: float


class Visible:
    """``allowed`` for the face of an original (1, 3, H, W) in [0, 1].

    ``unbent``: the picture before it was bent to ``original``, where it was: LPIPS sees the warp as well. Of originals
    (N, 3, H, W) whose faces lie alike there are ``shares``.
    """

    def __init__(
        self, original: Tensor, face: Face, allowed: Allowed, network: Lpips, unbent: Tensor | None = None
    ) -> None:
        self.original, self.face, self.allowed, self.network = original, face, allowed, network
        self.side = face_sizes(face)[-1]
        before = self._face(original)
        with torch.no_grad():
            seen = before if unbent is None else self._face(unbent)
            self.features = [list(network.features(face)) for face in self._sizes(seen)]
        # Where a warp is learned, its slope leads through these as well: but for LPIPS, no measure sees a warp.
        self.skin = Skin(before)
        self.colours = self._colours(_coarse(before))

    def start(self, share: float, generator: Generator) -> Tensor:
        noise = (2 * torch.rand(self.original.shape, generator=generator) - 1).to(self.original)
        return self.project((self.original + share * noise).clamp(0, 1))

    def step(self, direction: Tensor, share: float) -> Tensor:
        return share * direction

    @torch.no_grad()
    def project(self, image: Tensor) -> Tensor:
        """The picture drawn straight towards the original until it obeys."""
        image, share = image.clamp(0, 1), 1.0
        for _ in range(ATTEMPTS):
            drawn = self.original.lerp(image, share)
            if (excess := max(map(float, self.excesses(drawn)))) <= 0:
                return drawn
            share *= shrinkage(excess)
        return self.original

    def contain(self, image: Tensor) -> Tensor:
        return self.project(image)

    def excesses(self, image: Tensor) -> Excesses:
        """Of LPIPS at the face's own size and at the coarse one, FLIP's mean and loudest, skin and stains."""
        return tuple(share[0] - 1 for share in self.shares(image))

    def shares(self, images: Tensor) -> tuple[Tensor, ...]:
        """The same as shares of what is allowed, of as many pictures as there are originals: (N,) each."""
        face = self._face(images)
        lpips = [distance / self.allowed.lpips for distance in self._lpips(face)]
        colours = self._colours(_coarse(face))
        mean, loudest = self._flip(colours)
        skin = (self.skin.ratio(face) - 1).clamp(min=0) / (self.allowed.skin - 1)
        broad = stains(self.colours, colours) / self.allowed.stains
        return *lpips, mean, loudest, skin, broad

    def _lpips(self, face: Tensor) -> list[Tensor]:
        """At every size; roughly where a direction is wanted, of which that is half of the time."""
        network, pairs = self.network, zip(self._sizes(face), self.features, strict=True)
        with fast_precision(face.device) if face.requires_grad else nullcontext():
            return [network.between(network.features(it), own).to(face) for it, own in pairs]

    def _flip(self, colours: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of what is allowed of FLIP's mean and of its loudest places: its own values, smoother slopes.

        FLIP's own slope is infinite where nothing changed, so that a search would never leave it.
        """
        error = spread(hyab(colours.detach(), self.colours))
        peak = error.flatten(1).quantile(LOUDEST, dim=1)
        mean, loudest = error.mean((1, 2)) / self.allowed.flip, peak / self.allowed.loudest
        squares = (colours - self.colours).square().sum(1)
        loud = squares * (error > LOUD * peak[:, None, None])
        slope = spread((squares + LEAST**2).sqrt()).mean((1, 2))
        return _valued(mean, slope), _valued(loudest, (loud.mean((1, 2)) + TINY).sqrt())

    def _face(self, image: Tensor) -> Tensor:
        return warp(image, self.face, self.side)

    def _sizes(self, face: Tensor) -> list[Tensor]:
        """The aligned face at its own size and, where that is larger, at the coarse one."""
        return [face] if self.side == COARSE else [face, _coarse(face)]

    def _colours(self, face: Tensor) -> Tensor:
        return perceived(face, PIXELS_PER_DEGREE * face.shape[-1] / self.side)


def shrinkage(excess: float) -> float:
    """By what a change that exceeds its limit is to be scaled: LPIPS grows about as the square of a small change."""
    return LESS / math.sqrt(1 + excess)


def _coarse(face: Tensor) -> Tensor:
    if face.shape[-1] <= COARSE:
        return face
    return F.interpolate(face, size=(COARSE, COARSE), mode="bilinear", antialias=True)


def _valued(value: Tensor, slope: Tensor) -> Tensor:
    """``value``, with the slope of another."""
    return slope + (value - slope).detach()
