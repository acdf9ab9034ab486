"""The mark: every manipulated picture that shield shows or writes says that it is one."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

MARK = "simulated manipulation"

_font = ImageFont.load_default


def mark(pixels: NDArray[np.uint8]) -> Image.Image:
    """The picture with the words "simulated manipulation" across its foot."""
    image = Image.fromarray(pixels)
    band = max(13, image.height // 10)
    draw = ImageDraw.Draw(image, "RGBA")
    draw.rectangle((0, image.height - band, image.width, image.height), fill=(0, 0, 0, 170))
    size = band - 3.0
    while size > 6 and _font(size).getlength(MARK) > image.width - 4:
        size -= 0.5
    draw.text((image.width / 2, image.height - band / 2), MARK, fill=(255, 255, 255), font=_font(size), anchor="mm")
    return image
