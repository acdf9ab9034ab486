"""What is seen of one face's change: the same figures for the file that is being fitted and for the report on it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from shield.bounds import LOUDEST, FaceLpips
from shield.faces import Face, warp
from shield.flip import flip, perceived
from shield.irises import Irises
from shield.lpips import load_lpips
from shield.skin import Skin, stains


@dataclass(frozen=True)
class Seen:
    """``lpips``: by side of the aligned face in px; ``face_lpips`` is the largest of them. ``flip``: the mean over the
    aligned face at its own size, and ``loudest``, the 99th percentile. ``skin``: the skin ratio;
    ``stains``: how far colours changed in blotches; ``irises``: how far theirs did. Of a face that was bent all but
    LPIPS are of what was changed beyond that.
    """

    face_lpips: float
    lpips: dict[int, float]
    flip: float
    loudest: float
    skin: float
    stains: float
    irises: float


class Visibility:
    """Made for an original (1, 3, h, w), levels or in [0, 1], that shows ``face``."""

    def __init__(self, original: Tensor, face: Face) -> None:
        self.face = face
        self.lpips = FaceLpips(load_lpips(original.device), original, face)
        self.before = self._face(original)

    @torch.no_grad()
    def __call__(self, changed: Tensor, bent: Tensor | None = None) -> Seen:
        """Of a changed picture of the original's shape; ``bent``: the original as it was bent before, if it was."""
        lpips = dict(zip(self.lpips.sizes, self.lpips.each(changed).tolist(), strict=True))
        before, after = self.before if bent is None else self._face(bent), self._face(changed)
        error = flip(before, after)
        loudest = float(error.flatten().quantile(LOUDEST))
        skin, one, other = float(Skin(before).ratio(after)), perceived(before), perceived(after)
        broad, irises = float(stains(one, other)), float(Irises(one, self.face).change(other))
        return Seen(max(lpips.values()), lpips, float(error.mean()), loudest, skin, broad, irises)

    def _face(self, image: Tensor) -> Tensor:
        return warp(image, self.face, self.lpips.sizes[-1])
