"""What is seen of one face's change: the same figures for the file that is being fitted and for the report on it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from shield.bounds import LOUDEST, FaceLpips
from shield.faces import Face, warp
from shield.flip import flip
from shield.lpips import load_lpips
from shield.skin import Skin


@dataclass(frozen=True)
class Seen:
    """``lpips``: by side of the aligned face in px; ``face_lpips`` is the largest of them. ``flip``: the mean over the
    aligned face at its own size, and ``loudest``, the 99th percentile. ``skin``: the skin ratio.
    """

    face_lpips: float
    lpips: dict[int, float]
    flip: float
    loudest: float
    skin: float


class Visibility:
    """Made for an original (1, 3, h, w), levels or in [0, 1], that shows ``face``."""

    def __init__(self, original: Tensor, face: Face) -> None:
        self.face = face
        self.lpips = FaceLpips(load_lpips(original.device), original, face)
        self.before = warp(original, face, self.lpips.sizes[-1])
        self.skin = Skin(self.before)

    @torch.no_grad()
    def __call__(self, changed: Tensor) -> Seen:
        """Of a changed picture of the original's shape."""
        lpips = dict(zip(self.lpips.sizes, self.lpips.each(changed).tolist(), strict=True))
        after = warp(changed, self.face, self.lpips.sizes[-1])
        error = flip(self.before, after)
        loudest = float(error.flatten().quantile(LOUDEST))
        return Seen(max(lpips.values()), lpips, float(error.mean()), loudest, float(self.skin.ratio(after)))
