"""Published networks: how their authors' files become surrogates. One file and one word here each."""

from shield.surrogates.published import aggan, attgan, cyclegan, ganimation, pix2pixhd, spade, stargan
from shield.surrogates.published.checkpoint import Checkpoint, read_checkpoint
from shield.surrogates.published.family import (
    LARGEST_SIZE,
    SMALLEST_SIZE,
    Editor,
    Family,
    MisfitError,
    Tensors,
    dimensions,
    families,
    filled,
    fit,
)

__all__ = [
    "LARGEST_SIZE",
    "SMALLEST_SIZE",
    "Checkpoint",
    "Editor",
    "Family",
    "MisfitError",
    "Tensors",
    "aggan",
    "attgan",
    "cyclegan",
    "dimensions",
    "families",
    "filled",
    "fit",
    "ganimation",
    "pix2pixhd",
    "read_checkpoint",
    "spade",
    "stargan",
]
