"""Lossy files: what comes out is what the real codec gives; the way back is linear, through what the file kept.

Rounding has no slope, so differentiable JPEGs replace it by a smooth curve (Shin and Song 2017; Reich et al. 2024,
arXiv 2309.06978): their picture is a little off, and their slope at a coefficient is anything between 0 and 3/4. Here
the picture is the codec's. The slope is 1 at a coefficient that the file holds and ``FAINT`` at one that it dropped, so
that the search puts its change where it will be kept.
"""

import io
import math
from collections.abc import Callable
from functools import lru_cache

import torch
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from torch import Generator, Tensor
from torch.nn import functional as F

from shield.channels.channel import Pixels
from shield.channels.sizes import shrunk
from shield.formats import pixels_of
from shield.photo import to_pixels, to_tensor

BLOCK, CHROMA_BLOCK = 8, 16  # px: of a cosine transform; of it where colours are held at half size
FAINT = 0.2
# JFIF's YCbCr: rows are Y, Cb, Cr of R, G, B.
YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def reopened(pixels: Pixels, format: str, **options: int | str) -> Pixels:
    """Pixels (H, W, 3) out of a file that Pillow writes with these options."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return pixels_of(Image.open(file).convert("RGB"))


@lru_cache
def _tables(quality: int) -> Tensor:
    """libjpeg's quantisation tables of luminance and chrominance, (2, 8, 8): rows are vertical frequencies."""
    file = io.BytesIO()
    Image.new("RGB", (BLOCK, BLOCK)).save(file, "JPEG", quality=quality)
    tables = JpegImageFile(io.BytesIO(file.getvalue())).quantization
    return torch.tensor([list(tables[i]) for i in (0, 1)], dtype=torch.float32).view(2, BLOCK, BLOCK)


@lru_cache
def _cosines() -> Tensor:
    """The orthonormal cosine transform (8, 8): rows are frequencies."""
    k, x = torch.arange(BLOCK)[:, None], torch.arange(BLOCK)[None]
    matrix = torch.cos(math.pi * (x + 0.5) * k / BLOCK) * math.sqrt(2 / BLOCK)
    matrix[0] /= math.sqrt(2)
    return matrix


def kept(plane: Tensor, table: Tensor) -> Tensor:
    """What a file keeps of planes (N, C, H, W) in levels, H and W multiples of 8: linear in the planes."""
    cosines = _cosines().to(plane)
    height, width = plane.shape[-2:]
    blocks = plane.reshape(-1, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(2, 3)
    coefficients = cosines @ blocks @ cosines.T
    with torch.no_grad():
        weights = torch.where((coefficients / table.to(plane)).abs() < 0.5, FAINT, 1.0)
    blocks = cosines.T @ (weights * coefficients) @ cosines
    return blocks.transpose(2, 3).reshape(plane.shape)


def stand_in(picture: Tensor, quality: int, halved: bool = True) -> Tensor:
    """Pictures (N, 3, H, W) in [0, 1], H and W multiples of 16, as a JPEG would keep them, but for rounding.

    ``halved``: colours are held at half size (4:2:0).
    """
    matrix = torch.tensor(YCBCR).to(picture)
    tables = _tables(quality)
    planes = torch.einsum("ij,njhw->nihw", matrix, 255 * picture - 128)
    luminance = kept(planes[:, :1], tables[0])
    factor = 2 if halved else 1
    colours = kept(F.avg_pool2d(planes[:, 1:], factor), tables[1])
    colours = F.interpolate(colours, scale_factor=factor, mode="nearest")
    inverse = torch.linalg.inv(matrix)
    result = torch.einsum("ij,njhw->nihw", inverse, torch.cat([luminance, colours], dim=1))
    return (result + 128) / 255


class Codec:
    """``compress``: what a file of ``quality`` shows of pixels. ``factor``: the size at which the file holds the view.

    ``halved``: the file holds colours at half size.
    The grid of blocks falls anywhere: the view may begin anywhere in the photo, and whoever crops the photo moves it.
    """

    def __init__(
        self, compress: Callable[[Pixels, int], Pixels], quality: int, factor: float = 1.0, halved: bool = True
    ) -> None:
        self.compress, self.quality, self.factor, self.halved = compress, quality, factor, halved

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        view = shrunk(view, self.factor)
        left, top = torch.randint(CHROMA_BLOCK, (2,), generator=generator).tolist()
        height, width = view.shape[-2:]
        right, bottom = -(left + width) % CHROMA_BLOCK, -(top + height) % CHROMA_BLOCK
        padded = F.pad(view, (left, right, top, bottom), mode="replicate")
        linear = stand_in(padded, self.quality, self.halved)
        real = to_tensor(self.compress(to_pixels(padded.detach()), self.quality)).to(view.device)
        held = real + (linear - linear.detach())
        return held[..., top : top + height, left : left + width]
