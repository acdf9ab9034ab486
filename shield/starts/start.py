"""What a start is: the change that a search begins with."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from shield.carriers import Change
from shield.region import Region
from shield.registry import Registry


@dataclass(frozen=True)
class Start:
    """``change``: what it is over a region's working copy (1, 3, h, w) in [0, 1], in shares of the largest change that
    the bound allows and of the furthest that a point may move, both in [-1, 1]; None: drawn at random, as large as the
    attack asks for. It raises a ShieldError where it cannot be made.

    ``fitted_to``: the surrogates that it works against by itself, so that no report may call them unseen. ``levels``:
    the largest change that it was made for, under the mask that hides a change in texture; None: any, with or without.
    ``bends``: it has a warp of its own, so that none is searched for.
    """

    change: Callable[[Region, Tensor], Change] | None = None
    fitted_to: tuple[str, ...] = ()
    levels: int | None = None
    bends: bool = False


starts: Registry[Start] = Registry("start")
