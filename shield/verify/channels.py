"""What the web does to a file, with the real codecs: RGB pixels (H, W, 3) in, pixels out, maybe of another size."""

from collections.abc import Callable
from functools import partial
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from shield.registry import Registry

Pixels = NDArray[np.uint8]
Channel = Callable[[Pixels], Pixels]

SOCIAL_SIDE, SOCIAL_QUALITY = 1080, 75
AS_SAVED = "none"

channels: Registry[Channel] = Registry("channel")


@channels.register(AS_SAVED)
def none(pixels: Pixels) -> Pixels:
    """The file as it was saved."""
    return pixels


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """A JPEG file of that quality, 4:2:0 as most of the web writes it."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file).convert("RGB"))


channels.register("jpeg90")(partial(jpeg, quality=90))
channels.register("jpeg75")(partial(jpeg, quality=75))
channels.register("jpeg50")(partial(jpeg, quality=50))


@channels.register("half")
def half(pixels: Pixels) -> Pixels:
    """Half size and back."""
    image = Image.fromarray(pixels)
    small = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)
    return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))


@channels.register("blur")
def blur(pixels: Pixels) -> Pixels:
    """Gaussian blur of one pixel."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1)))


@channels.register("social")
def social(pixels: Pixels) -> Pixels:
    """What a social network does: long side at most 1080 px, JPEG 75."""
    image = Image.fromarray(pixels)
    image.thumbnail((SOCIAL_SIDE, SOCIAL_SIDE), Image.Resampling.LANCZOS)
    return jpeg(np.asarray(image), SOCIAL_QUALITY)
