"""Irises: people look into eyes, and one that turns reddish or green is seen before anything else.

No measure of a whole face minds that, for both irises together are hardly a hundredth of it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from shield.faces import Face

RADIUS = 0.024  # of the portrait framing's side, in which eyes are .23 apart: an iris, and the error of its centre


def radii(centres: Sequence[tuple[float, float]], side: float, picture: Tensor) -> Tensor:
    """How far every pixel of a picture (1, C, H, W) lies from the eyes' ``centres``, px, in radii of an iris.

    (eyes, H, W); ``side``: of the face's frame, px.
    """
    x, y = ((torch.arange(size).to(picture) + 0.5) for size in (picture.shape[-1], picture.shape[-2]))
    away = [((x - right).square()[None, :] + (y - down).square()[:, None]).sqrt() for right, down in centres]
    return torch.stack(away) / (RADIUS * side)


class Irises:
    """Of an aligned face, (1, 3, s, s) in portrait framing, in colours of which differences count, such as
    ``flip.perceived`` gives. ``face`` says where the eyes are.
    """

    def __init__(self, colours: Tensor, face: Face) -> None:
        side = colours.shape[-1]
        self.inside = radii([(side * x, side * y) for x, y in face.framed[:2]], side, colours) < 1
        self.before = [colours[0, 1:, inside] for inside in self.inside]

    def change(self, colours: Tensor) -> Tensor:
        """Of a changed face: root mean square of what became of a and b, lightness aside, in the eye where it is more.
        A differentiable scalar.
        """
        eyes = zip(self.inside, self.before, strict=True)
        squares = [(colours[0, 1:, inside] - before).square().sum(0).mean() for inside, before in eyes]
        return torch.stack(squares).amax().clamp(min=1e-12).sqrt()
