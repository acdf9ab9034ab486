"""JPEG files, 4:2:0 as most of the web writes them."""

from functools import partial

from shield.channels.channel import Channel, Pixels, channels
from shield.channels.codec import Codec, reopened

QUALITIES = (90, 75, 50)


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Pixels (H, W, 3) out of a JPEG file of that quality."""
    return reopened(pixels, "JPEG", quality=quality, subsampling="4:2:0")


def of_quality(quality: int) -> Channel:
    """The channel that saves as a JPEG of that quality."""
    return Channel(f"JPEG {quality}", partial(jpeg, quality=quality), lambda view: Codec(jpeg, quality))


for _quality in QUALITIES:
    channels.register(f"jpeg{_quality}")(of_quality(_quality))
