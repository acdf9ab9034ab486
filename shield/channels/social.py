"""A social network: photos are scaled down to what it shows, then saved as JPEG."""

from PIL import Image

from shield.channels.channel import Channel, Pixels, View, channels
from shield.channels.codec import Codec
from shield.channels.jpeg import jpeg
from shield.channels.sizes import resized
from shield.formats import pixels_of

SIDE, QUALITY = 1080, 75  # px of the long side, at most; of the JPEG


def social(pixels: Pixels, long_side: int | None = None) -> Pixels:
    """What such a network shows of pixels (H, W, 3), which are a photo or part of one with this long side."""
    factor = min(1.0, SIDE / (long_side or max(pixels.shape[:2])))
    return jpeg(pixels_of(resized(Image.fromarray(pixels), factor)), QUALITY)


def _stand_in(view: View) -> Codec:
    return Codec(jpeg, QUALITY, min(1.0, SIDE / view.long_side) / view.scale)


channels.register("social")(Channel("a social network", social, _stand_in, of_part=social))
