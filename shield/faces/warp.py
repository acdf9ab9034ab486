"""From a photo to a face crop, with gradients, and back: anti-aliased, for faces of any size."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
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
    grid = _grid(photo, crop_matrix(face, framing), samples, width, height).expand(len(photo), -1, -1, -1)
    fine = F.grid_sample(photo, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return F.avg_pool2d(fine, OVERSAMPLING)



def _grid(photo: Tensor, matrix: NDArray[np.float64], samples: int, width: int, height: int) -> Tensor:
    """Where in the photo the samples of a crop lie, (1, samples, samples, 2), as grid_sample wants it.

    That is in [-1, 1] whatever the photo's resolution. ``matrix``: from fractions of the crop to px of the photo.
    """
    steps = (torch.arange(samples, device=photo.device, dtype=photo.dtype) + 0.5) / samples
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    corners = torch.from_numpy(matrix).to(photo) @ torch.stack([u, v, torch.ones_like(u)]).flatten(1)
    x, y = corners.reshape(2, samples, samples)
    return torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=-1)[None]


def place(crop: Tensor, face: Face, height: int, width: int) -> Tensor:
    """The way back: a portrait crop (N, C, s, s) to where the face lies in a photo, (N, C, height, width); 0 around it.

    Where the face is smaller than the crop, the crop is first shrunk with an anti-aliasing filter.
    """
    side = max(1, round(OVERSAMPLING * face.side))
    if side < crop.shape[-1]:
        crop = F.interpolate(crop, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    # From the photo's own coordinates in [-1, 1] to px, to fractions of the crop, to the crop's in [-1, 1].
    photo = np.array([(width / 2, 0, width / 2), (0, height / 2, height / 2), (0, 0, 1)])
    framed = np.linalg.inv(np.vstack([crop_matrix(face), (0, 0, 1)])) @ photo
    matrix = torch.from_numpy(2 * framed[:2] - [(0, 0, 1), (0, 0, 1)]).to(crop).expand(len(crop), -1, -1)
    size = [*crop.shape[:2], OVERSAMPLING * height, OVERSAMPLING * width]
    grid = F.affine_grid(matrix, size, align_corners=False)
    fine = F.grid_sample(crop, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return F.avg_pool2d(fine, OVERSAMPLING)


def warp_frames(photo: Tensor, faces: Sequence[Face], size: int, framing: Framing = PORTRAIT) -> Tensor:
    """One face of a photo (1, 3, H, W) in several frames, (N, 3, size, size): as ``warp``, at the cost of one photo.

    The photo is shrunk once, for the mean of the frames' sizes.
    """
    height, width = photo.shape[-2:]
    samples = OVERSAMPLING * size
    scale = samples * len(faces) / sum(face.side * framing.side for face in faces)
    small = max(1, round(height * scale)), max(1, round(width * scale))
    photo = shrink(photo, small) if scale < 1 else to_unit(photo)
    grids = torch.cat([_grid(photo, crop_matrix(face, framing), samples, width, height) for face in faces])
    expanded = photo.expand(len(faces), -1, -1, -1)
    fine = F.grid_sample(expanded, grids, mode="bilinear", padding_mode="reflection", align_corners=False)
    return F.avg_pool2d(fine, OVERSAMPLING)
