"""A warp: every point of a face is taken from a little beside it, by a smooth flow.

Xiao et al. 2018, "Spatially Transformed Adversarial Examples" (arXiv 1801.02612). Nothing of it is seen on skin and
nothing can be cleaned off: a face recogniser goes by where things are, and eyes do not measure half a percent. What it
costs is likeness, so that it is held to a limit; the expression stays.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.carriers.expression import Expression
from shield.errors import SearchError

GRID = 16  # points of the flow across a region and down it
MOMENTUM = 0.8
FIRST, LAST = 0.38, 0.03  # steps in shares of the limit, root mean square
LARGEST_STEP = 2.0  # of that
STRIP = 256  # rows of a large picture that are bent at a time
Field: TypeAlias = tuple[tuple[tuple[float, ...], ...], ...]  # a flow as it stands in a report
Loss = Callable[[Tensor], Tensor]
Progress = Callable[[int, int, float], None]  # step, steps, value


@dataclass(frozen=True, eq=False)
class Flow:
    """``field``: (1, 2, GRID, GRID), how far to the right and down each point of a region is taken from, in sides of
    the face's frame. It is 0 at the region's edge. (N, 2, GRID, GRID) are the flows of many regions.
    """

    field: Tensor

    @classmethod
    def of(cls, numbers: Field) -> "Flow":
        """The flow with these numbers, which ``numbers`` gave. Raises ValueError for anything else."""
        field = torch.tensor(numbers, dtype=torch.float32)
        if field.shape != (2, GRID, GRID) or not field.isfinite().all():
            raise ValueError("no flow has these numbers")
        return cls(field[None])

    @property
    def numbers(self) -> Field:
        """The field for a report: [right, down][row][column]."""
        return tuple(tuple(tuple(row) for row in plane) for plane in self.field[0].tolist())

    @property
    def largest(self) -> float:
        """The furthest that anything moves, in sides of the frame."""
        return float(self.field.norm(dim=1).max())

    def scaled(self, factor: float) -> "Flow":
        """The same flow, so many times as strong."""
        return Flow(self.field * factor)

    def cpu(self) -> "Flow":
        """The same flow on the processor."""
        return Flow(self.field.cpu())

    def at(self, right: Tensor, down: Tensor) -> Tensor:
        """The flow at points in shares of the region, ``right`` (w,) by ``down`` (h,): (N, 2, h, w)."""
        y, x = torch.meshgrid(down, right, indexing="ij")
        points = (2 * torch.stack([x, y], dim=-1) - 1).expand(len(self.field), -1, -1, -1)
        return F.grid_sample(self.field.to(right), points, mode="bicubic", padding_mode="border", align_corners=False)


def bent(image: Tensor, flow: Flow, side: float) -> Tensor:
    """Regions (N, C, h, w), bent by a flow each; ``side``: of the face's frame, px. With gradients to both."""
    height, width = image.shape[-2:]
    right, down = ((torch.arange(size).to(image) + 0.5) / size for size in (width, height))
    strips = []
    for rows in down.split(STRIP):
        moved = flow.at(right, rows)
        x, y = right + moved[:, 0] * (side / width), rows[:, None] + moved[:, 1] * (side / height)
        points = 2 * torch.stack([x, y], dim=-1) - 1
        strips.append(F.grid_sample(image, points, mode="bicubic", padding_mode="border", align_corners=False))
    return torch.cat(strips, dim=2)


def search_flow(
    loss: Loss,
    picture: Tensor,
    share: Tensor,
    side: float,
    limit: float,
    steps: int,
    progress: Progress | None = None,
    landmarks: Tensor | None = None,
) -> Flow:
    """The flow of at most ``limit`` sides of the frame that climbs ``loss`` of a bent picture (1, 3, h, w) in [0, 1].

    ``share``: of the change that each pixel may take, (1, 1, h, w) in [0, 1]. ``landmarks``: the 68 of a face whose
    expression is to stay, (68, 2) in shares of the picture; None: there is no face. Steps follow the gradient with
    momentum, as it is: so a flow grows where it does most, and the rest of the face stays. Raises SearchError where the
    loss is not a number.
    """
    allowed = limit * at_grid(share)
    field = torch.zeros(1, 2, GRID, GRID).to(picture)
    total = torch.zeros_like(field)
    expression = None if landmarks is None else Expression(landmarks[None], allowed)
    for step in range(steps):
        leaf = field.clone().requires_grad_(True)
        value = loss(bent(picture, Flow(allowed * leaf), side).clamp(0, 1))
        (gradient,) = torch.autograd.grad(value, leaf)
        if not (torch.isfinite(value) and torch.isfinite(gradient).all()):
            raise SearchError("The search met a loss that is not a number; the photo was left as it is.")
        if progress is not None:
            progress(step, steps, value.item())
        total = MOMENTUM * total + gradient / gradient.abs().mean().clamp(min=1e-12)
        direction = (total / total.square().mean().sqrt().clamp(min=1e-12)).clamp(-LARGEST_STEP, LARGEST_STEP)
        field = field + _rate(step, steps) * direction
        field = field / field.norm(dim=1, keepdim=True).clamp(min=1)
        field = field if expression is None else expression.held(field)
    return Flow(allowed * field / field.norm(dim=1).amax().clamp(min=1))


def lent(flow: Flow, share: Tensor, limit: float, landmarks: Tensor | None = None) -> Flow:
    """Flows with fields (N, 2, GRID, GRID) in shares of ``limit``, as ``search_flow`` might have found them.

    ``share``, ``limit``: as there; ``landmarks``: of every face, (N, 68, 2).
    """
    allowed = limit * at_grid(share)
    field = flow.field / flow.field.norm(dim=1, keepdim=True).clamp(min=1)
    field = field if landmarks is None else Expression(landmarks, allowed).held(field)
    return Flow(allowed * field / field.norm(dim=1, keepdim=True).amax((2, 3), keepdim=True).clamp(min=1))


def _rate(step: int, steps: int) -> float:
    return LAST + (FIRST - LAST) * (1 + math.cos(math.pi * step / steps)) / 2


def at_grid(share: Tensor) -> Tensor:
    """The share at the points of a flow, (1, 1, GRID, GRID), and 0 around: at a region's edge nothing may move."""
    inner = F.interpolate(share, size=(GRID, GRID), mode="bilinear", antialias=True)
    return F.pad(inner[..., 1:-1, 1:-1], (1, 1, 1, 1))
