"""A face in a photo and the similarity transform that frames it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

# Where the portrait framing puts the eyes, nose and mouth corners ("left" is left in the picture): fractions of the
# crop, close to FFHQ's and to CelebA's 178-px centre crop.
PORTRAIT_POINTS = np.array([(0.385, 0.475), (0.615, 0.475), (0.500, 0.605), (0.405, 0.715), (0.595, 0.715)])


@dataclass(frozen=True)
class Framing:
    """A square crop: ``side`` of the portrait framing's, its centre moved down by ``down`` of that framing's side."""

    side: float = 1.0
    down: float = 0.0


PORTRAIT = Framing()


@dataclass(frozen=True)
class Face:
    """A face found in a photo.

    ``box``: left, top, right, bottom in px. ``points``: eyes, nose, mouth corners as (x, y) in px. ``score``: [0, 1].
    Pixel coordinates have their origin at the outer corner of the first pixel, whose centre is (0.5, 0.5).
    """

    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...]
    score: float = 1.0

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def side(self) -> float:
        """Side of the portrait framing in px of the photo."""
        (a, b), _ = similarity(np.array(self.points))
        return float(np.hypot(a, b))

    def moved(self, left: float, top: float) -> "Face":
        """The same face in the crop of the photo that starts at (left, top)."""
        x0, y0, x1, y1 = self.box
        points = tuple((x - left, y - top) for x, y in self.points)
        return replace(self, box=(x0 - left, y0 - top, x1 - left, y1 - top), points=points)

    def scaled(self, horizontal: float, vertical: float | None = None) -> "Face":
        """The same face in the photo resized by these factors."""
        v = horizontal if vertical is None else vertical
        x0, y0, x1, y1 = self.box
        points = tuple((x * horizontal, y * v) for x, y in self.points)
        return replace(self, box=(x0 * horizontal, y0 * v, x1 * horizontal, y1 * v), points=points)

    def reframed(self, shift: tuple[float, float], scale: float, degrees: float) -> "Face":
        """The face for whoever frames it elsewhere: shifted by shares of the frame's side, scaled and turned."""
        cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
        turned = (PORTRAIT_POINTS - 0.5) @ np.array([(cosine, sine), (-sine, cosine)]) + 0.5 + shift
        matrix = crop_matrix(self)
        return replace(self, points=tuple((float(x), float(y)) for x, y in turned @ matrix[:, :2].T + matrix[:, 2]))


def similarity(points: NDArray[np.float64]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Least-squares similarity from portrait fractions to px: ((a, b), (tx, ty)).

    A fraction (u, v) of the crop lies at x = a u - b v + tx, y = b u + a v + ty of the photo.
    """
    u, v = PORTRAIT_POINTS.T
    zero, one = np.zeros_like(u), np.ones_like(u)
    rows = np.concatenate([np.stack([u, -v, one, zero], 1), np.stack([v, u, zero, one], 1)])
    a, b, tx, ty = np.linalg.lstsq(rows, np.concatenate([points[:, 0], points[:, 1]]), rcond=None)[0]
    return (float(a), float(b)), (float(tx), float(ty))


def crop_matrix(face: Face, framing: Framing = PORTRAIT) -> NDArray[np.float64]:
    """The (2, 3) matrix from fractions of the crop in ``framing`` to px of the photo."""
    (a, b), (tx, ty) = similarity(np.array(face.points))
    portrait = np.array([(a, -b, tx), (b, a, ty), (0, 0, 1)])
    corner = 0.5 - framing.side / 2
    crop = np.array([(framing.side, 0, corner), (0, framing.side, corner + framing.down), (0, 0, 1)])
    matrix: NDArray[np.float64] = (portrait @ crop)[:2]
    return matrix


def whole_picture(width: int, height: int) -> Face:
    """The picture as one region: a face whose portrait framing is the square around the picture's longer side."""
    side = max(width, height)
    points = PORTRAIT_POINTS * side + ((width - side) / 2, (height - side) / 2)
    return Face((0.0, 0.0, float(width), float(height)), tuple((float(x), float(y)) for x, y in points))
