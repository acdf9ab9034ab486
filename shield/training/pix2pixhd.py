"""pix2pixHD's training as a photo editor (Wang et al. 2018, arXiv 1711.11585): StarGAN makes the pairs.

The one that is shipped, for nobody has photos of one person with and without blond hair. So that the pupil does not
merely blur its teacher, a part of every batch is asked for what the photo shows, and is shown the photo.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from shield.device import fast_precision
from shield.surrogates.pix2pixhd import EDITS, STEPS, ConditionedResNet
from shield.surrogates.published.family import Editor
from shield.surrogates.stargan import load_stargan
from shield.training.adversarial import Losses
from shield.training.data import FaceSet
from shield.training.loop import recipes
from shield.training.pairs import PairRecipe, Pairs, PairTraining
from shield.training.stargan import ATTRIBUTES, HAIR, random_targets


@dataclass(frozen=True)
class Pix2PixHDRecipe(PairRecipe):
    """Everything that decides how the weights come out."""

    width: int = 16
    blocks: int = 5  # residual ones: more would not fit into 15 MB
    own: int = 8  # of the batch that are asked for what they are
    kept: float = 0.5  # how often hair, sex and age each stay a face's own


class Pix2PixHDTraining(PairTraining):
    """A generator that learns StarGAN's edits from pairs."""

    def __init__(self, recipe: Pix2PixHDRecipe, data: FaceSet, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.labels, self.teacher = data.columns(*ATTRIBUTES), cast(Editor, load_stargan(device)).network
        generator = ConditionedResNet(recipe.width, STEPS, recipe.blocks, len(ATTRIBUTES))
        super().__init__(recipe, data, device, generator, 3 + len(ATTRIBUTES))

    def asked(self, labels: Tensor) -> Tensor:
        """What to ask of faces with these labels, (N, 5) both: the first ones for what they are."""
        keep = torch.rand(len(labels), 3, generator=self.random) < self.recipe.kept  # hair, sex, age
        keep = torch.cat([keep[:, :1].expand(-1, HAIR), keep[:, 1:]], dim=1)
        asked = torch.where(keep, labels, random_targets(len(labels), self.random))
        return torch.cat([labels[: self.recipe.own], asked[self.recipe.own :]])

    def draw(self) -> Pairs:
        rows, own = self.rows(), self.recipe.own
        photos, asked = self.photos(rows, self.mirrored()), self.sent(self.asked(self.labels[rows]))
        with torch.no_grad(), fast_precision(self.device):
            edited = self.teacher(photos[own:], asked[own:]).float()
        maps = asked[:, :, None, None].expand(-1, -1, *photos.shape[-2:])
        return Pairs(photos, asked, torch.cat([photos, maps], dim=1), torch.cat([photos[:own], edited]))

    def make(self, pairs: Pairs) -> tuple[Tensor, Losses]:
        return self.generator(pairs.photos, pairs.asked), {}

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """The face, then its edits, for faces (N, 3, s, s) in [-1, 1]: (N, 1 + edits, 3, s, s)."""
        given = faces.to(self.device)
        vectors = torch.tensor(list(EDITS.values()), dtype=torch.float32, device=self.device)
        edited = [self.average(given, vector.expand(len(given), -1)) for vector in vectors]
        return torch.stack([given, *edited], dim=1).cpu()


@recipes.register("pix2pixhd")
def pix2pixhd(data: FaceSet, device: torch.device) -> Pix2PixHDTraining:
    """The recipe as shipped."""
    return Pix2PixHDTraining(Pix2PixHDRecipe(), data, device)
