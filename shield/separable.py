"""Separable filters of a picture whose border is replicated, with gradients.

As products with band matrices: torch convolves a single channel by a long kernel ten times slower backwards, and a
search runs through such filters at every step.
"""

from functools import lru_cache

import torch
from torch import Tensor

Kernel = tuple[float, ...]  # of odd length, around its middle


def separable(image: Tensor, down: Kernel, right: Kernel) -> Tensor:
    """(N, C, H, W) filtered by the outer product of two kernels, the shape kept."""
    height, width = image.shape[-2:]
    kind = image.dtype, image.device
    return _band(down, height, *kind) @ image @ _band(right, width, *kind).T


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # it is kept, and may serve a search next
def _band(kernel: Kernel, length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(length, length): row by row what each sample is made of; the border is repeated beyond itself."""
    radius = len(kernel) // 2
    matrix, rows = torch.zeros(length, length, dtype=torch.float64), torch.arange(length)
    for offset, weight in zip(range(-radius, radius + 1), kernel, strict=True):
        columns = (rows + offset).clamp(0, length - 1)
        matrix.index_put_((rows, columns), torch.tensor(weight, dtype=torch.float64), accumulate=True)
    return matrix.to(device, dtype)
