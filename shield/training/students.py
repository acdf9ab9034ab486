"""The students' training: recognisers of other architectures, taught by those that ship.

A change that was searched on a few networks of one kind fools their cousins best; a student of another kind is asked
beside them, so that the change holds for more kinds. The judge teaches nothing and is never asked.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.device import fast_layout, fast_precision
from shield.faces.templates import ARCFACE, PORTRAIT
from shield.frames import FRAMES
from shield.surrogates import Surrogate, load_surrogate
from shield.surrogates.recognisers.heads import SIZE, TEACHERS
from shield.surrogates.recognisers.iresnet import IResNet
from shield.surrogates.recognisers.transformer import FaceTransformer
from shield.training.data import LIGHT, FaceSet
from shield.training.framing import between
from shield.training.lessons import prepare
from shield.training.loop import recipes
from shield.training.single import SingleTraining

HELD_OUT = 256  # faces at most, spread over the data, that training never sees: one in ten of few
LOOK = 20  # steps from one report to the next; in between the device is not waited for
EXAM = 200  # steps from one look at the held-out faces to the next
COARSE = 0.15  # of the faces are as coarse as small photos
NUMBERS = 9  # that a face is drawn by
LARGEST = 1.0  # norm of a gradient

Kind = Callable[[Sequence[int]], nn.Module]  # a student's network, by the lengths of its teachers' embeddings


@dataclass(frozen=True)
class StudentRecipe:
    """Everything that decides how the weights come out."""

    batch: int = 256
    steps: int = 3_000
    mixed: int = 30_000  # means of two faces
    learning_rate: float = 1e-3
    warm_up: int = 200  # steps
    decay: float = 0.05
    averaging: float = 0.998
    seed: int = 0


class StudentTraining(SingleTraining):
    """A network that gives its teachers' answers to faces in whatever frame, light and sharpness.

    The exported weights are running means, so that they are of use at whatever step time is up.
    """

    def __init__(
        self, recipe: StudentRecipe, kind: Kind, data: FaceSet, teachers: Sequence[Surrogate], device: torch.device
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.teachers, self.device = recipe, teachers, device
        self.faces = data.faces.to(device)
        self.frame = between(PORTRAIT, ARCFACE).to(device)
        held = min(HELD_OUT, 1 + len(data) // 10)
        held_out = [number * len(data) // held for number in range(held)]
        self.rows = torch.tensor(sorted({*range(len(data))} - {*held_out}))
        self._gather(recipe.seed)
        self.exam = prepare(self.faces, torch.tensor(held_out), 0, teachers, torch.Generator(), self.lessons.means)
        network = kind(self.lessons.sizes).to(device).to(memory_format=fast_layout(device))
        decayed = [value for value in network.parameters() if value.ndim > 1]
        plain = [value for value in network.parameters() if value.ndim == 1]
        groups = [{"params": decayed, "weight_decay": recipe.decay}, {"params": plain, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, recipe.learning_rate)
        super().__init__(network, optimiser, torch.Generator().manual_seed(recipe.seed), recipe.steps)
        self.average = copy.deepcopy(network).requires_grad_(False)
        self._factor = 1.0
        self._seen: dict[str, float] = {}

    def _gather(self, seed: int) -> None:
        """Choose the means of two faces by ``seed`` and ask the teachers."""
        self.seed = seed
        random = torch.Generator().manual_seed(seed)
        self.lessons = prepare(self.faces, self.rows, self.recipe.mixed, self.teachers, random)

    def set_rate(self, factor: float) -> None:
        """Scale the recipe's learning rate; while it warms up it is smaller still."""
        self._factor = factor

    def step(self, number: int) -> dict[str, float]:
        """One step; returns the loss and the cosine to the teachers on held-out faces, as they were last looked at."""
        super().set_rate(self._factor * min(1.0, (number + 1) / self.recipe.warm_up))
        drawn = torch.rand(self.recipe.batch, NUMBERS, generator=self.random).to(self.device, non_blocking=True)
        rows = (drawn[:, 0] * len(self.lessons)).long().clamp(max=len(self.lessons) - 1)
        views = seen(self.lessons.pictures(rows), drawn[:, 1:], self.frame)
        loss = 1 - self._agreement(self.network, views, self.lessons.answers[rows])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST)
        self.optimiser.step()
        self._average(number)
        return self._report(number, loss.detach())

    def _agreement(self, network: nn.Module, faces: Tensor, answers: Tensor) -> Tensor:
        """The mean cosine to the teachers, of faces (N, 3, SIZE, SIZE) in [0, 1]."""
        with fast_precision(self.device):
            said: Tensor = network((2 * faces - 1).contiguous(memory_format=fast_layout(self.device)))
        return (said * answers).sum(1).mean() / len(self.lessons.sizes)

    def _average(self, number: int) -> None:
        # Early averages must not remember the random start.
        share = 1 - min(self.recipe.averaging, (number + 1) / (number + 10))
        with torch.no_grad():
            own = self.network.state_dict()
            for name, mean in self.average.state_dict().items():
                mean.lerp_(own[name], share) if mean.is_floating_point() else mean.copy_(own[name])

    def _report(self, number: int, loss: Tensor) -> dict[str, float]:
        if not self._seen or number % LOOK == 0:
            self._seen["loss"] = float(loss)
        if "held out" not in self._seen or (number + 1) % EXAM == 0:
            self._seen["held out"] = self.look()
        return dict(self._seen)

    @torch.no_grad()
    def look(self) -> float:
        """The average's mean cosine to the teachers on the held-out faces."""
        rows = torch.arange(len(self.exam), device=self.device)
        straight = torch.full((len(rows), NUMBERS - 1), 0.5, device=self.device)
        self.average.eval()
        views = seen(self.exam.pictures(rows), straight, self.frame)
        return float(self._agreement(self.average, views, self.exam.answers))

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs; the teachers are asked again."""
        return super().state_dict() | {"average": self.average.state_dict(), "seed": self.seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        super().load_state_dict(state)
        self.average.load_state_dict(state["average"])
        if state["seed"] != self.seed:
            self._gather(state["seed"])

    def begin_with(self, weights: dict[str, Tensor]) -> int:
        """Begin with trained weights."""
        self.average.load_state_dict(weights)
        return super().begin_with(weights)

    def export(self) -> dict[str, Tensor]:
        """The finished weights: the average; floats as float16, counters as they are."""
        return {
            name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
            for name, value in self.average.state_dict().items()
        }


def seen(faces: Tensor, drawn: Tensor, frame: Tensor) -> Tensor:
    """Faces (N, 3, s, s) in [0, 1] and portrait framing as a student sees them: (N, 3, SIZE, SIZE) in [0, 1].

    ``frame``: its template's in portrait framing, as ``between`` gives it.

    ``drawn``: (N, 8) in [0, 1): shift right and down, scale, turn, mirror, brightness, contrast, sharpness; at 0.5 all
    stays as it is. The coarse ones are the least sharp.
    """
    x, y, scale, turn, mirror, bright, contrast, sharp = (2 * drawn - 1).unbind(1)
    frames = _frames(frame, x, y, scale, turn, mirror > 0)
    grid = F.affine_grid(frames, [len(faces), 3, SIZE, SIZE], align_corners=False)
    faces = F.grid_sample(faces, grid, padding_mode="reflection", align_corners=False)
    light, tone, detail = (number[:, None, None, None] for number in (bright, contrast, sharp))
    smooth = F.avg_pool2d(faces, 3, stride=1, padding=1, count_include_pad=False)
    coarse = F.interpolate(F.avg_pool2d(faces, 2), size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    sharper = torch.where(detail < 2 * COARSE - 1, coarse, faces + detail * (faces - smooth))
    return (0.5 + (sharper - 0.5) * (1 + LIGHT * tone) + LIGHT / 2 * light).clamp(0, 1)


def _frames(frame: Tensor, x: Tensor, y: Tensor, scale: Tensor, turn: Tensor, mirror: Tensor) -> Tensor:
    """Where a student's frames lie in portrait framing, (N, 2, 3), both in [-1, 1]; the numbers are in [-1, 1]."""
    size, angle = 1 + FRAMES.scale * scale, torch.deg2rad(FRAMES.turn * turn)
    side = torch.where(mirror, -1.0, 1.0)
    cosine, sine = size * angle.cos(), size * angle.sin()
    turned = torch.stack([side * cosine, side * -sine, sine, cosine], dim=1).view(-1, 2, 2)
    frames = turned @ frame
    frames[:, :, 2] += 2 * FRAMES.shift * torch.stack([side * x, y], dim=1)
    return frames


def _shipped(recipe: StudentRecipe, kind: Kind, data: FaceSet, device: torch.device) -> StudentTraining:
    return StudentTraining(recipe, kind, data, [load_surrogate(name, device) for name in TEACHERS], device)


@recipes.register("iresnet")
def iresnet(data: FaceSet, device: torch.device) -> StudentTraining:
    """The recipe as shipped."""
    return _shipped(StudentRecipe(learning_rate=2e-3), IResNet, data, device)


@recipes.register("transformer")
def transformer(data: FaceSet, device: torch.device) -> StudentTraining:
    """The recipe as shipped."""
    return _shipped(StudentRecipe(), FaceTransformer, data, device)
