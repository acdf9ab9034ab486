"""A social network: photos are scaled down to what it shows, then saved as JPEG."""

import numpy as np
from PIL import Image

from shield.channels.channel import Channel, Pixels, View, channels
from shield.channels.codec import Codec
from shield.channels.jpeg import jpeg

SIDE, QUALITY = 1080, 75  # px of the long side, at most; of the JPEG


def social(pixels: Pixels) -> Pixels:
    """Pixels (H, W, 3) as such a network shows them."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return jpeg(np.asarray(image), QUALITY)


def _stand_in(view: View) -> Codec:
    return Codec(jpeg, QUALITY, min(1.0, SIDE / view.long_side) / view.scale)


channels.register("social")(Channel("a social network", social, _stand_in))
