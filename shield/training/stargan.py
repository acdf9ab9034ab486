"""StarGAN's training: one generator for hair colour, sex and age (Choi et al. 2018, arXiv 1711.09020).

Differs from the paper where few steps must go far: hinge loss instead of WGAN-GP with five critic steps, attributes
read by a network of their own, sampling balanced over source, hair, sex and age, weight averaging, and a first half
at half size.
"""

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.surrogates import hardened_name
from shield.surrogates.generator import StarGANGenerator
from shield.surrogates.stargan import EDITS
from shield.training.adversarial import AdversarialTraining, Optimisation
from shield.training.data import SOURCES, BalancedSampler, FaceSet
from shield.training.hardening import HARDENINGS, Hardening
from shield.training.loop import on_processor, recipes

ATTRIBUTES = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
HARDENED_STEPS = 4_900  # each costs twice as much; begun with the plain network's weights, at the first whole step
HAIR = 3  # the first three attributes exclude one another


@dataclass(frozen=True)
class StarGANRecipe(Optimisation):
    """Everything that decides how the weights come out."""

    small_steps: int = 3_500
    steps: int = 5_800
    classification: tuple[float, ...] = (1.0, 1.0, 1.0, 2.5, 4.0)  # per attribute: sex and age are learnt last
    source_shares: tuple[float, float, float] = (0.45, 0.45, 0.10)
    hairless_share: float = 0.15  # of grey, bald, hatted and uncertain hair


def random_targets(count: int, generator: torch.Generator) -> Tensor:
    """Condition vectors (count, 5): one hair colour each, sex and age by coin."""
    hair = F.one_hot(torch.randint(HAIR, (count,), generator=generator), HAIR)
    rest = torch.randint(2, (count, len(ATTRIBUTES) - HAIR), generator=generator)
    return torch.cat([hair, rest], dim=1).float()


def _sampler(data: FaceSet, labels: Tensor, recipe: StarGANRecipe) -> BalancedSampler:
    """Rows balanced over hair, sex and age within every source, so that no attribute can be told by its source."""
    one_hair = labels[:, :HAIR].sum(1) <= 1
    hair = torch.where(one_hair, labels[:, :HAIR] @ torch.tensor([1.0, 2.0, 3.0]), -1.0).long()
    columns = torch.cat([data.source[:, None], hair[:, None], labels[:, HAIR:].long()], dim=1)
    groups = [tuple(row) for row in columns.tolist()]
    weights: dict[tuple[int, ...], float] = {}
    for index in range(len(SOURCES)):
        sizes = {g: groups.count(g) for g in set(groups) if g[0] == index and g[1] >= 0}
        # The square root keeps a group of a dozen faces from filling every batch with the same dozen.
        shares = {g: min(n, 300) ** 0.5 * (recipe.hairless_share if g[1] == 0 else 1.0) for g, n in sizes.items()}
        weights |= {g: recipe.source_shares[index] * s / sum(shares.values()) for g, s in shares.items()}
    return BalancedSampler(groups, weights, recipe.seed)


class StarGANTraining(AdversarialTraining):
    """A generator that is asked for random attributes, and a reader that tells whether they are there."""

    def __init__(self, recipe: StarGANRecipe, data: FaceSet, autocast: bool) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        labels = data.columns(*ATTRIBUTES)
        generator = StarGANGenerator(recipe.width, len(ATTRIBUTES), recipe.blocks)
        super().__init__(recipe, data, labels, generator, EDITS, _sampler(data, labels, recipe), autocast)

    def targets(self, labels: Tensor) -> Tensor:
        return random_targets(len(labels), self.sampler.generator)

    def reading_loss(self, readings: Tensor, labels: Tensor) -> Tensor:
        weights = torch.tensor(self.recipe.classification)
        return F.binary_cross_entropy_with_logits(readings, labels, weights, reduction="sum") / len(labels)


def stargan(data: FaceSet, device: torch.device, hardening: Hardening | None = None) -> StarGANTraining:
    """The recipe as shipped, as it is or hardened."""
    recipe = StarGANRecipe()
    if hardening is not None:
        recipe = replace(recipe, hardening=hardening, steps=HARDENED_STEPS)
    return StarGANTraining(recipe, data, on_processor(device))


recipes.register("stargan")(stargan)
for _way, _hardening in HARDENINGS.items():
    recipes.register(hardened_name("stargan", _way))(partial(stargan, hardening=_hardening))
