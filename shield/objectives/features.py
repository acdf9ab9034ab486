"""The distance of a network's innermost features, which all edits and often whole families of networks share.

Zhou et al. 2018, "Transferable Adversarial Perturbations" (ECCV), climb it against classifiers: whoever moves the
features moves everything that is made of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from shield.errors import RecipeError
from shield.objectives.objective import Manipulator, Measure, objectives

BROKEN = 0.25  # of the clean features' energy: a change of this energy counts as broken


@objectives.register("features")
@torch.no_grad()
def features(manipulator: Manipulator, crop: Tensor) -> Measure:
    """Raises RecipeError for a surrogate that is no torch module or convolves nothing."""
    if not isinstance(manipulator, nn.Module):
        raise RecipeError("The objective 'features' needs surrogates that are torch modules; choose another objective.")
    network, modules = manipulator, _innermost(manipulator, crop)
    clean = _outputs(network, crop, modules)

    def measure(changed: Tensor) -> Tensor:
        pairs = zip(_outputs(network, changed, modules), clean, strict=True)
        distances = [(now - then).square().sum() / then.square().sum().clamp(min=1e-12) for now, then in pairs]
        return torch.stack(distances)[None] / BROKEN

    return measure


def _outputs(network: nn.Module, crop: Tensor, modules: list[nn.Module]) -> list[Tensor]:
    """What these modules give, in the order of their calls, while the network looks at the crop."""
    with _recorded(modules) as seen:
        network(crop)
    return [output.float() for _, output in seen]


def _innermost(network: nn.Module, crop: Tensor) -> list[nn.Module]:
    """The convolutions of the smallest output: behind them lies everything the network knows of the picture."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    with _recorded(convolutions) as seen:
        network(crop)
    if not seen:
        raise RecipeError("The objective 'features' needs surrogates that convolve; choose another objective.")
    smallest = min(output[0, 0].numel() for _, output in seen)
    return [module for module, output in seen if output[0, 0].numel() == smallest]


@contextmanager
def _recorded(modules: Sequence[nn.Module]) -> Iterator[list[tuple[nn.Module, Tensor]]]:
    seen: list[tuple[nn.Module, Tensor]] = []
    hooks = [module.register_forward_hook(lambda m, _, output: seen.append((m, output))) for module in modules]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
