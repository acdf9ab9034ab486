"""Disruption: how far a change to the photo breaks the surrogates, as one callable to climb.

Ruiz et al. 2020, "Disrupting Deepfakes" (arXiv 2003.01279): climb the distance between the manipulator's result on
the changed photo and its result on the clean one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shield.device import fast_precision
from shield.faces import Face, warp
from shield.objectives import share_of_goal
from shield.surrogates import Surrogate

Loss = Callable[[Tensor], Tensor]  # photo (1, 3, H, W) in [0, 1] -> scalar to climb

# The search is done with an edit at this multiple of its threshold, so that it stays broken after the web's channels.
MARGIN = 3.0


@torch.no_grad()
def clean_results(surrogate: Surrogate, photo: Tensor, face: Face) -> Tensor:
    """What the surrogate makes of the unchanged photo, as reference: (1, E, ...), full precision."""
    return surrogate(warp(photo, face, surrogate.size, surrogate.framing))


@dataclass(frozen=True)
class Term:
    """One surrogate's part: the share of the goal reached on a photo that shows ``face``, in [0, 1]."""

    surrogate: Surrogate
    face: Face
    clean: Tensor

    def __call__(self, photo: Tensor) -> Tensor:
        crop = warp(photo, self.face, self.surrogate.size, self.surrogate.framing)
        with fast_precision(photo.device):
            results = self.surrogate(crop)
        distances = self.surrogate.distance(results.float(), self.clean)
        return share_of_goal(distances, MARGIN * self.surrogate.threshold)


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
