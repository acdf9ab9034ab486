"""WebP files. The search's way back is that of a JPEG of the same quality: both keep what a cosine transform keeps."""

from functools import partial

from shield.channels.channel import Channel, Pixels, channels
from shield.channels.codec import Codec, reopened

QUALITY = 75


def webp(pixels: Pixels, quality: int) -> Pixels:
    """Pixels (H, W, 3) out of a WebP file of that quality."""
    return reopened(pixels, "WEBP", quality=quality)


channels.register(f"webp{QUALITY}")(
    Channel(f"WebP {QUALITY}", partial(webp, quality=QUALITY), lambda view: Codec(webp, QUALITY))
)
