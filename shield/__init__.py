"""shield: protect a photo of a person against face-manipulation networks, and prove it on the saved file."""

from shield.attacks import attacks
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
from shield.pipeline import Protection, protect, protect_file
from shield.recipe import PRESETS, Recipe
from shield.surrogates import surrogates
from shield.training import recipes, train_model
from shield.verify import Report, Verification, verify
from shield.weights import WeightsEntry, check_weights, manifest

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
    "WeightsEntry",
    "WeightsError",
    "__version__",
    "attacks",
    "check_weights",
    "manifest",
    "protect",
    "protect_file",
    "recipes",
    "surrogates",
    "train_model",
    "verify",
]
