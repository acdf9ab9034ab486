"""From a photo to a face crop, with gradients, and back: anti-aliased, for faces of any size."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from shield.faces.face import Face, crop_matrix, side_of
from shield.faces.templates import PORTRAIT, Template, transformed
from shield.photo import shrink, to_levels, to_unit

OVERSAMPLING = 2  # samples per output px and direction, averaged: rotation stays smooth and nothing aliases


def warp(photo: Tensor, face: Face, size: int, template: Template = PORTRAIT) -> Tensor:
    """A face in a template's frame: photo (N, 3, H, W) to crop (N, 3, size, size) in [0, 1], with gradients back.

    Where the crop is finer than needed the photo is first shrunk with an anti-aliasing filter; beyond the photo's
    border the picture is reflected. The photo is in [0, 1] or in levels (uint8): of a large one these take less memory.
    """
    samples = OVERSAMPLING * size
    height, width = photo.shape[-2:]
    frame = crop_matrix(face, template)
    scale = samples / side_of(frame)
    small = max(1, round(height * scale)), max(1, round(width * scale))
    photo = shrink(photo, small) if scale < 1 else to_unit(photo)
    # grid_sample wants the photo's own coordinates in [-1, 1], whatever its resolution.
    matrix = torch.from_numpy(frame).to(photo)
    steps = (torch.arange(samples, device=photo.device, dtype=photo.dtype) + 0.5) / samples
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    x, y = (matrix @ torch.stack([u, v, torch.ones_like(u)]).flatten(1)).reshape(2, samples, samples)
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=-1).expand(len(photo), -1, -1, -1)
    fine = F.grid_sample(photo, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return F.avg_pool2d(fine, OVERSAMPLING)


def cut(pixels: NDArray[np.uint8], face: Face, size: int, template: Template = PORTRAIT) -> Tensor:
    """The same of a photo's pixels (H, W, 3), of which it looks only at those around the frame: (1, 3, size, size)."""
    corners = transformed(crop_matrix(face, template), np.array([(0, 0), (1, 0), (0, 1), (1, 1)]))
    last = np.array(pixels.shape[1::-1]) - 1
    left, top = np.clip(np.floor(corners.min(0)), 0, last).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corners.max(0)) - 1, (left, top), last).astype(int).tolist()
    levels = to_levels(pixels[top : bottom + 1, left : right + 1])
    return warp(levels, face.moved(left, top), size, template)


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
