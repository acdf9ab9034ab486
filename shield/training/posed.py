"""A face warped towards another expression: a crude picture of what a generator is asked for.

The landmarks move until the measures of ``shield.faces.expression`` are the target's, and the skin around them follows;
between parted lips it is dark. Teeth, wrinkles and cheeks are left to the generator.
"""

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from shield.faces.expression import conditions, lengths

BROWS, CORNERS = list(range(17, 27)), [48, 54]
UPPER_LIDS, LOWER_LIDS = [37, 38, 43, 44], [40, 41, 46, 47]
EYES = slice(36, 48)
UPPER_LIP, LOWER_LIP = [49, 50, 51, 52, 53, 61, 62, 63], [55, 56, 57, 58, 59, 65, 66, 67]
CHIN = list(range(6, 11))
INNER_LIPS = list(range(60, 68))
UPPER_SHARE = 0.2  # of a mouth's opening that the upper lip makes; the jaw makes the rest
LIFT = 0.35  # of the way that a corner of the mouth goes outwards, it goes up
REACH, LID_REACH = 0.045, 0.02  # of the side: how far around a landmark, or one of the eyes', skin follows it
STIFFNESS = 0.15  # pull of what has no landmark, towards staying where it is
# The landmark network tells less than a face does: of wider smiles and narrower eyes it sees but a part.
SEEN_IN_PART = (1.0, 1.6, 1.4, 4.0)
DARK, TEETH = (-0.75, -0.9, -0.88), (0.55, 0.48, 0.42)  # the inside of a mouth, RGB in [-1, 1]
BRIGHTEST = 0.8  # share of teeth in the widest smile
PLAIN = 0.4  # sum over the channels, on [-1, 1]: whoever looks sees the difference
AROUND = 3  # px
FINENESS = 4  # of the drawing of that inside, against the picture's pixels


def moved_points(points: Tensor, targets: Tensor) -> Tensor:
    """Landmarks (N, 68, 2) moved until their conditions are the targets (N, 4)."""
    asked = torch.tensor(SEEN_IN_PART) * (targets - conditions(points))
    opening, smile, brow, eye = lengths(points, asked).unbind(1)
    moved = points.clone()
    half = smile[:, None] / 2
    centre = points[:, CORNERS, 0].mean(1, keepdim=True)
    width = (points[:, CORNERS, 0] - centre).abs().mean(1, keepdim=True)
    outwards = (points[:, 48:, 0] - centre) / width.clamp(min=1e-3)  # on what is no face, corners may coincide
    moved[:, 48:, 0] += half * outwards
    moved[:, 48:, 1] -= LIFT * half * outwards.abs()
    for rows, way in (
        (BROWS, -brow),
        (UPPER_LIDS, -0.75 * eye),
        (LOWER_LIDS, 0.25 * eye),
        (UPPER_LIP, -UPPER_SHARE * opening),
        (LOWER_LIP, (1 - UPPER_SHARE) * opening),
        (CORNERS, 0.5 * (1 - UPPER_SHARE) * opening),
        (CHIN, 0.8 * (1 - UPPER_SHARE) * opening),
    ):
        moved[:, rows, 1] += way[:, None]
    return moved


def posed(faces: Tensor, points: Tensor, targets: Tensor) -> Tensor:
    """Faces (N, 3, s, s) in [-1, 1] with landmarks (N, 68, 2) in [0, 1] of the side, at the targets' expression."""
    moved = moved_points(points, targets)
    side = faces.shape[-1]
    axis = (torch.arange(side) + 0.5) / side
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)  # (s, s, 2): x, y
    away = torch.cdist(grid.view(1, -1, 2).expand(len(faces), -1, -1), moved)  # (N, s s, 68)
    reach = torch.full((points.shape[1],), REACH)
    reach[EYES] = LID_REACH  # lids move against each other, a few pixels apart
    pull = torch.exp(-(away / reach).square() / 2)
    field = pull @ (moved - points) / (pull.sum(2, keepdim=True) + STIFFNESS)
    source = 2 * (grid - field.view(len(faces), side, side, 2)) - 1
    warped = F.grid_sample(faces, source, padding_mode="reflection", align_corners=False)
    parted = _between_lips(moved, side) * _parting(points, moved)
    smile = BRIGHTEST * targets[:, 1].clamp(0, 1)[:, None, None, None]
    inside = torch.lerp(torch.tensor(DARK)[:, None, None], torch.tensor(TEETH)[:, None, None], smile)
    return torch.lerp(warped, inside, parted)


def where_changed(faces: Tensor, others: Tensor) -> Tensor:
    """Where two sets of faces (N, 3, s, s) differ to the eye, and a little around it: (N, 1, s, s) in [0, 1]."""
    apart = ((faces - others).abs().sum(1, keepdim=True) / PLAIN).clamp(max=1)
    spread = F.max_pool2d(apart, 2 * AROUND + 1, stride=1, padding=AROUND)
    soft = F.avg_pool2d(spread, 2 * AROUND + 1, stride=1, padding=AROUND, count_include_pad=False)
    return soft.clamp(max=1)  # a mean of ones may be a little more


def _between_lips(points: Tensor, side: int) -> Tensor:
    """1 between the inner lips, 0 elsewhere, (N, 1, side, side)."""
    masks = []
    for mouth in points[:, INNER_LIPS].tolist():
        mask = Image.new("L", (FINENESS * side,) * 2)
        ImageDraw.Draw(mask).polygon([(FINENESS * side * x, FINENESS * side * y) for x, y in mouth], fill=255)
        masks.append(np.asarray(mask.resize((side, side), Image.Resampling.BOX)))
    return torch.from_numpy(np.stack(masks)).float()[:, None] / 255


def _parting(before: Tensor, after: Tensor) -> Tensor:
    """How much of the gap between the lips is new, (N, 1, 1, 1): what was open already shows teeth of its own."""
    old, new = (points[:, 66, 1] - points[:, 62, 1] for points in (before, after))
    return ((new - old) / new.clamp(min=1e-6)).clamp(0, 1)[:, None, None, None]
