"""The universal perturbation's training: one change for every face (Huang et al. 2022, "CMUA-Watermark",
arXiv 2105.10872).

Differs from the paper where the change is to be hidden: each face wears it as a photo would, under the mask and the
limit on colour of shield's search and shrunk to its LPIPS, so that what is climbed is the effect at equal visibility.
Adam on the mean over a batch stands for the paper's averaging over pictures and networks with momentum.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.bounds import Linf
from shield.channels import View, road
from shield.device import fast_precision
from shield.disruption import MARGIN
from shield.faces import Face, warp, whole_picture
from shield.frames import FRAMES
from shield.lpips import load_lpips
from shield.masking import CHROMA, contrast_mask
from shield.objectives import share_of_goal
from shield.objectives.output import output
from shield.recipe import BALANCED, Strength
from shield.region import region_of
from shield.starts.universal import FITTED_TO, LEVELS, SIZE, TENSOR
from shield.surrogates import Surrogate, load_surrogate
from shield.training.data import FaceSet
from shield.training.loop import on_processor, recipes
from shield.training.single import SingleTraining

HELD_OUT = 8  # faces, spread over the data, that training never sees
LOOK = 20  # steps from one look at them to the next
FRAME = whole_picture(SIZE, SIZE)
STRENGTH = replace(BALANCED, levels=LEVELS)
CPU = torch.device("cpu")
# Edits that break leave a far smaller gradient; Adam must forget the large one before the training ends.
BETAS = (0.9, 0.97)


@dataclass(frozen=True)
class UniversalRecipe:
    """Everything that decides how the change comes out."""

    batch: int = 2
    steps: int = 200
    learning_rate: float = 0.1  # of the largest change
    start: float = 0.1  # of the largest change, at random: the distance to the clean results has no slope at 0
    strength: Strength = STRENGTH
    roads: tuple[str, ...] = ("none", "half")  # photos get smaller
    seed: int = 0


class UniversalTraining(SingleTraining):
    """Climbs the surrogates' mean share of the goal over random faces, random roads and all edits."""

    network: nn.ParameterDict  # the change alone

    def __init__(self, recipe: UniversalRecipe, data: FaceSet, surrogates: Sequence[Surrogate]) -> None:
        self.recipe, self.data, self.surrogates = recipe, data, surrogates
        numbers = torch.Generator().manual_seed(recipe.seed)
        noise = 2 * torch.rand(1, 3, SIZE, SIZE, generator=numbers) - 1
        change = nn.ParameterDict({TENSOR: recipe.start * noise})
        optimiser = torch.optim.Adam(change.values(), recipe.learning_rate, BETAS, eps=1e-12)
        super().__init__(change, optimiser, numbers, recipe.steps)
        self.window, self.lpips = region_of(FRAME, SIZE, SIZE).window(), load_lpips(CPU)
        held_out = torch.arange(HELD_OUT) * len(data) // HELD_OUT
        self.rows = torch.tensor(sorted({*range(len(data))} - {*held_out.tolist()}))
        self.faces = enlarged(data.faces[held_out].float() / 255)

    def worn(self, faces: Tensor) -> Tensor:
        """Faces (N, 3, SIZE, SIZE) in [0, 1] with the change, each as far as its bound allows."""
        strength = self.recipe.strength
        mask = contrast_mask(faces, strength.levels, strength.smooth)
        bound = Linf(faces, strength.levels, self.window * mask, CHROMA)
        whole = bound.project(faces + bound.step(self.network[TENSOR], 1.0))
        distance = self.lpips(faces, whole).clamp(min=1e-6)
        # LPIPS grows about as the square of a small change.
        share = (strength.face_lpips / distance).clamp(max=1).sqrt()
        return faces.lerp(whole, share[:, None, None, None])

    def step(self, number: int) -> dict[str, float]:
        """One step; returns the share of the goal reached, now and then also each surrogate's on held-out faces."""
        rows = self.rows[torch.randint(len(self.rows), (self.recipe.batch,), generator=self.random)]
        faces = enlarged((self.data.draw(rows, self.data.faces.shape[-1], self.random) + 1) / 2)
        worn = self.worn(faces)
        reached = torch.stack([self._reached(surrogate, faces, worn) for surrogate in self.surrogates]).mean()
        self.optimiser.zero_grad(set_to_none=True)
        (-reached).backward()  # type: ignore[no-untyped-call,unused-ignore]
        self.optimiser.step()
        with torch.no_grad():
            self.network[TENSOR].clamp_(-1, 1)
        return {"reached": float(reached.detach())} | (self.look() if (number + 1) % LOOK == 0 else {})

    def _reached(self, surrogate: Surrogate, faces: Tensor, worn: Tensor) -> Tensor:
        """The surrogate's share of the goal on these faces, by a road and in a frame drawn at random."""
        name = self.recipe.roads[int(torch.randint(len(self.recipe.roads), (), generator=self.random))]
        sent = road(name, View(1.0, SIZE))(worn, self.random)
        frame = FRAMES.draw(random.Random(int(torch.randint(2**31, (), generator=self.random)))).of(FRAME)
        return reached(surrogate, faces, sent, frame)

    @torch.no_grad()
    def look(self) -> dict[str, float]:
        """Each surrogate's share of the goal on the held-out faces."""
        worn = self.worn(self.faces)
        return {f"{each.name}, held out": float(reached(each, self.faces, worn, FRAME)) for each in self.surrogates}

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """The face, the face with the change, and what becomes of that, for faces (N, 3, s, s) in [-1, 1].

        (N, 2 + edits of all surrogates, 3, s, s).
        """
        worn = self.worn(enlarged((faces + 1) / 2))
        results = [surrogate(framed(worn, FRAME, surrogate)) for surrogate in self.surrogates]
        columns = [faces, 2 * worn - 1, *(edit for result in results for edit in result.unbind(1))]
        return torch.stack([F.adaptive_avg_pool2d(column, faces.shape[-1]) for column in columns], dim=1)


def reached(surrogate: Surrogate, faces: Tensor, sent: Tensor, face: Face) -> Tensor:
    """The share of the goal on faces that were ``sent``, of which the surrogate takes ``face``; ``faces`` are clean."""
    scale = sent.shape[-1] / faces.shape[-1]
    with fast_precision(CPU):
        distances = output(surrogate, framed(faces, face, surrogate))(framed(sent, face.scaled(scale), surrogate))
    return share_of_goal(distances, MARGIN)


def framed(pictures: Tensor, face: Face, surrogate: Surrogate) -> Tensor:
    """The face of each picture as the surrogate wants it."""
    return warp(pictures, face, surrogate.size, surrogate.framing)


def enlarged(faces: Tensor) -> Tensor:
    """Faces (N, 3, s, s) in [0, 1] at the size of the change."""
    return F.interpolate(faces, size=(SIZE, SIZE), mode="bicubic", align_corners=False).clamp(0, 1)


@recipes.register("universal")
def universal(data: FaceSet, device: torch.device) -> UniversalTraining:
    """The recipe as shipped. (Terms choose their precision themselves.)"""
    on_processor(device)
    return UniversalTraining(UniversalRecipe(), data, [load_surrogate(name, CPU) for name in FITTED_TO])
