"""What lies where in a face, as label maps: drawn from its 68 landmarks, for editors that paint by a mask.

Landmarks are numbered as in iBUG 300-W, in fractions of the side of a face that stands upright in portrait framing.
They end at the brows: the forehead is half an ellipse on top of the jaw.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.faces.expression import DEVIATION

CLASSES = ("background", "skin", "nose", "eyes", "brows", "lips", "mouth")  # a later one covers the earlier ones
JAW, BRIDGE, NOSTRILS = slice(0, 17), slice(27, 28), slice(31, 36)
BROWS = slice(17, 22), slice(22, 27)
EYES = slice(36, 42), slice(42, 48)
LIPS, MOUTH = slice(48, 60), slice(60, 68)
FOREHEAD = 1.2  # distances between the eyes: so far above the jaw's ends the hair begins
ARC = 8  # parts of the forehead's half ellipse
BROW_ABOVE, BROW_BELOW = 0.04, 0.08  # of the distance between the eyes: a brow, about the line of its landmarks

UPPER_LIP, LOWER_LIP = (slice(49, 54), slice(61, 64)), (slice(55, 60), slice(65, 68))
CORNERS, CHIN = (slice(48, 49), slice(54, 55), slice(60, 61), slice(64, 65)), (slice(6, 11),)
UPPER_SHARE, CHIN_SHARE = 0.2, 0.65  # of a mouth's opening: by the upper lip, and how far the chin goes down
LIFT = 0.6  # of the way that the mouth's corners go outwards, they go up


@dataclass(frozen=True)
class Move:
    """A change of expression, in distances between the eyes' centres.

    ``opening``: of the mouth; ``smile``: how far each of its corners goes outwards; ``brows``: how far they rise. A
    number each, or one per face, (N, 1).
    """

    opening: float | Tensor = 0.0
    smile: float | Tensor = 0.0
    brows: float | Tensor = 0.0

    @property
    def conditions(self) -> tuple[float | Tensor, ...]:
        """How an expression's measures change, as conditions: one of each of ``shield.faces.expression.MEASURES``."""
        lengths = self.opening, 2 * self.smile, self.brows, 0.0
        return tuple(length / (2 * deviation) for length, deviation in zip(lengths, DEVIATION, strict=True))


def moved(points: Tensor, move: Move) -> Tensor:
    """Landmarks (N, 68, 2) after the move."""
    unit, result = eye_distance(points), points.clone()
    left, right = points[:, 48:49, 0], points[:, 54:55, 0]
    centre, half = (left + right) / 2, (right - left).abs() / 2
    outwards = ((points[:, 48:, 0] - centre) / half.clamp(min=1e-3)).clamp(-1, 1)
    result[:, 48:, 0] += move.smile * unit * outwards
    result[:, 48:, 1] -= LIFT * move.smile * unit * outwards.square()
    lower = 1 - UPPER_SHARE
    for parts, way in (
        (BROWS, -move.brows),
        (UPPER_LIP, -UPPER_SHARE * move.opening),
        (LOWER_LIP, lower * move.opening),
        (CORNERS, lower * move.opening / 2),
        (CHIN, CHIN_SHARE * move.opening),
    ):
        for rows in parts:
            result[:, rows, 1] += way * unit
    return result


def eye_distance(points: Tensor) -> Tensor:
    """Between the eyes' centres, (N, 1), in the units of the points (N, 68, 2)."""
    left, right = (points[:, eye].mean(1) for eye in EYES)
    distance: Tensor = torch.linalg.vector_norm(left - right, dim=1, keepdim=True)
    return distance


def face_masks(points: Tensor, side: int) -> Tensor:
    """Masks (N, len(CLASSES), side, side) of landmarks (N, 68, 2) in fractions of the side: a 1 per pixel, else 0."""
    unit = eye_distance(points)
    layers = (
        ("skin", (_outline(points, unit),)),
        ("nose", (torch.cat([points[:, BRIDGE], points[:, NOSTRILS]], dim=1),)),
        ("eyes", tuple(points[:, eye] for eye in EYES)),
        ("brows", tuple(_brow(points[:, brow], unit) for brow in BROWS)),
        ("lips", (points[:, LIPS],)),
        ("mouth", (points[:, MOUTH],)),
    )
    numbers = torch.zeros(len(points), side, side, dtype=torch.long, device=points.device)
    for name, polygons in layers:
        for polygon in polygons:
            numbers.masked_fill_(inside(polygon, side), CLASSES.index(name))
    classes = torch.arange(len(CLASSES), device=points.device)
    return (numbers[:, None] == classes[:, None, None]).to(points.dtype)


def inside(polygons: Tensor, side: int) -> Tensor:
    """Whether the middles of pixels lie in polygons (N, V, 2), in fractions of the side: bool (N, side, side)."""
    axis = (torch.arange(side, device=polygons.device, dtype=polygons.dtype) + 0.5) / side
    (x, y), (next_x, next_y) = polygons.unsqueeze(3).unbind(2), polygons.roll(-1, 1).unsqueeze(3).unbind(2)
    crosses = (y <= axis) != (next_y <= axis)  # (N, V, side): which edges meet which rows of pixels
    rise = torch.where(next_y == y, torch.ones_like(y), next_y - y)
    where = x + (axis - y) * (next_x - x) / rise
    where = torch.where(crosses, where, torch.full_like(where, -torch.inf))
    # Whoever looks to the right from inside meets an odd number of edges.
    met = (where[..., None] > axis).sum(1, dtype=torch.int32)  # (N, side, side)
    return met % 2 == 1


def _outline(points: Tensor, unit: Tensor) -> Tensor:
    """The jaw, closed over the forehead: (N, V, 2)."""
    left, right = points[:, 0], points[:, 16]
    centre, across = (left + right) / 2, (right - left) / 2
    up = FOREHEAD * unit * F.normalize(centre - points[:, 8], dim=1)
    angles = torch.linspace(0, torch.pi, ARC + 1, device=points.device, dtype=points.dtype)[1:-1, None]
    arc = centre[:, None] + angles.cos() * across[:, None] + angles.sin() * up[:, None]
    return torch.cat([points[:, JAW], arc], dim=1)


def _brow(line: Tensor, unit: Tensor) -> Tensor:
    """The line of a brow's landmarks (N, 5, 2) as thick as a brow: (N, 10, 2)."""
    down = torch.stack([torch.zeros_like(unit), unit], dim=2)
    return torch.cat([line - BROW_ABOVE * down, line.flip(1) + BROW_BELOW * down], dim=1)
