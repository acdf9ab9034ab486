"""From one template's frame to another's, for batches of faces that lie in one framing, on any device."""

from functools import lru_cache

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from shield.faces.templates import Template, similarity
from shield.frames import FRAMES


@lru_cache
def between(seen: Template, wanted: Template) -> Tensor:
    """The matrix (2, 3) for ``affine_grid`` that frames by one template a picture that is framed by another."""
    matrix = torch.from_numpy(similarity(wanted.points, seen.points))
    turn, shift = matrix[:, :2], matrix[:, 2]
    return torch.cat([turn, (turn.sum(1) + 2 * shift - 1)[:, None]], dim=1).float()


def around(frame: Tensor, count: int, random: Generator, mirrored: bool = True) -> Tensor:
    """Matrices (count, 2, 3) of frames around one (2, 3), drawn as tools' frames differ; ``mirrored``: half of them."""
    shift, scale, turn, flip = (2 * torch.rand(count, n, generator=random) - 1 for n in (2, 1, 1, 1))
    angle, scale = torch.deg2rad(FRAMES.turn * turn), 1 + FRAMES.scale * scale
    cosine, sine, side = scale * angle.cos(), scale * angle.sin(), flip.sign() if mirrored else torch.ones_like(flip)
    columns = torch.cat([side * cosine, side * sine], 1), torch.cat([-sine, cosine], 1), 2 * FRAMES.shift * shift
    matrices = frame[:, :2] @ torch.stack(columns, 2)
    matrices[:, :, 2] += frame[:, 2]
    return matrices


def reframed(pictures: Tensor, matrices: Tensor, size: int, padding: str = "reflection") -> Tensor:
    """Pictures (N, 3, s, s) in the frames of matrices (N, 2, 3) or one (2, 3) for all: (N, 3, size, size).

    ``padding``: what is seen beside a picture, as ``grid_sample`` calls it.
    """
    matrices = matrices.to(pictures).expand(len(pictures), 2, 3)
    grid = F.affine_grid(matrices, [len(pictures), 3, size, size], align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode=padding, align_corners=False)
