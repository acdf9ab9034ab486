"""Fakes for the detector to learn from: what manipulators make of real faces, each made once and kept."""

import copy
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from shield.surrogates.published import Editor
from shield.training.data import levels_of
from shield.training.hardening import Hardening, changed

RELATIVES = 6  # of every generator, itself among them
APART = 0.03  # share of itself by which a weight of a relative differs: its traces are its own
FAR_APART = 0.5  # of a stranger, which makes nothing worth seeing: what breaks it is a pattern of its own
PROTECTED = 4  # every so many faces one is protected first, from its manipulator or from a stranger
STRENGTHS = tuple(
    Hardening(critic=False, levels=levels, steps=steps, share=1 / steps) for levels, steps in ((3, 1), (6, 2), (10, 3))
)


class Fakes:
    """A real face and a fake of it, by row: both uint8 (3, s, s). A row is the same whenever it is made.

    Which generator, which of its relatives and which edit makes a row is drawn from the seed and the row's number, as
    is what a protected face is protected from: its maker, or a stranger, whose edits are all alike.
    """

    def __init__(self, faces: Tensor, teachers: Sequence[Editor], seed: int, autocast: bool) -> None:
        """``faces``: uint8 (N, 3, s, s)."""
        self.faces, self.seed, self.autocast = faces, seed, autocast
        random = Generator().manual_seed(seed)
        self.makers = [[relative(one, number, random) for number in range(RELATIVES)] for one in teachers]
        self.strangers = [perturbed(one, FAR_APART, random) for one in teachers for _ in range(RELATIVES)]
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

        def choose(count: int) -> int:
            return int(torch.randint(count, (), generator=random))

        maker = self.makers[choose(len(self.makers))][choose(RELATIVES)]
        conditions = maker.conditions[choose(len(maker.conditions))][None]
        stranger = self.strangers[choose(len(self.strangers))]
        real = self.faces[row : row + 1].float() / 127.5 - 1
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            if row % PROTECTED == 0:
                # The detector must not take the pattern for a trace, whichever network it was made against.
                target, asked = (maker, conditions) if choose(2) == 0 else (stranger, stranger.conditions[:1])
                real = changed(target.network, real, asked, STRENGTHS[choose(len(STRENGTHS))], random)
            with torch.no_grad():
                fake = maker.network(real, conditions).float()
        return levels_of(torch.cat([real, fake]))


def relative(editor: Editor, number: int, random: Generator) -> Editor:
    """A generator whose weights differ a little from the editor's; number 0 is the editor itself."""
    return perturbed(editor, APART, random) if number else editor


def perturbed(editor: Editor, apart: float, random: Generator) -> Editor:
    """A generator whose weights differ from the editor's by ``apart`` of themselves."""
    other = copy.deepcopy(editor)
    for weight in other.network.parameters():
        weight.mul_(1 + apart * torch.randn(weight.shape, generator=random))
    return other
