"""BigGAN's training (Brock et al. 2019, arXiv 1809.11096): faces by hair, sex and age.

Hinge loss, a critic under spectral norm that sees classes by projection (Miyato and Koyama 2018, arXiv 1802.05637) and
has self-attention, orthogonal weights at the start. The generator needs no spectral norm at this size.
"""

import copy
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from shield.device import fast_layout, fast_precision
from shield.generators.biggan import AGES, CLASSES, HAIR, SEXES, WIDTH, Attention, BigGANGenerator
from shield.training.adversarial import CriticTraining
from shield.training.data import BalancedSampler, FaceSet
from shield.training.loop import recipes
from shield.training.sampling import COLUMNS, SHOWN, RealFaces
from shield.training.stargan import ATTRIBUTES

TRAINED = ("generator", "critic")
LOOK = 20  # steps from one reading of the losses to the next: each waits for the device
COMMON = 1_000  # faces from which on a class is drawn no more often
SETTLED = 20  # batches from which the stored statistics of the average come


@dataclass(frozen=True)
class BigGANRecipe:
    """Everything that decides how the weights come out."""

    batch: int = 96
    steps: int = 30_000
    learning_rate: float = 1.5e-4
    critic_rate: float = 3e-4
    width: int = WIDTH
    critic_width: int = 48
    averaging: float = 0.998
    seed: int = 0


def classes_of(data: FaceSet) -> Tensor:
    """The class of every face, (N,); -1 where its hair has not exactly one of the colours."""
    labels = data.columns(*ATTRIBUTES).long()
    hair, male, young = labels[:, : len(HAIR)], labels[:, len(HAIR)], labels[:, len(HAIR) + 1]
    number = (hair.argmax(1) * len(SEXES) + male) * len(AGES) + young
    return torch.where(hair.sum(1) == 1, number, -1)


class ClassCritic(nn.Module):
    """Faces (N, 3, 64, 64) in [-1, 1] and their classes (N,) to scores (N,)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        channels = [3, width, 2 * width, 4 * width, 8 * width]
        self.trunk = nn.ModuleList(_Down(a, b, first=a == 3) for a, b in pairwise(channels))
        self.attention = Attention(width)
        self.last = _Down(channels[-1], channels[-1], halved=False)
        self.score, self.match = nn.Linear(channels[-1], 1), nn.Embedding(classes, channels[-1])
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear, nn.Embedding)):
                nn.init.orthogonal_(layer.weight)
                spectral_norm(layer)

    def forward(self, faces: Tensor, classes: Tensor) -> Tensor:
        x = faces
        for number, block in enumerate(self.trunk):
            x = block(x)
            x = self.attention(x) if number == 0 else x
        x = F.relu(self.last(x)).sum((2, 3))
        scores: Tensor = self.score(x)[:, 0] + (self.match(classes) * x).sum(1)
        return scores


class _Down(nn.Module):
    def __init__(self, inputs: int, outputs: int, first: bool = False, halved: bool = True) -> None:
        super().__init__()
        self.first, self.halved = first, halved
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        result: Tensor = y + self.short(x)
        return F.avg_pool2d(result, 2) if self.halved else result


class BigGANTraining(CriticTraining):
    """A generator and its critic, by classes."""

    generator: BigGANGenerator
    average: BigGANGenerator

    def __init__(self, recipe: BigGANRecipe, data: FaceSet, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.steps = recipe, device, recipe.steps
        self.averaging, self.classes = recipe.averaging, classes_of(data)
        self.sampler = _sampler(self.classes, recipe.seed)
        self.random = self.sampler.generator
        layout = fast_layout(device)
        self.generator = BigGANGenerator(recipe.width).to(device).to(memory_format=layout)
        self.faces = RealFaces(data, device, 64)
        self.critic = ClassCritic(recipe.critic_width, len(CLASSES)).to(device).to(memory_format=layout)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.rates = {"generator": recipe.learning_rate, "critic": recipe.critic_rate}
        self.optimisers = {
            name: torch.optim.Adam(getattr(self, name).parameters(), rate, (0.0, 0.99), fused=True)
            for name, rate in self.rates.items()
        }
        self._told: dict[str, float] = {}

    def step(self, number: int) -> dict[str, float]:
        """One step of the critic, then one of the generator; returns the terms of their losses as last read."""
        count = self.recipe.batch
        rows = self.sampler.draw(count)
        real, known = self.faces.of(rows, self.random), self._sent(self.classes[rows])
        codes, asked = self._asked()
        with torch.no_grad(), fast_precision(self.device):
            made = self.generator(codes, asked)
        with fast_precision(self.device):
            scores = self.critic(torch.cat([real, made]), torch.cat([known, asked])).float()
        lesson = {"real": F.relu(1 - scores[:count]).mean(), "made": F.relu(1 + scores[count:]).mean()}
        self._descend("critic", lesson)
        self.critic.requires_grad_(False)
        codes, asked = self._asked()
        with fast_precision(self.device):
            price = {"fool": -self.critic(self.generator(codes, asked), asked).float().mean()}
        self._descend("generator", price)
        self.critic.requires_grad_(True)
        self._average(number)
        if number % LOOK == 0 or not self._told:
            self._told = {name: float(loss.detach()) for name, loss in (lesson | price).items()}
        return self._told

    def _sent(self, drawn: Tensor) -> Tensor:
        return drawn.to(self.device, non_blocking=True)

    def _asked(self) -> tuple[Tensor, Tensor]:
        """New codes, and classes as often as real faces have them."""
        codes = torch.randn(self.recipe.batch, self.generator.code, generator=self.random)
        return self._sent(codes), self._sent(self.classes[self.sampler.draw(self.recipe.batch)])

    @torch.no_grad()
    def _settle(self) -> None:
        """Give the average the statistics of its own features."""
        drawn = self.random.get_state()  # looking must not change what is learnt next
        self.average.train()
        for _ in range(SETTLED):
            self.average(*self._asked())
        self.average.eval()
        self.random.set_state(drawn)

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """A class in a row, always of the same codes, in as many rows as there are faces: (N, COLUMNS, 3, 64, 64)."""
        self._settle()
        codes = torch.randn(
            len(faces), COLUMNS, self.generator.code, generator=torch.Generator().manual_seed(SHOWN)
        ).to(self.device)
        classes = torch.arange(len(faces), device=self.device) % len(CLASSES)
        rows = [self.average(code, one.expand(COLUMNS)) for code, one in zip(codes, classes, strict=True)]
        return torch.stack(rows).cpu()

    def export(self) -> dict[str, Tensor]:
        """The finished weights: the average, float16."""
        self._settle()
        return super().export()


def _sampler(classes: Tensor, seed: int) -> BalancedSampler:
    """Rows of classes, the rare ones more often than they come."""
    groups = [(number,) for number in classes.tolist()]
    counts = classes[classes >= 0].bincount(minlength=len(CLASSES)).clamp(max=COMMON).float()
    weights = {(number,): float(count) ** 0.5 for number, count in enumerate(counts.tolist()) if count}
    total = sum(weights.values())
    return BalancedSampler(groups, {group: weight / total for group, weight in weights.items()}, seed)


@recipes.register("biggan")
def biggan(data: FaceSet, device: torch.device) -> BigGANTraining:
    """The recipe as shipped."""
    return BigGANTraining(BigGANRecipe(), data, device)
