"""The face found anew: whoever manipulates a photo sees the changed one, in which the face seems to lie elsewhere.

A quarter of a percent of the frame is enough to undo a change that was fitted to one framing.
"""

import torch
from torch import Generator, Tensor

from shield.faces import Face
from shield.transforms.transform import Find, Transform, View, transforms

# What codecs and rounding move a face by once more, to either side: shares of the frame's side and size, degrees.
SHIFT, SCALE, TURN = 0.0025, 0.0025, 0.2


class Found:
    """Asks at every look where the face is, and moves what it hears a little at random."""

    def __init__(self, find: Find, generator: Generator) -> None:
        self.find, self.generator = find, generator

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        return view

    def frame(self, face: Face, sent: Tensor) -> Face:
        right, down, larger, turn = (2 * torch.rand(4, generator=self.generator) - 1).tolist()
        found = self.find(face, sent)
        return found.reframed((SHIFT * right, SHIFT * down), 1 + SCALE * larger, TURN * turn)


@transforms.register("found")
def found(view: View, generator: Generator) -> Transform:
    return Found(view.find, generator)


@transforms.register("aligned")
def aligned(view: View, generator: Generator) -> Transform:
    return Found(view.align, generator)
