"""Surrogates: networks like those that will be pointed at the photo. One file and one word here each."""

from shield.surrogates import identity, stargan
from shield.surrogates.surrogate import Surrogate, load_surrogate, surrogates

__all__ = ["Surrogate", "identity", "load_surrogate", "stargan", "surrogates"]
