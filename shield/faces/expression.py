"""Four measures of an expression from the 68 landmarks, as continuous conditions for GANimation.

Landmarks are numbered as in iBUG 300-W: 17-26 brows, 36-47 eyes, 48-67 mouth. All lengths are divided by the distance
between the eyes' centres, so that size does not count; faces are upright, as framing makes them.
"""

import torch
from torch import Tensor

MEASURES = ("mouth opening", "smile width", "brow height", "eye opening")
# Of the training faces: a condition is the measure less the mean, over twice the deviation.
MEAN = (0.104, 0.846, 0.325, 0.111)
DEVIATION = (0.089, 0.094, 0.043, 0.011)
NOTICEABLE = 0.5  # of a condition: a smaller change of expression is not counted as asked for
LEFT_BROW, RIGHT_BROW, LEFT_EYE, RIGHT_EYE = slice(17, 22), slice(22, 27), slice(36, 42), slice(42, 48)


def measures(points: Tensor) -> Tensor:
    """The measures (N, 4) of landmarks (N, 68, 2) in any upright coordinates (x, y).

    mouth opening: between the inner lips, |62 - 66|. smile width: between the mouth's corners, |48 - 54|. brow height:
    how far the brows' mean (17-21, 22-26) lies above the eyes' mean (36-41, 42-47), mean of both sides. eye opening:
    mean of |37 - 41|, |38 - 40|, |43 - 47| and |44 - 46|. Each over the distance of the eyes' means.
    """

    def apart(a: int, b: int) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(points[:, a] - points[:, b], dim=1)
        return length

    eyes, brows = _means(points, LEFT_EYE, RIGHT_EYE), _means(points, LEFT_BROW, RIGHT_BROW)
    height = (eyes - brows).mean(0)[:, 1]  # y grows downwards
    opening = (apart(37, 41) + apart(38, 40) + apart(43, 47) + apart(44, 46)) / 4
    return torch.stack([apart(62, 66), apart(48, 54), height, opening], dim=1) / _eye_distance(points)


def _means(points: Tensor, *parts: slice) -> Tensor:
    """The middles of parts of faces, (parts, N, 2)."""
    return torch.stack([points[:, part].mean(1) for part in parts])


def _eye_distance(points: Tensor) -> Tensor:
    """Between the eyes' centres, (N, 1), in the points' units."""
    left, right = _means(points, LEFT_EYE, RIGHT_EYE)
    distance: Tensor = torch.linalg.vector_norm(left - right, dim=1, keepdim=True)
    return distance


def conditions(points: Tensor) -> Tensor:
    """The measures as conditions (N, 4), most of them within [-1, 1]."""
    mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
    return (measures(points) - mean.to(points)) / (2 * deviation.to(points))


def progress(before: Tensor, after: Tensor, target: Tensor) -> Tensor:
    """How far faces went from one expression to another: (N,), 0 not at all, 1 all the way. Conditions (N, 4) each.

    Along the measures that had to change by ``NOTICEABLE`` or more; where none had to, no face goes anywhere.
    """
    asked = target - before
    asked = asked * (asked.abs() >= NOTICEABLE)
    return ((after - before) * asked).sum(1) / asked.square().sum(1).clamp(min=NOTICEABLE**2)


def lengths(points: Tensor, change: Tensor) -> Tensor:
    """A change of conditions (N, 4) as changes of the measured lengths, in the units of the points (N, 68, 2)."""
    return change * 2 * torch.tensor(DEVIATION).to(points) * _eye_distance(points)
