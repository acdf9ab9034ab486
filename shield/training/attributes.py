"""The attribute network's training: CelebA's faces and labels, and nothing else.

It judges manipulators, so it must share nothing with them: neither LFW and the synthetic faces, nor a training step.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from shield.faces.attributes import ATTRIBUTES, AttributeNet
from shield.training.data import SOURCES, FaceSet, varied
from shield.training.loop import on_processor, recipes
from shield.training.single import SingleTraining


@dataclass(frozen=True)
class AttributesRecipe:
    """Everything that decides how the weights come out."""

    batch: int = 64
    steps: int = 1_600
    learning_rate: float = 1e-3
    decay: float = 0.05
    seed: int = 0


class AttributesTraining(SingleTraining):
    """A classifier of attributes, on mirrored, shifted, darker and lighter, sharper and softer faces."""

    def __init__(self, recipe: AttributesRecipe, data: FaceSet, autocast: bool) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.data, self.autocast = recipe, data, autocast
        self.rows = (data.source == SOURCES.index("celeba")).nonzero().flatten()
        self.labels = data.columns(*ATTRIBUTES)
        network = AttributeNet()
        optimiser = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.decay)
        super().__init__(network, optimiser, torch.Generator().manual_seed(recipe.seed), recipe.steps)

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


@recipes.register("attributes")
def attributes(data: FaceSet, device: torch.device) -> AttributesTraining:
    """The recipe as shipped."""
    return AttributesTraining(AttributesRecipe(), data, on_processor(device))
