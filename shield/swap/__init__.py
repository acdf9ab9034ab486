"""The face swap that verification makes: somebody else's picture with the face of the photo's person."""

from shield.swap.network import SWAP, SwapNet, load_swap

__all__ = ["SWAP", "SwapNet", "load_swap"]
