"""From a photo to a face crop, with gradients, and back: anti-aliased, for faces of any size."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from shield.faces.face import Face, crop_matrix, side_of
from shield.faces.templates import PORTRAIT, Matrix, Template, transformed
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
    grid = _grid(photo, frame, samples, width, height).expand(len(photo), -1, -1, -1)
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


def _grid(photo: Tensor, matrix: Matrix, samples: int, width: int, height: int) -> Tensor:
    """Where in the photo the samples of a crop lie, (1, samples, samples, 2), as grid_sample wants it.

    That is in [-1, 1] whatever the photo's resolution. ``matrix``: from fractions of the crop to px of the photo.
    """
    steps = (torch.arange(samples, device=photo.device, dtype=photo.dtype) + 0.5) / samples
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    corners = torch.from_numpy(matrix).to(photo) @ torch.stack([u, v, torch.ones_like(u)]).flatten(1)
    x, y = corners.reshape(2, samples, samples)
    return torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=-1)[None]


def place(crop: Tensor, face: Face, height: int, width: int, template: Template = PORTRAIT) -> Tensor:
    """The way back: a crop (N, C, s, s) to where its frame lies in a photo, (N, C, height, width); 0 around it.

    Where the frame is smaller than the crop, the crop is first shrunk with an anti-aliasing filter.
    """
    frame = crop_matrix(face, template)
    side = max(1, round(OVERSAMPLING * side_of(frame)))
    if side < crop.shape[-1]:
        crop = F.interpolate(crop, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    # From the photo's own coordinates in [-1, 1] to px, to fractions of the crop, to the crop's in [-1, 1].
    photo = np.array([(width / 2, 0, width / 2), (0, height / 2, height / 2), (0, 0, 1)])
    framed = np.linalg.inv(np.vstack([frame, (0, 0, 1)])) @ photo
    matrix = torch.from_numpy(2 * framed[:2] - [(0, 0, 1), (0, 0, 1)]).to(crop).expand(len(crop), -1, -1)
    size = [*crop.shape[:2], OVERSAMPLING * height, OVERSAMPLING * width]
    grid = F.affine_grid(matrix, size, align_corners=False)
    fine = F.grid_sample(crop, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return F.avg_pool2d(fine, OVERSAMPLING)


def warp_frames(photo: Tensor, faces: Sequence[Face], size: int, template: Template = PORTRAIT) -> Tensor:
    """One face of a photo (1, 3, H, W) in several frames, (N, 3, size, size): as ``warp``, at the cost of one photo.

    The photo is shrunk once, for the mean of the frames' sizes.
    """
    height, width = photo.shape[-2:]
    samples = OVERSAMPLING * size
    frames = [crop_matrix(face, template) for face in faces]
    scale = samples * len(frames) / sum(map(side_of, frames))
    small = max(1, round(height * scale)), max(1, round(width * scale))
    photo = shrink(photo, small) if scale < 1 else to_unit(photo)
    grids = torch.cat([_grid(photo, frame, samples, width, height) for frame in frames])
    expanded = photo.expand(len(faces), -1, -1, -1)
    fine = F.grid_sample(expanded, grids, mode="bilinear", padding_mode="reflection", align_corners=False)
    return F.avg_pool2d(fine, OVERSAMPLING)
