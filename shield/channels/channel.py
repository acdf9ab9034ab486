"""What a channel is: something that the web does to a photo on its way, in one place for search and verification.

Verification sends the saved file through the real thing. A search climbs through its stand-in, which has gradients: the
expectation over channels is that of Athalye et al. 2018 (arXiv 1707.07397).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Generator, Tensor

from shield.registry import Registry

Pixels: TypeAlias = NDArray[np.uint8]

# (1, 3, H, W) in [0, 1] to the same content in [0, 1], of any size, with gradients. All random numbers come from the
# generator.
Transform: TypeAlias = Callable[[Tensor, Generator], Tensor]

JOINED = "+"
AGREEMENT = 30.0  # dB: the picture of a stand-in has at least this PSNR to the real one's (a contract test)


@dataclass(frozen=True)
class View:
    """What a search looks at: part of a photo, perhaps scaled down. ``scale``: its px per px of the photo.

    ``long_side``: of the whole photo, px.
    """

    scale: float
    long_side: int


@dataclass(frozen=True)
class Channel:
    """One thing that happens to photos.

    ``words``: what it is, for people, as it stands behind "after". ``apply``: the real thing, on RGB pixels (H, W, 3),
    to pixels that may be of another size. ``stand_in``: the same for a search that looks at a view of the photo.
    ``only_searched``: no file is sent through it in verification, unless that is asked for by name. ``of_part``: what
    happens to pixels that are part of a photo with the given long side, where that counts.
    """

    words: str
    apply: Callable[[Pixels], Pixels]
    stand_in: Callable[[View], Transform]
    only_searched: bool = False
    of_part: Callable[[Pixels, int], Pixels] | None = None

    def within(self, long_side: int) -> Callable[[Pixels], Pixels]:
        """The real thing for parts of a photo with this long side."""
        of_part = self.of_part
        return self.apply if of_part is None else lambda pixels: of_part(pixels, long_side)


channels: Registry[Channel] = Registry("channel")


def load_channel(name: str) -> Channel:
    """The channel of that name; "half+jpeg75" is the one, then the other. Raises RecipeError for an unknown name."""
    parts = [channels[part] for part in name.split(JOINED)]
    return parts[0] if len(parts) == 1 else _chained(parts)


def verified() -> tuple[str, ...]:
    """The names of the channels that a protected file is sent through."""
    return tuple(name for name, channel in channels.items() if not channel.only_searched)


def _chained(parts: Sequence[Channel]) -> Channel:
    """One after the other. Each stand-in is made for the view that goes into the first."""
    return Channel(
        " and ".join(part.words for part in parts),
        lambda pixels: reduce(lambda sent, part: part.apply(sent), parts, pixels),
        lambda view: Chain([part.stand_in(view) for part in parts]),
        any(part.only_searched for part in parts),
        lambda pixels, long_side: reduce(lambda sent, part: part.within(long_side)(sent), parts, pixels),
    )


class Chain:
    """One transform after the other."""

    def __init__(self, parts: Sequence[Transform]) -> None:
        self.parts = parts

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        for part in self.parts:
            view = part(view, generator)
        return view
