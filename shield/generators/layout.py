"""Published generators: what their authors' files hold, and how that becomes a generator of shield's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from shield.errors import WeightsError
from shield.generators.generator import Inputs
from shield.registry import Registry
from shield.surrogates.published import MisfitError, Tensors, filled


class Made(NamedTuple):
    """A network of a file's sizes, the side of its pictures in px, and what draws its inputs for so many of them."""

    network: nn.Module
    size: int
    draw: Callable[[int, torch.Generator], Inputs]


@dataclass(frozen=True)
class Layout:
    """Networks that share a layout.

    ``build``: tensors to a network of their sizes; raises MisfitError. ``renewed``: what the authors' tensors are in
    shield's own network, where that computes something otherwise.
    """

    title: str
    licence: str
    build: Callable[[Tensors], Made]
    renewed: Callable[[Tensors], Mapping[str, Tensor]] = dict


layouts: Registry[Layout] = Registry("layout of published generators")


def fit(layout: Layout, tensors: Tensors, source: str) -> Made:
    """The layout's network with these tensors as weights, float32 and frozen.

    Raises WeightsError, which names ``source``, what was expected and what was found, where a tensor is missing, left
    over, of another shape, or not of finite numbers.
    """
    try:
        return filled(layout.build, tensors)
    except MisfitError as misfit:
        raise WeightsError(f"{source} is not a generator of {layout.title}: {misfit}.") from misfit
