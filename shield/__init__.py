"""shield: protect a photo of a person against face-manipulation networks, and prove it on the saved file."""

from shield import privacy
from shield.attacks import attacks as ATTACKS
from shield.batch import Outcome, each_photo, protect_file
from shield.bounds import bounds as BOUNDS
from shield.channels import channels as CHANNELS
from shield.credentials import Claim, Credentials
from shield.detection import Reason, Verdict, detect
from shield.detection import detectors as DETECTORS
from shield.detection.flaws import flaws as FLAWS
from shield.doctor import Finding, examine
from shield.drawing import outline
from shield.errors import (
    BoundError,
    FaceError,
    InputError,
    PhotoError,
    ProcessError,
    RecipeError,
    SearchError,
    ShieldError,
    WeightsError,
    printable,
)
from shield.faces import Face, Framing
from shield.folders import protect_files
from shield.generators import import_generator
from shield.generators import layouts as LAYOUTS
from shield.objectives import objectives as OBJECTIVES
from shield.photo import WRITABLE, Photo, open_photo
from shield.pipeline import protect
from shield.quality import Quality, evaluate_models
from shield.recipe import CARRIERS, CLASSES, PIXELS_ALONE, PLAIN, PRESETS, ROBUST, Recipe
from shield.results import Protection, Saved
from shield.spelling import command_line, python_lines
from shield.starts import starts as STARTS
from shield.summary import Summary
from shield.surrogates import Surrogate, import_model, import_recogniser, register_surrogate, remove_model
from shield.surrogates import families as FAMILIES
from shield.surrogates import judges as JUDGES
from shield.surrogates import surrogates as SURROGATES
from shield.training import recipes as RECIPES
from shield.training import train_model
from shield.verify import EXTENTS as VERIFICATIONS
from shield.verify import Manipulation, Plan, Report, ShownSwap, Verification, find_faces, plan_of, verify_photo
from shield.weights import ImportedEntry, WeightsEntry, check_weights, imported_models, manifest

__version__ = "0.1.0"

__all__ = [
    "ATTACKS",
    "BOUNDS",
    "CARRIERS",
    "CHANNELS",
    "CLASSES",
    "DETECTORS",
    "FAMILIES",
    "FLAWS",
    "JUDGES",
    "LAYOUTS",
    "OBJECTIVES",
    "PIXELS_ALONE",
    "PLAIN",
    "PRESETS",
    "RECIPES",
    "ROBUST",
    "STARTS",
    "SURROGATES",
    "VERIFICATIONS",
    "WRITABLE",
    "BoundError",
    "Claim",
    "Credentials",
    "Face",
    "FaceError",
    "Finding",
    "Framing",
    "ImportedEntry",
    "InputError",
    "Manipulation",
    "Outcome",
    "Photo",
    "PhotoError",
    "Plan",
    "ProcessError",
    "Protection",
    "Quality",
    "Reason",
    "Recipe",
    "RecipeError",
    "Report",
    "Saved",
    "SearchError",
    "ShieldError",
    "ShownSwap",
    "Summary",
    "Surrogate",
    "Verdict",
    "Verification",
    "WeightsEntry",
    "WeightsError",
    "__version__",
    "check_weights",
    "command_line",
    "detect",
    "each_photo",
    "evaluate_models",
    "examine",
    "find_faces",
    "import_generator",
    "import_model",
    "import_recogniser",
    "imported_models",
    "manifest",
    "open_photo",
    "outline",
    "plan_of",
    "printable",
    "privacy",
    "protect",
    "protect_file",
    "protect_files",
    "python_lines",
    "register_surrogate",
    "remove_model",
    "train_model",
    "verify_photo",
]
