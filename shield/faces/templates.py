"""Alignment templates: where a tool's frame puts the eyes, the nose and the mouth's corners, and how faces get there.

A template is five points; a face is warped by the least-squares similarity between them and its own (Umeyama 1991).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from skimage.transform import SimilarityTransform

from shield.registry import Registry

Point: TypeAlias = tuple[float, float]
Points: TypeAlias = NDArray[np.float64]  # (N, 2), x and y
Matrix: TypeAlias = NDArray[np.float64]  # (2, 3)


@dataclass(frozen=True)
class Template:
    """A square frame around a face.

    ``points``: left eye, right eye, nose, left and right mouth corner as (x, y) in fractions of the frame's side.
    "Left" is left in the frame. (Tools that warp with OpenCV count px from the first one's centre, which shows the face
    half a px of the frame further right and down: less than what two aligners differ by, and left out here.)
    """

    name: str
    points: tuple[Point, ...]

    @property
    def eye_distance(self) -> float:
        """Between the eyes, in sides of the frame."""
        return float(np.hypot(*np.subtract(self.points[1], self.points[0])))

    def moved(self, name: str, scale: float, down: float) -> "Template":
        """The same five points, scaled about the frame's centre and then moved down by a share of its side."""
        points = 0.5 + scale * (np.array(self.points) - 0.5) + (0, down)
        return Template(name, as_points(points))


@dataclass(frozen=True)
class Framing(Template):
    """Portrait framing, or a square of it: ``side`` of its side, the centre moved ``down`` by a share of its side."""

    name: str = field(init=False, default="portrait")
    points: tuple[Point, ...] = field(init=False, repr=False)
    side: float = 1.0
    down: float = 0.0

    def __post_init__(self) -> None:
        corner = 0.5 - self.side / 2
        object.__setattr__(self, "points", as_points((PORTRAIT_POINTS - (corner, corner + self.down)) / self.side))


def as_points(points: Points) -> tuple[Point, ...]:
    """Points (N, 2) as the tuples that faces and templates hold."""
    return tuple((float(x), float(y)) for x, y in points)


def similarity(source: Points | Sequence[Point], target: Points | Sequence[Point]) -> Matrix:
    """The (2, 3) matrix of the least-squares similarity (scale, turn, shift) from points (N, 2) to points (N, 2).

    Raises ValueError where the points are all the same.
    """
    one, other = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if hasattr(SimilarityTransform, "from_estimate"):  # scikit-image 0.26 and later, where the other way warns
        fitted = SimilarityTransform.from_estimate(one, other)
        found = bool(fitted)
    else:
        fitted = SimilarityTransform(dimensionality=2)
        found = fitted.estimate(one, other)
    if not found:
        raise ValueError("no similarity fits points that are all the same")
    matrix: Matrix = np.asarray(fitted.params[:2], np.float64)
    return matrix


def transformed(matrix: Matrix, points: Points) -> Points:
    """Points (N, 2) where a matrix (2, 3) takes them."""
    return points @ matrix[:, :2].T + matrix[:, 2]


# Close to FFHQ's framing and to CelebA's 178-px centre crop; the networks of models/ were trained on it.
PORTRAIT_POINTS = np.array([(0.385, 0.475), (0.615, 0.475), (0.500, 0.605), (0.405, 0.715), (0.595, 0.715)])
PORTRAIT = Framing()

templates: Registry[Template] = Registry("template")


def _published(name: str, side: int, *points: Point) -> Template:
    """A template whose points were published in px of a frame of this side."""
    return templates.register(name)(Template(name, as_points(np.array(points) / side)))


templates.register("portrait")(PORTRAIT)
# Deng et al. 2019, "ArcFace" (arXiv 1801.07698), as insightface has it: before every recogniser of that kind.
ARCFACE = _published(
    "arcface_112",
    112,
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
# The same paper's earlier template; Chen et al. 2020, "SimSwap" (arXiv 2106.06340).
_published(
    "arcface_112_v1", 112, (39.730, 51.138), (72.270, 51.138), (56.000, 68.493), (42.463, 87.010), (69.537, 87.010)
)
# Karras et al. 2019, "FFHQ" (arXiv 1812.04948), as five points: face restorers and editors.
_published("ffhq_512", 512, (192.98, 239.95), (318.90, 240.19), (256.63, 314.02), (201.26, 371.41), (313.09, 371.15))
# DeepFaceLab's whole face.
_published("dfl_whole_face", 224, (79.17, 88.0), (140.67, 88.0), (109.0, 121.0), (87.0, 154.0), (134.0, 154.0))
# Those that are the ArcFace template on a larger canvas: its 112 px in the middle of the upper edge of 128, and about
# the same centre.
templates.register("arcface_128")(ARCFACE.moved("arcface_128", 112 / 128, -8 / 128))
templates.register("mtcnn_512")(ARCFACE.moved("mtcnn_512", 0.85, 0.0))
# dlib's recogniser: about the square that its own chip of 150 px shows.
templates.register("dlib_150")(Template("dlib_150", Framing(side=0.65, down=0.06).points))
