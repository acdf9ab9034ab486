"""A picture that gets another face: how its own is framed, and how what a network made of that goes back into it."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import torch
from kornia.color import lab_to_rgb, rgb_to_lab
from kornia.filters import gaussian_blur2d
from numpy.typing import NDArray
from torch import Tensor

from shield.faces import Face, place, warp
from shield.photo import shrink, to_pixels, to_tensor
from shield.region import region_of
from shield.swap.network import SIZE, TEMPLATE

LARGEST = 352  # px: nobody needs a deepfake in any size, and what shield makes stays small
AROUND = 1.5  # of the face's portrait framing: what stays of a picture that is larger
# Of the network's frame: the ellipse from the brows to the chin that is pasted, and the sigma of its blurred seam.
CENTRE, RADII, SEAM = (0.5, 0.54), (0.33, 0.34), 0.04
STRETCH = 1.5  # how much the deviation of a colour may grow or shrink to be the target's
LEAST = 1e-3  # deviation of a colour, of Lab's units, below which a face is as good as flat

Pixels = NDArray[np.uint8]
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Canvas:
    """A small picture (H, W, 3) and the face in it that is to be another's."""

    pixels: Pixels = field(repr=False)
    face: Face

    @classmethod
    def around(cls, pixels: Pixels, face: Face) -> "Canvas":
        """Of a picture of any size and a face in it: as it is where it is small, else cut and shrunk."""
        height, width = pixels.shape[:2]
        if max(height, width) <= LARGEST:
            return cls(pixels, face)
        region = region_of(face.reframed((0.0, 0.0), AROUND, 0.0), width, height)
        scale = min(1.0, LARGEST / max(region.width, region.height))
        size = max(1, round(region.height * scale)), max(1, round(region.width * scale))
        local = face.moved(region.left, region.top).scaled(size[1] / region.width, size[0] / region.height)
        return cls(to_pixels(shrink(region.crop(pixels, CPU), size)), local)

    @cached_property
    def crop(self) -> Tensor:
        """The face as the network takes it, (1, 3, 128, 128) in [0, 1]."""
        return warp(to_tensor(self.pixels), self.face, SIZE, TEMPLATE)

    def with_face(self, made: Tensor) -> Pixels:
        """The picture with what a network made of ``crop``, (1, 3, 128, 128) in [0, 1], in the place of its face.

        In the target's colours and light, and with a soft seam.
        """
        height, width = self.pixels.shape[:2]
        mask = face_mask()
        pasted = place(matched(made, self.crop, mask), self.face, height, width, TEMPLATE)
        share = place(mask, self.face, height, width, TEMPLATE)
        return to_pixels(torch.lerp(to_tensor(self.pixels), pasted, share))


@lru_cache(maxsize=1)
def face_mask() -> Tensor:
    """How much of the network's frame is pasted, (1, 1, 128, 128) in [0, 1]; nothing at its edge."""
    steps = (torch.arange(SIZE) + 0.5) / SIZE
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    inside = ((x - CENTRE[0]) / RADII[0]).square() + ((y - CENTRE[1]) / RADII[1]).square() < 1
    sigma = SEAM * SIZE
    return gaussian_blur2d(inside.float()[None, None], (2 * round(2 * sigma) + 1,) * 2, (sigma, sigma))


def matched(made: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Faces (N, 3, s, s) in [0, 1] with the light and the colours that ``target`` has where ``mask`` (1, 1, s, s) is.

    Reinhard et al. 2001, "Color Transfer between Images": mean and deviation of L, a and b become the target's. A
    deviation grows or shrinks only so much: the noise of a flat face is not blown up to be one.
    """
    own, wanted = rgb_to_lab(made.clamp(0, 1)), rgb_to_lab(target.clamp(0, 1))
    mean, deviation = _moments(own, mask)
    to_mean, to_deviation = _moments(wanted, mask)
    stretch = (to_deviation / deviation.clamp(min=LEAST)).clamp(1 / STRETCH, STRETCH)
    return lab_to_rgb((own - mean) * stretch + to_mean, clip=True)


def _moments(lab: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of every channel inside the mask, (N, 3, 1, 1) each."""
    total = mask.sum()
    mean = (lab * mask).sum((2, 3), keepdim=True) / total
    variance = ((lab - mean).square() * mask).sum((2, 3), keepdim=True) / total
    return mean, variance.sqrt()
