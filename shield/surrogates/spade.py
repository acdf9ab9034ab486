"""SPADE: an open mouth, a smile, raised brows, painted by masks (Park et al. 2019, arXiv 1903.07291), for shield."""

import torch

from shield.surrogates.published.family import Editor
from shield.surrogates.published.spade import EDITS, SPADE
from shield.surrogates.shipped import shipped
from shield.surrogates.surrogate import surrogates


@surrogates.register("spade")
def load_spade(device: torch.device) -> Editor:
    """The SPADE of models/."""
    return shipped("spade", SPADE, EDITS, device)
