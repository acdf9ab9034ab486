"""The attribute network's training: CelebA's faces and labels, and nothing else.

It judges manipulators, so it must share nothing with them: neither LFW and the synthetic faces, nor a training step.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.faces.attributes import ATTRIBUTES, AttributeNet
from shield.training.data import SOURCES, FaceSet, varied
from shield.training.loop import recipes


@dataclass(frozen=True)
class AttributesRecipe:
    """Everything that decides how the weights come out."""

    batch: int = 64
    steps: int = 1_600
    learning_rate: float = 1e-3
    decay: float = 0.05
    seed: int = 0


class AttributesTraining:
    """A classifier of attributes, on mirrored, shifted, darker and lighter, sharper and softer faces."""

    def __init__(self, recipe: AttributesRecipe, data: FaceSet, autocast: bool) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.data, self.autocast = recipe, data, autocast
        self.rows = (data.source == SOURCES.index("celeba")).nonzero().flatten()
        self.labels = data.columns(*ATTRIBUTES)
        self.network = AttributeNet()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), recipe.learning_rate, weight_decay=recipe.decay)
        self.random = torch.Generator().manual_seed(recipe.seed)

    @property
    def steps(self) -> int:
        """How many steps the recipe asks for."""
        return self.recipe.steps

    def step(self, number: int) -> dict[str, float]:
        """One step; returns the loss and the share of right answers."""
        rows = self.rows[torch.randint(len(self.rows), (self.recipe.batch,), generator=self.random)]
        faces = varied(self.data.draw(rows, self.data.faces.shape[-1], self.random), self.random)
        labels = self.labels[rows]
        seed = int(torch.randint(2**31, (1,), generator=self.random))  # dropout knows only torch's own random numbers
        with torch.random.fork_rng(devices=[]), torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            torch.manual_seed(seed)
            logits = self.network((faces + 1) / 2).float()
        loss = F.binary_cross_entropy_with_logits(logits, labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        self.optimiser.step()
        right = ((logits > 0) == (labels > 0.5)).float().mean()
        return {"loss": float(loss.detach()), "right": float(right)}

    def set_rate(self, factor: float) -> None:
        """Scale the recipe's learning rate."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * factor

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs, random numbers included."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": self.random.get_state(),
        }

    def begin_with(self, weights: dict[str, Tensor]) -> int:
        """Begin with a trained network."""
        self.network.load_state_dict(weights)
        return 0

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.random.set_state(state["random"])

    def sheet(self, faces: Tensor) -> Tensor | None:
        """Nothing to look at."""
        return None

    def export(self) -> dict[str, Tensor]:
        """The finished weights; floats as float16."""
        return {name: half_of(value) for name, value in self.network.state_dict().items()}


def half_of(value: Tensor) -> Tensor:
    """float16 of floats; counters as they are."""
    return value.half() if value.is_floating_point() else value


@recipes.register("attributes")
def attributes(data: FaceSet, autocast: bool) -> AttributesTraining:
    """The recipe as shipped."""
    return AttributesTraining(AttributesRecipe(), data, autocast)
