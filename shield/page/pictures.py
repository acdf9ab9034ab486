"""Pictures inside HTML: small, with a text that says what they show."""

import base64
import html
from io import BytesIO

from PIL import Image

QUALITY = 88


def data_uri(image: Image.Image) -> str:
    """The picture as a JPEG inside an address."""
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def picture(image: Image.Image, text: str, longest: int | None = None) -> str:
    """An <img> with ``text`` as its alternative, at most ``longest`` px a side; its place is kept while it loads."""
    if longest is not None:
        image = image.copy()
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img src="{data_uri(image)}" {size} alt="{html.escape(text)}">'
