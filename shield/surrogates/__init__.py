"""Surrogates: networks like those that will be pointed at the photo. One file and one word here each."""

from shield.surrogates import cyclegan, ganimation, recognisers, spade, stargan
from shield.surrogates.hardening import hardened_name
from shield.surrogates.imported import RECOGNISER, import_model, import_recogniser, remove_model
from shield.surrogates.own import register_surrogate
from shield.surrogates.published import families
from shield.surrogates.recognisers import RECOGNISERS, STUDENTS
from shield.surrogates.selection import chosen
from shield.surrogates.surrogate import (
    Surrogate,
    hardened,
    judges,
    load_hardened,
    load_surrogate,
    load_surrogates,
    surrogates,
)

__all__ = [
    "RECOGNISER",
    "RECOGNISERS",
    "STUDENTS",
    "Surrogate",
    "chosen",
    "cyclegan",
    "families",
    "ganimation",
    "hardened",
    "hardened_name",
    "import_model",
    "import_recogniser",
    "judges",
    "load_hardened",
    "load_surrogate",
    "load_surrogates",
    "recognisers",
    "register_surrogate",
    "remove_model",
    "spade",
    "stargan",
    "surrogates",
]
