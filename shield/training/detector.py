"""The detector's training: real faces against made ones, of the very same faces where they are made of any.

After Wang et al. 2020 (arXiv 1912.11035). Whole makers stay out, so that there is something unseen to test on: of the
detector that ships all but those that it learned from, of the others one each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.detection.network import DetectorNet
from shield.training.data import SOURCES, FaceSet
from shield.training.fakes import Fakes
from shield.training.histories import with_history
from shield.training.loop import on_processor, recipes
from shield.training.makers import Maker, makers
from shield.training.single import SingleTraining

LEARNED = ("stargan", "ganimation", "spade", "biggan", "swap")  # whose faces the detector of models/ learned from
WITHOUT = "detector-without-{}"  # recipes, by the maker that is left out
REAL = ("celeba", "lfw")
VALIDATION = 10  # one of so many training faces, the last of every source, sets thresholds and is not learned from


@dataclass(frozen=True)
class DetectorRecipe:
    """Everything that decides how the weights come out."""

    batch: int = 24  # pairs of a real and a made face
    others: int = 8  # real faces beside them, of which nothing is made
    steps: int = 3_000
    ramp: int = 700  # steps until pictures have as much of a history as later: a start is made on plain ones
    pairs: int = 8_000  # making a fake costs as much as learning from it a few times
    crop: int = 104  # px
    learning_rate: float = 1.5e-3
    decay: float = 0.05
    seed: int = 0


def real_rows(data: FaceSet, validation: bool) -> Tensor:
    """Rows of photographs: those to learn from, or those to set thresholds on."""
    parts = []
    for source in REAL:
        rows = (data.source == SOURCES.index(source)).nonzero().flatten()
        first = len(rows) - len(rows) // VALIDATION
        parts.append(rows[first:] if validation else rows[:first])
    return torch.cat(parts)


class DetectorTraining(SingleTraining):
    """A classifier of real and made faces, as much as possible of whose history is shared."""

    def __init__(self, recipe: DetectorRecipe, data: FaceSet, autocast: bool, teachers: Sequence[Maker]) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.data, self.autocast, self.teachers = recipe, data, autocast, teachers
        self._gather(recipe.seed)
        network = DetectorNet()
        optimiser = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.decay)
        super().__init__(network, optimiser, torch.Generator().manual_seed(recipe.seed), recipe.steps)

    def _gather(self, seed: int) -> None:
        """Choose the faces of which something is made; ``seed`` decides, and what is made of them."""
        rows = real_rows(self.data, validation=False)
        rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
        self.seed, self.real = seed, self.data.faces[rows]
        self.fakes = Fakes(self.real[: self.recipe.pairs], self.teachers, seed, self.autocast)

    def step(self, number: int) -> dict[str, float]:
        """One step; returns the loss and the share of right answers on real and on made faces."""
        faces, made = self._batch(min(1.0, number / self.recipe.ramp))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            logits = self.network(faces).float()
        # Beside what is asked of each face: of a pair, the made one is to be above the real one.
        pairs = logits[: 2 * self.recipe.batch].view(-1, 2)
        loss = F.binary_cross_entropy_with_logits(logits, made) + F.softplus(pairs[:, 0] - pairs[:, 1]).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        self.optimiser.step()
        right = ((logits > 0) == (made > 0.5)).float()
        return {
            "loss": float(loss.detach()),
            "real": float(right[made == 0].mean()),
            "made": float(right[made == 1].mean()),
        }

    def _batch(self, share: float) -> tuple[Tensor, Tensor]:
        """Faces (N, 3, crop, crop) in [0, 1] and whether they are made (N,); the pairs come first.

        ``share``: of the usual history.
        """
        recipe = self.recipe
        pairs = self.fakes.draw(torch.randint(len(self.fakes), (recipe.batch,), generator=self.random))
        rows = torch.randint(len(self.real), (recipe.others,), generator=self.random)
        others = self.real[rows, None].float() / 255  # (others, 1, 3, s, s)
        groups = [self._cropped(with_history(group, self.random, share)) for group in (*pairs, *others)]
        made = torch.cat([torch.arange(len(group)) for group in groups])
        return torch.cat(groups), made.float()

    def _cropped(self, faces: Tensor) -> Tensor:
        room = faces.shape[-1] - self.recipe.crop + 1
        top, left = torch.randint(room, (2,), generator=self.random).tolist()
        return faces[..., top : top + self.recipe.crop, left : left + self.recipe.crop]

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs; the made faces are made again, as they are asked for."""
        return super().state_dict() | {"seed": self.seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        super().load_state_dict(state)
        self._gather(state["seed"])


def taught(names: Iterable[str], data: FaceSet, device: torch.device) -> DetectorTraining:
    """The recipe as shipped, by these makers."""
    autocast = on_processor(device)
    return DetectorTraining(DetectorRecipe(), data, autocast, [makers[name](data) for name in names])


@recipes.register("detector")
def detector(data: FaceSet, device: torch.device) -> DetectorTraining:
    """The detector of models/."""
    return taught(LEARNED, data, device)


def without(name: str, data: FaceSet, device: torch.device) -> DetectorTraining:
    """A detector that every maker but one teaches."""
    return taught([other for other in makers.registered() if other != name], data, device)


for _name in makers.registered():
    recipes.register(WITHOUT.format(_name))(partial(without, _name))
