"""A face swap as the trade does it, from one picture to another: find both faces, embed one, repaint the other.

An aligner finds the faces in the very pixels; the source's is framed by the ArcFace template and becomes an embedding,
the target's is framed for the network, repainted as that person and pasted back. For verification and the benchmark
alone, which mark every picture: what comes out is small.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from shield.device import fast_precision
from shield.errors import FaceError
from shield.faces import Face
from shield.faces.aligners import aligners
from shield.faces.sampling import cut
from shield.surrogates import load_surrogate
from shield.surrogates.recognisers.recogniser import JUDGE
from shield.swap.canvas import CPU, Canvas, Pixels
from shield.swap.network import SWAP, load_swap
from shield.weights import manifest

ALIGNER = "yunet"  # of those that FaceFusion offers, the one that ships

# Targets (N, 3, 128, 128) in [-1, 1] and identities (N, 128) of length 1 to swapped faces (N, 3, 128, 128) in [-1, 1].
Swapper: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def shipped_swap(device: torch.device) -> Swapper | None:
    """The network of models/; None where shield comes without one. Raises WeightsError where its file is altered."""
    return load_swap(device) if SWAP in manifest() else None


def largest_face(pixels: Pixels, picture: str, aligner: str = ALIGNER) -> Face:
    """The largest face that an aligner finds. ``picture``: what these pixels are, in words.

    Raises FaceError where there is none, RecipeError for an unknown aligner.
    """
    found = aligners[aligner](pixels)
    if not found:
        raise FaceError(f"{aligner} finds no face in the {picture}; choose another picture or another aligner.")
    return found[0]


@torch.no_grad()
def identity(pixels: Pixels, face: Face, device: torch.device = CPU) -> Tensor:
    """Who a face is, (1, 128) of length 1: all that a swap takes of a source. Read by the recogniser no search asks."""
    recogniser = load_surrogate(JUDGE, device)
    return recogniser(cut(pixels, face, recogniser.size, recogniser.framing).to(device))[:, 0]


@torch.no_grad()
def repainted(canvases: Sequence[Canvas], identities: Tensor, network: Swapper) -> Tensor:
    """The canvases' faces as the people of ``identities`` (N, 128) or (1, 128): (N, 3, 128, 128) in [-1, 1]."""
    targets = torch.cat([canvas.crop for canvas in canvases]).to(identities.device)
    with fast_precision(targets.device):
        return network(2 * targets - 1, identities.expand(len(targets), -1)).float().cpu()


def pasted(canvases: Sequence[Canvas], made: Tensor) -> list[Pixels]:
    """The canvases with these faces (N, 3, 128, 128) in [-1, 1] in the places of their own."""
    pairs = zip(canvases, ((made + 1) / 2).split(1), strict=True)
    return [canvas.with_face(face) for canvas, face in pairs]


def swap(
    source: Pixels, target: Pixels, network: Swapper, *, aligner: str = ALIGNER, device: torch.device = CPU
) -> Pixels:
    """The target picture, made small around its largest face, with the face of the source's largest one.

    Raises FaceError where the aligner finds no face in one of them, RecipeError for an unknown aligner.
    """
    lent = largest_face(source, "picture that lends its face", aligner)
    canvas = Canvas.around(target, largest_face(target, "picture that gets another face", aligner))
    return pasted([canvas], repainted([canvas], identity(source, lent, device), network))[0]
