"""Surrogates: networks like those that will be pointed at the photo. One file and one word here each."""

from shield.surrogates import cyclegan, identity, stargan
from shield.surrogates.imported import import_model, remove_model
from shield.surrogates.own import register_surrogate
from shield.surrogates.published import families
from shield.surrogates.shipped import manipulators
from shield.surrogates.surrogate import Surrogate, load_surrogate, load_surrogates, surrogates

__all__ = [
    "Surrogate",
    "cyclegan",
    "families",
    "identity",
    "import_model",
    "load_surrogate",
    "load_surrogates",
    "manipulators",
    "register_surrogate",
    "remove_model",
    "stargan",
    "surrogates",
]
