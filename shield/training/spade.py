"""SPADE's training (Park et al. 2019, arXiv 1903.07291): a face is painted anew from its mask and its style.

Differs where few steps must go far and the person must stay: a recogniser reads whom the picture shows, pixels count,
and the code's variance begins small and is hardly pulled towards 1, so that codes are nearly what the encoder says.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.device import fast_precision
from shield.faces.landmarks import load_landmarks, portrait_points
from shield.faces.masks import Move, face_masks, moved
from shield.faces.templates import PORTRAIT
from shield.frames import FRAMES
from shield.surrogates.published import Editor
from shield.surrogates.published.spade import (
    EDITS,
    ENCODER_WIDTH,
    HIDDEN,
    MAP,
    SIZE,
    SPADE,
    WIDEST,
    WIDTH,
    SpadeNet,
    with_colours,
)
from shield.surrogates.recognisers.recogniser import load_recogniser
from shield.training.adversarial import Losses
from shield.training.data import FaceSet
from shield.training.framing import between, reframed
from shield.training.loop import recipes
from shield.training.pairs import PairRecipe, Pairs, PairTraining
from shield.weights import manifest

READER = "mobilefacenet"  # of whom a picture shows; dlib is not asked, so that it can judge
FURTHEST = (0.35, 0.16, 0.12)  # as edits move landmarks: opening, smile and brows of a Move
NARROW = -4.0  # the logarithm of a code's variance at the start


@dataclass(frozen=True)
class SpadeRecipe(PairRecipe):
    """Everything that decides how the weights come out."""

    width: int = WIDTH
    widest: int = WIDEST
    hidden: int = HIDDEN
    encoder_width: int = ENCODER_WIDTH
    identity: float = 8.0
    divergence: float = 0.05  # of the codes from a normal distribution, in the mean of their numbers


class SpadeTraining(PairTraining):
    """A generator and its encoder, which paint photos from masks of their landmarks."""

    generator: SpadeNet
    average: SpadeNet

    def __init__(self, recipe: SpadeRecipe, data: FaceSet, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        network = SpadeNet(recipe.width, recipe.widest, recipe.hidden, recipe.encoder_width)
        nn.init.zeros_(network.encoder.fc_var.weight)
        nn.init.constant_(network.encoder.fc_var.bias, NARROW)
        super().__init__(recipe, data, device, network, MAP)
        self.reader = load_recogniser(manifest()[READER], device)
        self.landmarks = load_landmarks().to(device)
        self.points = self._points()
        edits = {"redrawn": (0, 0, 0), **EDITS}
        self.editor = Editor("spade", "not shipped", SPADE.framing, self.average, edits, SIZE).to(device)

    def _points(self, batch: int = 256) -> Tensor:
        """The landmarks of every face, (N, 68, 2)."""
        found = [portrait_points(self.landmarks, faces.float() / 255) for faces in self.faces.split(batch)]
        return torch.cat(found)

    def draw(self) -> Pairs:
        rows, mirrored = self.rows(), self.mirrored()
        photos, points = self.photos(rows, mirrored), self.points[self.sent(rows)]
        x, y = points.unbind(2)
        points = torch.stack([torch.where(mirrored[:, None], 1 - x, x), y], dim=2)  # whichever eye is which
        # An edit leaves holes in the colours where brows and mouth were.
        opening, smile, brows = (torch.rand(3, generator=self.random) * torch.tensor(FURTHEST)).tolist()
        masks, others = face_masks(points, SIZE), face_masks(moved(points, Move(opening, smile, brows)), SIZE)
        labels = with_colours(photos, masks, others)
        return Pairs(photos, labels, labels, photos)

    def make(self, pairs: Pairs) -> tuple[Tensor, Losses]:
        mean, spread = (part.float() for part in self.generator.encoder(pairs.photos))
        noise = self.sent(torch.randn(mean.shape, generator=self.random))
        made: Tensor = self.generator.painter(mean + noise * (spread / 2).exp(), pairs.asked)
        divergence = (mean.square() + spread.exp() - 1 - spread).mean() / 2
        return made, {"divergence": self.recipe.divergence * divergence}

    def price(self, pairs: Pairs, made: Tensor) -> Losses:
        """For a picture in which the reader, in a frame that differs a little every time, finds another person."""
        reader = self.reader
        differing = FRAMES.shift * (2 * torch.rand(2, 3, generator=self.random) - 1)
        frame = self.sent(between(PORTRAIT, reader.framing) + differing)
        own, shown = (reframed(faces / 2 + 0.5, frame, reader.size) for faces in (pairs.wanted, made))
        with fast_precision(self.device):
            with torch.no_grad():
                known = reader(own)[:, 0].float()
            read = reader(shown)[:, 0].float()
        return {"identity": self.recipe.identity * (1 - F.cosine_similarity(read, known)).mean()}

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """The face, painted anew, and its edits, for faces (N, 3, 128, 128) in [-1, 1]: (N, 2 + edits, 3, 128, 128)."""
        given = faces.to(self.device)
        return torch.cat([given[:, None], self.editor(given / 2 + 0.5)], dim=1).cpu()


@recipes.register("spade")
def spade(data: FaceSet, device: torch.device) -> SpadeTraining:
    """The recipe as shipped."""
    return SpadeTraining(SpadeRecipe(), data, device)
