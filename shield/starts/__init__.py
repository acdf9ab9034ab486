"""Starts: where a search begins. One file and one word here each."""

from shield.starts import protector, random, universal
from shield.starts.start import Start, starts

__all__ = ["Start", "protector", "random", "starts", "universal"]
