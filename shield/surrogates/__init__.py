"""Surrogates: networks like those that will be pointed at the photo. One file and one word here each."""

from shield.surrogates import cyclegan, ganimation, identity, stargan
from shield.surrogates.hardening import hardened_name
from shield.surrogates.imported import import_model, remove_model
from shield.surrogates.own import register_surrogate
from shield.surrogates.published import families
from shield.surrogates.selection import chosen
from shield.surrogates.surrogate import (
    Surrogate,
    hardened,
    load_hardened,
    load_surrogate,
    load_surrogates,
    surrogates,
)

__all__ = [
    "Surrogate",
    "chosen",
    "cyclegan",
    "families",
    "ganimation",
    "hardened",
    "hardened_name",
    "identity",
    "import_model",
    "load_hardened",
    "load_surrogate",
    "load_surrogates",
    "register_surrogate",
    "remove_model",
    "stargan",
    "surrogates",
]
