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
LEFT_EYE, RIGHT_EYE, MOUTH = slice(36, 42), slice(42, 48), slice(48, 60)


@dataclass(frozen=True, eq=False)
class FaceView:
    """A face in portrait framing.

    ``pixels``: RGB (SIZE, SIZE, 3) in [0, 1]. ``points``: the 68 landmarks (x, y) in px of it. ``native``: RGB (h, w, 3)
    in [0, 1], the upright rectangle around it at the photo's own pixels, which no resampling has touched.
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
        return self.lab[..., 0] / 100

    @cached_property
    def height(self) -> float:
        """From the eyes' middle to the mouth's, px: the measure of everything on a face."""
        eyes = (self.middle(LEFT_EYE) + self.middle(RIGHT_EYE)) / 2
        return max(1.0, float(np.linalg.norm(self.middle(MOUTH) - eyes)))

    def middle(self, part: slice) -> Outline:
        """The middle of some landmarks, (2,)."""
        mean: Outline = self.points[part].mean(0)
        return mean

    def moved(self, part: slice | Sequence[int], down: float, right: float = 0.0) -> Outline:
        """Landmarks moved by shares of the face's height."""
        shift = np.array([right, down], np.float32) * self.height
        moved: Outline = self.points[part] + shift
        return moved

    def inside(self, outline: Outline) -> Mask:
        """The pixels inside an outline."""
        mask: Mask = polygon2mask(self.light.shape, outline[:, ::-1] - 0.5)
        return mask

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
        chin = range(5, 12)
        return np.concatenate([self.moved(chin, 0.1), self.moved(chin, 0.4)[::-1]])

    @cached_property
    def cheek_outlines(self) -> tuple[Outline, Outline]:
        """Left and right cheek, under the eyes and beside the mouth."""
        left = [self.moved([41, 40], 0.2), self.points[[31]], self.points[[48]], self.moved([4], -0.05, 0.15)]
        right = [self.moved([47, 46], 0.2), self.points[[35]], self.points[[54]], self.moved([12], -0.05, -0.15)]
        for part, edge, way in ((left, 2, 0.15), (right, 14, -0.15)):
            part.append(self.moved([edge], 0.0, way))
        return np.concatenate(left), np.concatenate(right)
