"""Another frame: a manipulator that finds the face a little elsewhere, larger or turned."""

import torch
from torch import Generator, Tensor

from shield.faces import Face
from shield.transforms.transform import Transform, View, transforms
from shield.web import SCALE, SHIFT, TURN


class Reframe:
    """Shifts, scales and turns the frame, each by its full measure, either way at random."""

    def __init__(self, generator: Generator) -> None:
        right, down, larger, turn = (2 * torch.randint(2, (4,), generator=generator) - 1).tolist()
        self.shift = SHIFT * right, SHIFT * down
        self.scale = 1 + SCALE * larger
        self.turn = TURN * turn

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        return view

    def frame(self, face: Face, sent: Tensor) -> Face:
        return face.reframed(self.shift, self.scale, self.turn)


@transforms.register("reframed")
def reframed(view: View, generator: Generator) -> Transform:
    return Reframe(generator)
