"""The skin ratio: how much busier a change makes smooth skin, where wrinkles and rings age a face by years.

LPIPS hardly minds them. Root mean square of the lightness between 2 and 10 px of a face of 512 px, where the original
is smooth, over the same of the original: 1 where nothing changed, above 1 for new texture, below 1 where skin is
smoothed. And stains, which are too broad for that: ripples and blotches on a forehead, a redrawn nose.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.faces import Face, place
from shield.masking import LUMINANCE, blur

SIDE = 512  # px of the aligned face to which the pixel figures here belong
FINE, COARSE = 1.0, 5.0  # px: sigmas between which texture is seen
AROUND = 8.0  # px: sigma over which the original's texture is averaged
CENTRE, RADII = (0.5, 0.57), (0.2, 0.25)  # of the face in portrait framing: an ellipse from brows to chin
WHOLE_CENTRE, WHOLE_RADII = (0.5, 0.52), (0.26, 0.36)  # the same from hair to chin
BROAD = 2.0  # px: sigma from which a change of colour is a stain
BUSY = 1.0  # lightness, root mean square: texture beside which a change is seen half as well
RIM = 0.04  # of the frame's side: around the oval
SMOOTH = 0.5  # share of the ellipse, the smoothest places, that counts as smooth


class Skin:
    """Made for aligned faces (N, 3, s, s) in [0, 1], in portrait framing; remembers where they are smooth."""

    def __init__(self, face: Tensor) -> None:
        self.scale = face.shape[-1] / SIDE
        squares = self._texture(face).square()
        nearby = blur(squares, AROUND * self.scale)
        inside = _ellipse(face, CENTRE, RADII)
        lines = nearby[:, 0, inside[0, 0]].quantile(SMOOTH, dim=1)
        self.smooth = (inside & (nearby <= lines[:, None, None, None])).to(face)
        self.before = self._mean(squares).clamp(min=1e-12)

    def ratio(self, face: Tensor) -> Tensor:
        """Of changed faces of the originals' shape: differentiable, (N,)."""
        return (self._mean(self._texture(face).square()) / self.before).clamp(min=1e-12).sqrt()

    def _mean(self, squares: Tensor) -> Tensor:
        return (squares * self.smooth).sum((1, 2, 3)) / self.smooth.sum((1, 2, 3))

    def _texture(self, face: Tensor) -> Tensor:
        weights = torch.tensor(LUMINANCE).to(face)[None, :, None, None]
        lightness = (face * weights).sum(1, keepdim=True)
        return blur(lightness, FINE * self.scale) - blur(lightness, COARSE * self.scale)


def stains(before: Tensor, after: Tensor) -> Tensor:
    """How far the colours of faces changed where eyes are not busy with texture: differentiable, (N,).

    Root mean square over the face, where a place counts the less the more texture the original has there. Both are the
    aligned faces in colours of which differences count, such as ``flip.perceived`` gives: (N, 3, s, s).
    """
    scale = before.shape[-1] / SIDE
    lightness = before[:, :1]
    texture = blur((lightness - blur(lightness, COARSE * scale)).square(), AROUND * scale)
    weights = _ellipse(before, WHOLE_CENTRE, WHOLE_RADII) / (1 + texture / BUSY**2)
    change = blur(after - before, BROAD * scale).square().sum(1, keepdim=True)
    return ((weights * change).sum((1, 2, 3)) / weights.sum((1, 2, 3))).clamp(min=1e-12).sqrt()


def oval(face: Face, photo: Tensor) -> Tensor:
    """Which pixels of a photo (1, 3, H, W) show the face, from hair to chin, (1, 1, H, W)."""
    inside = _ellipse(photo.new_empty(1, 1, SIDE, SIDE), WHOLE_CENTRE, WHOLE_RADII).to(photo)
    return place(inside, face, *photo.shape[-2:]) > 0.5


def widened_oval(face: Face, photo: Tensor) -> Tensor:
    """The same with a rim around it and a soft edge: 1 in the face, 0 well outside of it, (1, 1, H, W)."""
    rim = round(RIM * face.side)
    wide = F.max_pool2d(oval(face, photo).to(photo), 2 * rim + 1, stride=1, padding=rim)
    return blur(wide, RIM / 2 * face.side)


def _ellipse(face: Tensor, centre: tuple[float, float], radii: tuple[float, float]) -> Tensor:
    """Which pixels of the face lie inside, (1, 1, s, s)."""
    steps = (torch.arange(face.shape[-1], device=face.device) + 0.5) / face.shape[-1]
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    inside: Tensor = ((x - centre[0]) / radii[0]).square() + ((y - centre[1]) / radii[1]).square() < 1
    return inside[None, None]
