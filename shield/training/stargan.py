"""StarGAN's training: one generator for hair colour, sex and age (Choi et al. 2018, arXiv 1711.09020).

Differs from the paper where few steps must go far: hinge loss with a spectrally normalised critic (Miyato et al. 2018)
instead of WGAN-GP with five critic steps, sampling balanced over source, hair, sex and age, and weight averaging.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from shield.surrogates.generator import StarGANGenerator
from shield.training.data import SOURCES, BalancedSampler, FaceSet

ATTRIBUTES = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
HAIR = 3  # the first three attributes exclude one another


@dataclass(frozen=True)
class StarGANRecipe:
    """Everything that decides how the weights come out."""

    name: str = "stargan"
    size: int = 128
    width: int = 32
    blocks: int = 6
    critic_width: int = 32
    batch: int = 8
    steps: int = 12_000
    learning_rate: float = 2e-4
    reconstruction: float = 10.0
    classification: float = 1.0
    averaging: float = 0.998
    source_shares: tuple[float, float, float] = (0.45, 0.45, 0.10)
    hairless_share: float = 0.15  # of grey, bald, hatted and uncertain hair
    seed: int = 0


class Critic(nn.Module):
    """PatchGAN critic with an attribute head: faces (N, 3, s, s) to a map of scores and logits (N, C)."""

    def __init__(self, size: int, width: int, attributes: int, layers: int = 6) -> None:
        super().__init__()
        trunk: list[nn.Module] = []
        channels = 3
        for layer in range(layers):
            wider = width * 2 ** min(layer, 5)
            trunk += [spectral_norm(nn.Conv2d(channels, wider, 4, stride=2, padding=1)), nn.LeakyReLU(0.01)]
            channels = wider
        self.trunk = nn.Sequential(*trunk)
        self.score = nn.Conv2d(channels, 1, 3, padding=1, bias=False)
        self.attributes = nn.Conv2d(channels, attributes, size // 2**layers, bias=False)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(faces)
        return self.score(features), self.attributes(features).flatten(1)


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


def _adam(module: nn.Module, recipe: StarGANRecipe) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=recipe.learning_rate, betas=(0.5, 0.99))


class StarGANTraining:
    """The state of one training: networks, optimisers, averages, random numbers."""

    def __init__(self, recipe: StarGANRecipe, data: FaceSet, autocast: bool) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.data, self.autocast = recipe, data, autocast
        self.labels = data.columns(*ATTRIBUTES)
        self.sampler = _sampler(data, self.labels, recipe)
        self.generator = StarGANGenerator(recipe.width, len(ATTRIBUTES), recipe.blocks)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.critic = Critic(recipe.size, recipe.critic_width, len(ATTRIBUTES))
        self.generator_optimiser = _adam(self.generator, recipe)
        self.critic_optimiser = _adam(self.critic, recipe)

    def step(self, number: int) -> dict[str, float]:
        """One critic and one generator step; returns the losses."""
        random = self.sampler.generator
        rows = self.sampler.draw(self.recipe.batch)
        real = self.data.faces[rows].float() / 127.5 - 1
        flip = torch.rand(len(real), generator=random) < 0.5
        real[flip] = real[flip].flip(3)
        labels, targets = self.labels[rows], random_targets(len(rows), random)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            fake = self.generator(real, targets)
            losses = self._critic_step(real, labels, fake.detach())
            losses |= self._generator_step(real, labels, fake, targets)
        # Early averages must not remember the random start.
        keep = min(self.recipe.averaging, (1 + number) / (10 + number))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
        return losses

    def _critic_step(self, real: Tensor, labels: Tensor, fake: Tensor) -> dict[str, float]:
        real_score, real_logits = self.critic(real)
        fake_score, _ = self.critic(fake)
        hinge = F.relu(1 - real_score.float()).mean() + F.relu(1 + fake_score.float()).mean()
        attributes = F.binary_cross_entropy_with_logits(real_logits.float(), labels, reduction="sum") / len(real)
        self.critic_optimiser.zero_grad(set_to_none=True)
        (hinge + self.recipe.classification * attributes).backward()
        self.critic_optimiser.step()
        return {"critic": hinge.item(), "critic_attributes": attributes.item()}

    def _generator_step(self, real: Tensor, labels: Tensor, fake: Tensor, targets: Tensor) -> dict[str, float]:
        self.critic.requires_grad_(False)
        score, logits = self.critic(fake)
        fool = -score.float().mean()
        attributes = F.binary_cross_entropy_with_logits(logits.float(), targets, reduction="sum") / len(real)
        back = F.l1_loss(self.generator(fake, labels).float(), real)
        loss = fool + self.recipe.classification * attributes + self.recipe.reconstruction * back
        self.generator_optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        self.generator_optimiser.step()
        self.critic.requires_grad_(True)
        return {"fool": fool.item(), "attributes": attributes.item(), "reconstruction": back.item()}

    def set_rate(self, factor: float) -> None:
        for optimiser in (self.generator_optimiser, self.critic_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = self.recipe.learning_rate * factor

    def state_dict(self) -> dict[str, Any]:
        parts = {name: getattr(self, name).state_dict() for name in _STATEFUL}
        return parts | {"random": self.sampler.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in _STATEFUL:
            getattr(self, name).load_state_dict(state[name])
        self.sampler.generator.set_state(state["random"])

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """The face, then each edit, for faces (N, 3, s, s) in [-1, 1]: (N, 1 + edits, 3, s, s)."""
        edits = torch.tensor(
            [[1, 0, 0, 1, 1], [0, 1, 0, 0, 1], [0, 0, 1, 1, 0], [0, 1, 0, 1, 1], [1, 0, 0, 0, 0], [0, 0, 1, 0, 1.0]]
        )
        columns = [self.average(faces, edit.expand(len(faces), -1)) for edit in edits]
        return torch.stack([faces, *columns], dim=1)

    def export(self) -> dict[str, Tensor]:
        """The finished weights, float16."""
        return {name: value.half() for name, value in self.average.state_dict().items()}


_STATEFUL = ("generator", "average", "critic", "generator_optimiser", "critic_optimiser")
