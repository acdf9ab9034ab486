"""What trainings of one network by one optimiser share: learning rate, state, resuming, the finished weights."""

from typing import Any

from torch import Generator, Tensor, nn
from torch.optim import Optimizer


class SingleTraining:
    """Subclasses say what a step is. ``random``: where they take all their random numbers from."""

    def __init__(self, network: nn.Module, optimiser: Optimizer, random: Generator, steps: int) -> None:
        self.network, self.optimiser, self.random, self.steps = network, optimiser, random, steps
        self._rates = [group["lr"] for group in optimiser.param_groups]

    def set_rate(self, factor: float) -> None:
        """Scale the recipe's learning rate."""
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs, random numbers included."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": self.random.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.random.set_state(state["random"])

    def begin_with(self, weights: dict[str, Tensor]) -> int:
        """Begin with trained weights."""
        self.network.load_state_dict(weights)
        return 0

    def sheet(self, faces: Tensor) -> Tensor | None:
        """Nothing to look at."""
        return None

    def export(self) -> dict[str, Tensor]:
        """The finished weights; floats as float16, counters as they are."""
        return {
            name: value.half() if value.is_floating_point() else value
            for name, value in self.network.state_dict().items()
        }
