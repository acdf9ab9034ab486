"""Irises keep their colour: people look into eyes, and a reddish or a green one is seen before anything else.

FLIP's 99th percentile does not keep them to it, for both together are hardly a hundredth of a face.
"""

import torch
from torch import Tensor

from shield.faces import Face

RADIUS = 0.024  # of the portrait framing's side, in which eyes are .23 apart: an iris, and the error of its centre


class Irises:
    """Of an aligned face, (1, 3, s, s) in portrait framing, in colours of which differences count, such as
    ``flip.perceived`` gives. ``face`` says where the eyes are.
    """

    def __init__(self, colours: Tensor, face: Face) -> None:
        steps = (torch.arange(colours.shape[-1]).to(colours) + 0.5) / colours.shape[-1]
        self.inside = [
            (steps[None, :] - x).square() + (steps[:, None] - y).square() < RADIUS**2 for x, y in face.framed[:2]
        ]
        self.before = [colours[0, 1:, inside] for inside in self.inside]

    def change(self, colours: Tensor) -> Tensor:
        """Of a changed face: root mean square of what became of a and b, lightness aside, in the eye where it is more.
        A differentiable scalar.
        """
        eyes = zip(self.inside, self.before, strict=True)
        squares = [(colours[0, 1:, inside] - before).square().sum(0).mean() for inside, before in eyes]
        return torch.stack(squares).amax().clamp(min=1e-12).sqrt()
