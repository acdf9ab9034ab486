"""A face swap as the trade does it: the network, the tool around it, and the donors that a report swaps with."""

from shield.swap.canvas import Canvas
from shield.swap.network import SWAP, SwapNet, load_swap
from shield.swap.shipped import donor, donors
from shield.swap.tool import ALIGNER, Swapper, identity, pasted, repainted, shipped_swap, swap

__all__ = [
    "ALIGNER",
    "SWAP",
    "Canvas",
    "SwapNet",
    "Swapper",
    "donor",
    "donors",
    "identity",
    "load_swap",
    "pasted",
    "repainted",
    "shipped_swap",
    "swap",
]
