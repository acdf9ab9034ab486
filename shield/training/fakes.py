"""Fakes for the detector to learn from: what makers make of real faces, each made once and kept."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from shield.training.data import levels_of
from shield.training.makers import Maker, chosen


class Fakes:
    """A real face and a fake beside it, by row: both uint8 (3, s, s). A row is the same whenever it is made.

    Who makes it and how is drawn from the seed and the row's number.
    """

    def __init__(self, faces: Tensor, makers: Sequence[Maker], seed: int, autocast: bool) -> None:
        """``faces``: uint8 (N, 3, s, s)."""
        self.faces, self.makers, self.seed, self.autocast = faces, makers, seed, autocast
        self.pairs = torch.zeros(len(faces), 2, *faces.shape[1:], dtype=torch.uint8)
        self.made = torch.zeros(len(faces), dtype=torch.bool)

    def __len__(self) -> int:
        return len(self.faces)

    def draw(self, rows: Tensor) -> Tensor:
        """The real and the made face of these rows, (len(rows), 2, 3, s, s) in [0, 1]."""
        for row in rows[~self.made[rows]].unique().tolist():
            self.pairs[row] = self._pair(row)
            self.made[row] = True
        return self.pairs[rows].float() / 255

    def _pair(self, row: int) -> Tensor:
        random = Generator().manual_seed(self.seed + row)
        maker = self.makers[chosen(len(self.makers), random)]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            pair = maker.pair(self.faces[row : row + 1].float() / 127.5 - 1, random)
        return levels_of(torch.cat([face.float() for face in pair]))
