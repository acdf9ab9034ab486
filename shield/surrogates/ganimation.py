"""GANimation: expressions, with attention (Pumarola et al. 2018, arXiv 1807.09251), trained for shield."""

import torch

from shield.surrogates.published.family import Editor
from shield.surrogates.published.ganimation import GANIMATION
from shield.surrogates.shipped import shipped
from shield.surrogates.surrogate import surrogates

# Condition vectors over shield.faces.expression.MEASURES (mouth opening, smile width, brow height, eye opening); 1 is
# two standard deviations above the mean face.
EDITS = {
    "smile": (0.3, 1.0, 0.0, -0.2),
    "open mouth": (1.0, -0.2, 0.1, 0.0),
    "serious": (-0.6, -0.9, -0.3, 0.0),
    "surprised": (0.5, -0.4, 1.0, 0.8),
    "eyes narrowed": (-0.3, 0.2, -0.7, -1.4),
}


@surrogates.register("ganimation")
def load_ganimation(device: torch.device) -> Editor:
    """The GANimation of models/."""
    return shipped("ganimation", GANIMATION, EDITS, device)
