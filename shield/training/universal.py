"""The universal perturbation's training: one change for every face (Huang et al. 2022, "CMUA-Watermark",
arXiv 2105.10872).

Differs from the paper where the change is to be hidden: each face wears it as a photo would, under the mask and the
limit on colour of shield's search and shrunk to its LPIPS, so that what is climbed is the effect at equal visibility.
Adam on the mean over a batch stands for the paper's averaging over pictures and networks with momentum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.bounds import Linf
from shield.channels import View, road
from shield.device import fast_precision
from shield.disruption import Disruption, Term
from shield.faces import Face, warp, whole_picture
from shield.lpips import load_lpips
from shield.masking import CHROMA, contrast_mask
from shield.objectives import Measure
from shield.objectives.output import output
from shield.recipe import BALANCED, Strength
from shield.region import region_of
from shield.surrogates import Surrogate, load_surrogate
from shield.training.data import FaceSet
from shield.training.loop import recipes
from shield.training.single import SingleTraining
from shield.universal import FITTED_TO, SIZE, TENSOR

HELD_OUT = 8  # faces, spread over the data, that training never sees
LOOK = 20  # steps from one look at them to the next
FRAME = whole_picture(SIZE, SIZE)
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
    strength: Strength = BALANCED
    roads: tuple[str, ...] = ("none", "half")  # photos get smaller
    seed: int = 0


class UniversalTraining(SingleTraining):
    """Climbs the surrogates' mean share of the goal over random faces, random roads and all edits."""

    network: nn.ParameterDict  # the change alone

    def __init__(self, recipe: UniversalRecipe, data: FaceSet, surrogates: Sequence[Surrogate]) -> None:
        self.recipe, self.data, self.surrogates = recipe, data, surrogates
        random = torch.Generator().manual_seed(recipe.seed)
        noise = 2 * torch.rand(1, 3, SIZE, SIZE, generator=random) - 1
        change = nn.ParameterDict({TENSOR: recipe.start * noise})
        optimiser = torch.optim.Adam(change.values(), recipe.learning_rate, BETAS, eps=1e-12)
        super().__init__(change, optimiser, random, recipe.steps)
        self.window, self.lpips = region_of(FRAME, SIZE, SIZE).window(), load_lpips(CPU)
        held_out = torch.arange(HELD_OUT) * len(data) // HELD_OUT
        self.rows = torch.tensor(sorted({*range(len(data))} - {*held_out.tolist()}))
        self.faces = enlarged(data.faces[held_out].float() / 255)
        self.terms = [Term(each, FRAME, clean_at(each, self.faces)) for each in surrogates]

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
        reached = Disruption([self._term(surrogate, faces) for surrogate in self.surrogates])(self.worn(faces))
        self.optimiser.zero_grad(set_to_none=True)
        (-reached).backward()  # type: ignore[no-untyped-call,unused-ignore]
        self.optimiser.step()
        with torch.no_grad():
            self.network[TENSOR].clamp_(-1, 1)
        return {"reached": float(reached.detach())} | (self.look() if (number + 1) % LOOK == 0 else {})

    def _term(self, surrogate: Surrogate, faces: Tensor) -> Term:
        """The surrogate's share of the goal on these faces, by a road drawn at random."""
        name = self.recipe.roads[int(torch.randint(len(self.recipe.roads), (), generator=self.random))]
        return Term(surrogate, FRAME, clean_at(surrogate, faces), road(name, View(1.0, SIZE)), self.random)

    @torch.no_grad()
    def look(self) -> dict[str, float]:
        """Each surrogate's share of the goal on the held-out faces."""
        worn = self.worn(self.faces)
        return {f"{term.surrogate.name}, held out": float(term(worn)) for term in self.terms}

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """The face, the face with the change, and what becomes of that, for faces (N, 3, s, s) in [-1, 1].

        (N, 2 + edits of all surrogates, 3, s, s).
        """
        worn = self.worn(enlarged((faces + 1) / 2))
        results = [surrogate(framed(worn, FRAME, surrogate)) for surrogate in self.surrogates]
        columns = [faces, 2 * worn - 1, *(edit for result in results for edit in result.unbind(1))]
        return torch.stack([F.adaptive_avg_pool2d(column, faces.shape[-1]) for column in columns], dim=1)


def clean_at(surrogate: Surrogate, faces: Tensor) -> Callable[[Face], Measure]:
    """For a frame: how far the surrogate's results are from those on these clean faces, taken from there."""

    def measure(face: Face) -> Measure:
        clean = framed(faces, face, surrogate)
        with fast_precision(CPU):
            return output(surrogate, clean)

    return measure


def framed(pictures: Tensor, face: Face, surrogate: Surrogate) -> Tensor:
    """The face of each picture as the surrogate wants it."""
    return warp(pictures, face, surrogate.size, surrogate.framing)


def enlarged(faces: Tensor) -> Tensor:
    """Faces (N, 3, s, s) in [0, 1] at the size of the change."""
    return F.interpolate(faces, size=(SIZE, SIZE), mode="bicubic", align_corners=False).clamp(0, 1)


@recipes.register("universal")
def universal(data: FaceSet, autocast: bool) -> UniversalTraining:
    """The recipe as shipped. (Terms choose their precision themselves.)"""
    return UniversalTraining(UniversalRecipe(), data, [load_surrogate(name, CPU) for name in FITTED_TO])
