"""shield: protect a photo of a person against face-manipulation networks, and prove it on the saved file."""

from shield.attacks import attacks
from shield.batch import protect_file
from shield.bounds import bounds
from shield.channels import channels
from shield.detection import Reason, Verdict, detect, detectors, flaws
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
from shield.faces import Face, Framing
from shield.objectives import objectives
from shield.outline import outline
from shield.photo import WRITABLE, Photo, open_photo
from shield.pipeline import protect
from shield.quality import Quality, evaluate_models
from shield.recipe import CLASSES, PLAIN, PRESETS, ROBUST, STARTS, Recipe
from shield.results import Protection
from shield.spelling import command_line, python_lines
from shield.surrogates import Surrogate, families, import_model, register_surrogate, remove_model, surrogates
from shield.training import recipes, train_model
from shield.verify import Manipulation, Plan, Report, Verification, find_faces, verify
from shield.weights import ImportedEntry, WeightsEntry, check_weights, imported_models, manifest

__version__ = "0.1.0"

__all__ = [
    "CLASSES",
    "PLAIN",
    "PRESETS",
    "ROBUST",
    "STARTS",
    "WRITABLE",
    "BoundError",
    "Face",
    "FaceError",
    "Framing",
    "ImportedEntry",
    "InputError",
    "Manipulation",
    "Photo",
    "PhotoError",
    "Plan",
    "Protection",
    "Quality",
    "Reason",
    "Recipe",
    "RecipeError",
    "Report",
    "SearchError",
    "ShieldError",
    "Surrogate",
    "Verdict",
    "Verification",
    "WeightsEntry",
    "WeightsError",
    "__version__",
    "attacks",
    "bounds",
    "channels",
    "check_weights",
    "command_line",
    "detect",
    "detectors",
    "evaluate_models",
    "families",
    "find_faces",
    "flaws",
    "import_model",
    "imported_models",
    "manifest",
    "objectives",
    "open_photo",
    "outline",
    "protect",
    "protect_file",
    "python_lines",
    "recipes",
    "register_surrogate",
    "remove_model",
    "surrogates",
    "train_model",
    "verify",
]
