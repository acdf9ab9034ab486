"""From one template's frame to another's, for batches of faces that lie in one framing, on any device."""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.faces.templates import Template, similarity


@lru_cache
def between(seen: Template, wanted: Template) -> Tensor:
    """The matrix (2, 3) for ``affine_grid`` that frames by one template a picture that is framed by another."""
    matrix = torch.from_numpy(similarity(wanted.points, seen.points))
    turn, shift = matrix[:, :2], matrix[:, 2]
    return torch.cat([turn, (turn.sum(1) + 2 * shift - 1)[:, None]], dim=1).float()


def reframed(pictures: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, s, s) in the frames of matrices (N, 2, 3) or one (2, 3) for all: (N, 3, size, size)."""
    matrices = matrices.to(pictures).expand(len(pictures), 2, 3)
    grid = F.affine_grid(matrices, [len(pictures), 3, size, size], align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
