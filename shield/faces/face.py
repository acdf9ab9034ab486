"""A face in a photo and where a template's frame lies around it."""

from dataclasses import dataclass, replace

import numpy as np

from shield.faces.templates import (
    PORTRAIT,
    PORTRAIT_POINTS,
    Matrix,
    Point,
    Template,
    as_points,
    similarity,
    transformed,
)


@dataclass(frozen=True)
class Face:
    """A face found in a photo.

    ``box``: left, top, right, bottom in px. ``points``: eyes, nose, mouth corners as (x, y) in px; "left" is left in
    the picture when the face is upright. ``score``: [0, 1], of the detector. ``aligner``: who found it; "" of a face
    that nobody had to find. ``doubt``: why the points may be wrong, in a sentence's words; "" where nothing says so.
    Pixel coordinates have their origin at the outer corner of the first pixel, whose centre is (0.5, 0.5).
    """

    box: tuple[float, float, float, float]
    points: tuple[Point, ...]
    score: float = 1.0
    aligner: str = ""
    doubt: str = ""

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def side(self) -> float:
        """Side of the portrait framing in px of the photo."""
        return side_of(crop_matrix(self))

    @property
    def tilt(self) -> float:
        """How far the face is turned clockwise in the picture, degrees in (-180, 180]."""
        (a, _, _), (b, _, _) = crop_matrix(self)
        return float(np.degrees(np.arctan2(b, a)))

    @property
    def eye_distance(self) -> float:
        """Between the eyes, px."""
        return float(np.hypot(*np.subtract(self.points[1], self.points[0])))

    @property
    def framed(self) -> tuple[Point, ...]:
        """The points in fractions of the portrait framing, which they fit by least squares alone."""
        return as_points(transformed(inverse(crop_matrix(self)), np.array(self.points)))

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

    def mapped(self, matrix: Matrix) -> "Face":
        """The same face in the picture that a similarity (2, 3) takes this one to; its box stays upright."""
        left, top, right, bottom = self.box
        corners = transformed(matrix, np.array([(left, top), (right, top), (left, bottom), (right, bottom)]))
        (x0, y0), (x1, y1) = corners.min(0).tolist(), corners.max(0).tolist()
        return replace(self, box=(x0, y0, x1, y1), points=as_points(transformed(matrix, np.array(self.points))))

    def reframed(self, shift: tuple[float, float], scale: float, degrees: float) -> "Face":
        """The face for whoever frames it elsewhere: shifted by shares of the frame's side, scaled and turned."""
        cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
        turned = (PORTRAIT_POINTS - 0.5) @ np.array([(cosine, sine), (-sine, cosine)]) + 0.5 + shift
        return replace(self, points=as_points(transformed(crop_matrix(self), turned)))


def crop_matrix(face: Face, template: Template = PORTRAIT) -> Matrix:
    """The (2, 3) matrix from fractions of the template's frame to px of the photo, by least squares."""
    return similarity(template.points, face.points)


def inverse(matrix: Matrix) -> Matrix:
    """The (2, 3) matrix that leads back."""
    back: Matrix = np.linalg.inv(np.vstack([matrix, (0, 0, 1)]))[:2]
    return back


def side_of(matrix: Matrix) -> float:
    """Side in px of the frame that a matrix from fractions to px is of."""
    return float(np.hypot(*matrix[:, 0]))


def distance(one: Face, other: Face) -> float:
    """Between the points of two faces that are furthest apart, in eye distances of the second one's frame."""
    apart = np.hypot(*np.subtract(one.points, other.points).T).max()
    return float(apart / (side_of(crop_matrix(other)) * PORTRAIT.eye_distance))


def whole_picture(width: int, height: int) -> Face:
    """The picture as one region: a face whose portrait framing is the square around the picture's longer side."""
    side = max(width, height)
    points = PORTRAIT_POINTS * side + ((width - side) / 2, (height - side) / 2)
    return Face((0.0, 0.0, float(width), float(height)), as_points(points))
