"""shield: protect a photo of a person against face-manipulation networks, and prove it on the saved file."""

from shield.errors import (
    BoundError,
    FaceError,
    InputError,
    PhotoError,
    RecipeError,
    SearchError,
    ShieldError,
    WeightsError,
)
from shield.pipeline import Protection, protect
from shield.recipe import PRESETS, Recipe
from shield.verify import Report, Verification, verify

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "BoundError",
    "FaceError",
    "InputError",
    "PhotoError",
    "Protection",
    "Recipe",
    "RecipeError",
    "Report",
    "SearchError",
    "ShieldError",
    "Verification",
    "WeightsError",
    "__version__",
    "protect",
    "verify",
]
