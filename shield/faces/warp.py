"""The way from a photo to a face crop: differentiable and anti-aliased, for faces of any size."""

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.faces.face import PORTRAIT, Face, Framing, crop_matrix
from shield.photo import shrink, to_unit

OVERSAMPLING = 2  # samples per output px and direction, averaged: rotation stays smooth and nothing aliases


def warp(photo: Tensor, face: Face, size: int, framing: Framing = PORTRAIT) -> Tensor:
    """The crop of a face: photo (N, 3, H, W) to (N, 3, size, size) in [0, 1], with gradients back to the photo.

    Where the crop is finer than needed the photo is first shrunk with an anti-aliasing filter; beyond the photo's
    border the picture is reflected. The photo is in [0, 1] or in levels (uint8): of a large one these take less memory.
    """
    samples = OVERSAMPLING * size
    height, width = photo.shape[-2:]
    scale = samples / (face.side * framing.side)
    small = max(1, round(height * scale)), max(1, round(width * scale))
    photo = shrink(photo, small) if scale < 1 else to_unit(photo)
    # grid_sample wants the photo's own coordinates in [-1, 1], whatever its resolution.
    matrix = torch.from_numpy(crop_matrix(face, framing)).to(photo)
    steps = (torch.arange(samples, device=photo.device, dtype=photo.dtype) + 0.5) / samples
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    x, y = (matrix @ torch.stack([u, v, torch.ones_like(u)]).flatten(1)).reshape(2, samples, samples)
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=-1).expand(len(photo), -1, -1, -1)
    fine = F.grid_sample(photo, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return F.avg_pool2d(fine, OVERSAMPLING)
