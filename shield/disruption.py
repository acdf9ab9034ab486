"""Disruption: how far a change to the photo breaks the surrogates, as one callable to climb.

Ruiz et al. 2020, "Disrupting Deepfakes" (arXiv 2003.01279): climb the distance between the manipulator's result on
the changed photo and its result on the clean one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Generator, Tensor

from shield.channels import AsSaved, Transform
from shield.device import fast_precision
from shield.faces import Face, warp
from shield.objectives import Measure, share_of_goal
from shield.surrogates import Surrogate

T = TypeVar("T")
U = TypeVar("U")
Loss = Callable[[Tensor], Tensor]  # photo (1, 3, H, W) in [0, 1] -> scalar to climb

# The search is done with an edit at this multiple of its threshold, so that it stays broken after the web's channels.
MARGIN = 3.0


@dataclass(frozen=True)
class Term:
    """One surrogate's part: the share of the goal reached on a photo that shows ``face``, in [0, 1].

    The photo goes through ``transform`` on its way. ``measure``: for the face, how far the results on the surrogate's
    crop are from the clean ones there. ``generator``: for the transform's random numbers.
    """

    surrogate: Surrogate
    face: Face
    measure: Callable[[Face], Measure]
    transform: Transform = field(default_factory=AsSaved)
    generator: Generator = field(default_factory=Generator)

    def __call__(self, photo: Tensor) -> Tensor:
        sent = self.transform(photo, self.generator)
        scale = sent.shape[-1] / photo.shape[-1], sent.shape[-2] / photo.shape[-2]
        crop = warp(sent, self.face.scaled(*scale), self.surrogate.size, self.surrogate.framing)
        measure = self.measure(self.face)
        with fast_precision(photo.device):
            distances = measure(crop)
        return share_of_goal(distances, MARGIN)


def in_step(parts: Sequence[T], roads: Sequence[U]) -> list[tuple[T, U]]:
    """Both lists walked through together, each from its beginning again at its end, until both end at once."""
    return [(parts[i % len(parts)], roads[i % len(roads)]) for i in range(math.lcm(len(parts), len(roads)))]


class Expectation:
    """The mean of several terms, of which every call takes the next one: as many steps cost no more.

    The value is the mean of what each term gave last (Schmidt et al. 2017, arXiv 1309.2388), so it falls short until
    each had its turn; the gradient is that of the term taken.
    """

    def __init__(self, terms: Sequence[Loss], first: int = 0) -> None:
        self.terms, self.turn = terms, first
        self.last = [0.0] * len(terms)

    def __call__(self, photo: Tensor) -> Tensor:
        number = self.turn % len(self.terms)
        value = self.terms[number](photo)
        self.turn, self.last[number] = self.turn + 1, float(value.detach())
        return value + (sum(self.last) / len(self.last) - value.detach())


@dataclass(frozen=True)
class Disruption:
    """loss(photo): the mean over the terms, from 0 (nothing breaks) to 1 (every edit breaks with margin)."""

    terms: Sequence[Loss]

    def __call__(self, photo: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and photo.requires_grad):
            return torch.stack([term(photo) for term in self.terms]).mean()
        value: Tensor = _MeanOfTerms.apply(photo, self.terms)
        return value


class _MeanOfTerms(torch.autograd.Function):
    """Runs forward and backward term by term, so that only one surrogate's activations are held at a time."""

    @staticmethod
    def forward(context: Any, photo: Tensor, terms: Sequence[Loss]) -> Tensor:
        total, gradient = torch.zeros((), device=photo.device), torch.zeros_like(photo)
        for term in terms:
            with torch.enable_grad():
                leaf = photo.detach().requires_grad_(True)
                value = term(leaf)
                gradient += torch.autograd.grad(value, leaf)[0]
            total += value.detach()
        context.save_for_backward(gradient / len(terms))
        return total / len(terms)

    @staticmethod
    def backward(context: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (gradient,) = context.saved_tensors
        return gradient * outer[0], None
