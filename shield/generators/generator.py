"""What a generator is: a network that makes faces of nothing but a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from shield.registry import Registry
from shield.weights import load_network, manifest

AT_ONCE = 64  # faces: more of them would not fit every device


class Generator(Protocol):
    """Makes faces of ``size`` px."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def licence(self) -> str: ...

    def sample(self, count: int, seed: int) -> Tensor:
        """Faces (``count``, 3, size, size) in [0, 1] on the generator's device, the same ones for a seed."""
        ...


Inputs = tuple[Tensor, ...]  # of a network, (N, ...) each

generators: Registry[Callable[[torch.device], Generator]] = Registry("generator")


def codes(size: int, count: int, random: torch.Generator) -> Inputs:
    """Codes (``count``, ``size``)."""
    return (torch.randn(count, size, generator=random),)


@dataclass(frozen=True)
class Seeded:
    """A network that makes pictures in [-1, 1], and ``draw``, which makes its inputs for so many faces at random."""

    name: str
    size: int
    licence: str
    network: Callable[..., Tensor]
    draw: Callable[[int, torch.Generator], Inputs]
    device: torch.device

    @torch.no_grad()
    def sample(self, count: int, seed: int) -> Tensor:
        """Faces (``count``, 3, size, size) in [0, 1] on the device, the same ones for a seed."""
        # Drawn on the processor: other devices make other numbers of a seed.
        drawn = self.draw(count, torch.Generator().manual_seed(seed))
        parts = zip(*(numbers.to(self.device).split(AT_ONCE) for numbers in drawn), strict=True)
        return torch.cat([(self.network(*part).float() / 2 + 0.5).clamp(0, 1) for part in parts])


def shipped(
    name: str,
    kind: Callable[[], nn.Module],
    what: str,
    draw: Callable[[int, torch.Generator], Inputs],
    device: torch.device,
) -> Seeded:
    """The generator whose weights are the model ``name``, on a device. ``what``: its network, in words.

    Raises WeightsError where the file is missing, altered or does not fit the network.
    """
    network = load_network(kind, name, what).to(device)
    entry = manifest()[name]
    return Seeded(name, entry.size, entry.licence, network, draw, device)


def load_generator(name: str, device: torch.device) -> Generator:
    """The generator of that name on a device. Raises RecipeError for an unknown name, WeightsError as ``shipped``."""
    return generators[name](device)
