"""What the web does to photos: figures and codecs. Channels (real) and transforms (differentiable) agree on them."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shield.formats import pixels_of

Pixels = NDArray[np.uint8]

JPEG_QUALITIES = (90, 75, 50)
WEBP_QUALITY = 75
BLUR_SIGMA = 1.0  # px
HALF, SCREENSHOT = 0.5, 0.75  # of the size
SOCIAL_SIDE, SOCIAL_QUALITY = 1080, 75  # px of the long side, at most; JPEG
SHIFT, SCALE, TURN = 0.04, 0.08, 4.0  # of a frame that found the face elsewhere: of its side, of its size, degrees


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Pixels (H, W, 3) out of a JPEG file of that quality, 4:2:0 as most of the web writes it."""
    return _reopened(pixels, "JPEG", quality=quality, subsampling="4:2:0")


def webp(pixels: Pixels, quality: int) -> Pixels:
    """Pixels (H, W, 3) out of a WebP file of that quality."""
    return _reopened(pixels, "WEBP", quality=quality)


def _reopened(pixels: Pixels, format: str, **options: int | str) -> Pixels:
    file = BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    with Image.open(file) as image:
        return pixels_of(image)
