"""How the checks see a face: upright, at one size, with its landmarks and the parts of it that they compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.draw import polygon2mask

SIZE = 128  # px: side of the view, for which the checks' thresholds hold

Floats: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Outline: TypeAlias = NDArray[np.float32]  # (N, 2): corners (x, y) in px of the view

JAW, BROWS, LEFT_BROW, RIGHT_BROW = slice(0, 17), slice(17, 27), slice(17, 22), slice(22, 27)
CHIN, NOSE = slice(4, 13), slice(27, 36)
LEFT_EYE, RIGHT_EYE, MOUTH = slice(36, 42), slice(42, 48), slice(48, 60)


@dataclass(frozen=True, eq=False)
class FaceView:
    """A face in portrait framing.

    ``pixels``: RGB (SIZE, SIZE, 3) in [0, 1]. ``points``: the 68 landmarks (x, y) in px of it. ``native``: RGB
    (h, w, 3) in [0, 1], the upright rectangle around it in the photo's own pixels, which no resampling has touched.
    """

    pixels: Floats
    points: Floats
    native: Floats

    @cached_property
    def lab(self) -> Floats:
        """CIE L*a*b*, (SIZE, SIZE, 3)."""
        converted: Floats = rgb2lab(self.pixels)
        return converted

    @cached_property
    def light(self) -> Floats:
        """Luminance L* as a share of white, (SIZE, SIZE)."""
        return (self.lab[..., 0] / 100).astype(np.float32)

    @cached_property
    def height(self) -> float:
        """From the eyes' middle to the mouth's, px: the measure of everything on a face."""
        eyes = (self.middle(LEFT_EYE) + self.middle(RIGHT_EYE)) / 2
        return max(1.0, float(np.linalg.norm(self.middle(MOUTH) - eyes)))

    def middle(self, part: slice) -> Outline:
        """The middle of some landmarks, (2,)."""
        mean: Outline = self.points[part].mean(0)
        return mean

    def moved(self, part: slice, down: float) -> Outline:
        """Landmarks moved down by a share of the face's height."""
        moved: Outline = self.points[part] + np.array([0, down * self.height], np.float32)
        return moved

    def inside(self, outline: Outline) -> Mask:
        """The pixels inside an outline."""
        mask: Mask = polygon2mask(self.light.shape, outline[:, ::-1] - 0.5)
        return mask

    @cached_property
    def frame_outline(self) -> Outline:
        """All of the view."""
        height, width = self.light.shape
        return np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)

    @cached_property
    def face_outline(self) -> Outline:
        """Jaw and brows: what face swaps replace."""
        return np.concatenate([self.points[JAW], self.points[BROWS][::-1]])

    @cached_property
    def forehead_outline(self) -> Outline:
        """A band above the brows."""
        return np.concatenate([self.moved(BROWS, -0.14), self.moved(BROWS, -0.42)[::-1]])

    @cached_property
    def neck_outline(self) -> Outline:
        """A band under the chin."""
        chin = slice(5, 12)
        return np.concatenate([self.moved(chin, 0.1), self.moved(chin, 0.4)[::-1]])

    @cached_property
    def cheek_outlines(self) -> tuple[Outline, Outline]:
        """Left and right cheek, under the eyes and beside the mouth."""
        return self._cheek((41, 40, 31, 48, 4, 2), 0.15), self._cheek((47, 46, 35, 54, 12, 14), -0.15)

    def _cheek(self, corners: Sequence[int], inwards: float) -> Outline:
        """From the lower lid by the nose and the mouth's corner to the jaw, whose edge is left out."""
        shifts = np.array([(0, 0.2), (0, 0.2), (0, 0), (0, 0), (inwards, -0.05), (inwards, 0)], np.float32)
        outline: Outline = self.points[list(corners)] + shifts * self.height
        return outline
