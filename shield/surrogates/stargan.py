"""StarGAN: one generator for hair colour, sex and age (Choi et al. 2018, arXiv 1711.09020), trained for shield."""

import torch

from shield.surrogates.published.family import Editor
from shield.surrogates.published.stargan import STARGAN
from shield.surrogates.published.trunk import CELEBA
from shield.surrogates.shipped import shipped
from shield.surrogates.surrogate import surrogates

EDITS = CELEBA


@surrogates.register("stargan")
def load_stargan(device: torch.device) -> Editor:
    """The StarGAN of models/."""
    return shipped("stargan", STARGAN, EDITS, device)
