"""The training of the encoder before StyleGAN2: what the generator makes of its styles is to be the photo.

Pixels, LPIPS and a recogniser compare (Richardson et al. 2021, arXiv 2008.00951); styles of different layers are held
together, where edits work (Tov et al. 2021, arXiv 2102.02766). The generator stays as it is.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.device import fast_layout, fast_precision
from shield.faces.templates import PORTRAIT
from shield.generators.stylegan2 import StyleGAN2Generator
from shield.generators.stylegan2_encoder import EDITS, WIDTHS, StyleEncoder
from shield.lpips import load_lpips
from shield.surrogates.recognisers.recogniser import load_recogniser
from shield.training.data import FaceSet
from shield.training.framing import around, between, reframed
from shield.training.loop import recipes
from shield.training.sampling import RealFaces
from shield.training.single import SingleTraining
from shield.weights import load_network, manifest

READER = "mobilefacenet"  # dlib is not asked, so that it can judge
FITTED = 4_096  # faces at most that say which way an attribute lies
PART = 256  # of them at a time
MEAN_OF = 4_096  # codes
RIDGE = 1e-2  # for sets where all faces have an attribute, or none
LOOK = 20  # steps from one reading of the losses to the next: each waits for the device


@dataclass(frozen=True)
class EncoderRecipe:
    """Everything that decides how the weights come out."""

    batch: int = 48
    steps: int = 20_000
    learning_rate: float = 5e-4
    averaging: float = 0.998
    widths: tuple[int, ...] = WIDTHS
    pixels: float = 2.0
    perceptual: float = 2.0
    identity: float = 1.0
    together: float = 0.02  # for what a layer's style differs from the mean of all
    seed: int = 0


class EncoderTraining(SingleTraining):
    """An encoder before a frozen generator. The exported weights are running means, with directions for edits."""

    def __init__(
        self, recipe: EncoderRecipe, data: FaceSet, generator: StyleGAN2Generator, device: torch.device
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.data = recipe, device, data
        self.generator = generator.to(device).eval().requires_grad_(False)
        size = 2 ** (1 + generator.layers // 2)
        self.faces, self.lpips = RealFaces(data, device, size), load_lpips(device)
        self.reader = load_recogniser(manifest()[READER], device)
        network = StyleEncoder(generator.layers, generator.code, recipe.widths).to(device)
        network.to(memory_format=fast_layout(device))
        with torch.no_grad():
            network.mean.copy_(generator.styles(torch.randn(MEAN_OF, generator.code, device=device)).mean(0))
        optimiser = torch.optim.Adam(network.parameters(), recipe.learning_rate, (0.9, 0.99), fused=True)
        super().__init__(network, optimiser, torch.Generator().manual_seed(recipe.seed), recipe.steps)
        self.average = copy.deepcopy(network).requires_grad_(False)
        self._told: dict[str, float] = {}

    def step(self, number: int) -> dict[str, float]:
        """One step; returns the terms of the loss as last read."""
        recipe, faces = self.recipe, self.faces.draw(self.recipe.batch, self.random)
        with fast_precision(self.device):
            styles = self.network(faces)
            made = self.generator.synthesis(styles).float()
            unlike = self.lpips(_larger(made), _larger(faces))
        losses = {
            "pixels": recipe.pixels * (F.l1_loss(made, faces) + F.mse_loss(made, faces)),
            "seen": recipe.perceptual * unlike.float().mean(),
            "identity": recipe.identity * self._apart(faces, made),
            "together": recipe.together * (styles - styles.mean(1, keepdim=True)).square().mean(),
        }
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call,unused-ignore]
        self.optimiser.step()
        share = 1 - min(recipe.averaging, (number + 1) / (number + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), share)
        if number % LOOK == 0 or not self._told:
            self._told = {name: float(loss.detach()) for name, loss in losses.items()}
        return self._told

    def _apart(self, faces: Tensor, made: Tensor) -> Tensor:
        """How far the reader finds made faces from real ones, in frames that differ."""
        frames = around(between(PORTRAIT, self.reader.framing), len(faces), self.random, mirrored=False)
        own, shown = (reframed(_larger(each), frames, self.reader.size) for each in (faces, made))
        with fast_precision(self.device):
            with torch.no_grad():
                known = self.reader(own)[:, 0].float()
            read = self.reader(shown)[:, 0].float()
        return 1 - F.cosine_similarity(read, known).mean()

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """The face and what the generator makes of its styles, for faces (N, 3, s, s): (N, 2, 3, 64, 64)."""
        small = F.adaptive_avg_pool2d(faces.to(self.device), self.faces.size)
        made = self.generator.synthesis(self.average(small)).clamp(-1, 1)
        return torch.stack([small, made], dim=1).cpu()

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs, random numbers included."""
        return super().state_dict() | {"average": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        super().load_state_dict(state)
        self.average.load_state_dict(state["average"])

    def begin_with(self, weights: dict[str, Tensor]) -> int:
        """Begin with trained weights."""
        self.average.load_state_dict(weights)
        return super().begin_with(weights)

    def export(self) -> dict[str, Tensor]:
        """The finished weights: the average, with the directions of its edits, float16."""
        ways = {f"directions.{name}": way for name, way in directions(self.average, self.data, self.device).items()}
        state = self.average.state_dict() | ways
        return {name: value.half().contiguous().cpu() for name, value in state.items()}


@torch.no_grad()
def directions(encoder: StyleEncoder, data: FaceSet, device: torch.device) -> dict[str, Tensor]:
    """Per edit the way from styles of faces without the attribute to those of faces with it, (layers, D).

    As long as the means of the two are apart, once what the other attributes explain is taken off (least squares of the
    styles by the labels), and at right angles to the other ways.
    """
    rows = torch.arange(0, len(data), max(1, -(-len(data) // FITTED)))
    size = 4 * 2 ** len(encoder.trunk)
    faces = (data.faces[part].to(device).float() / 127.5 - 1 for part in rows.split(PART))
    styles = torch.cat([encoder(F.adaptive_avg_pool2d(part, size)) for part in faces]).float().cpu()
    labels = data.columns(*(name.capitalize() for name in EDITS))[rows]
    given = torch.cat([labels, torch.ones(len(labels), 1)], dim=1)
    gram = given.T @ given + RIDGE * torch.eye(given.shape[1])
    ways = torch.linalg.solve(gram, given.T @ styles.flatten(1))[: len(EDITS)]
    lengths = ways.norm(dim=1, keepdim=True)
    # The nearest ways at right angles, so that no attribute goes before another.
    left, _, right = torch.linalg.svd(ways / lengths.clamp_min(1e-8), full_matrices=False)
    ways = lengths * (left @ right)
    return {name: way.view(styles.shape[1:]) for name, way in zip(EDITS, ways, strict=True)}


def _larger(faces: Tensor) -> Tensor:
    """Faces (N, 3, s, s) in [-1, 1] at twice the size, in [0, 1]."""
    return F.interpolate(faces / 2 + 0.5, scale_factor=2.0, mode="bilinear", align_corners=False)


@recipes.register("stylegan2_encoder")
def stylegan2_encoder(data: FaceSet, device: torch.device) -> EncoderTraining:
    """The recipe as shipped, before the generator of models/."""
    return EncoderTraining(EncoderRecipe(), data, load_network(StyleGAN2Generator, "stylegan2", "StyleGAN2"), device)
