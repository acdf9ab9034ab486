"""A screenshot: shown smaller on a screen and captured without loss."""

from functools import partial

from PIL import Image

from shield.channels.channel import Channel, Pixels, channels
from shield.channels.sizes import Resize, resized
from shield.formats import pixels_of

SHOWN = 0.75  # of the size


def screenshot(pixels: Pixels) -> Pixels:
    """Pixels (H, W, 3) as a screen shows them, smaller."""
    return pixels_of(resized(Image.fromarray(pixels), SHOWN))


channels.register("screenshot")(Channel("a screenshot", screenshot, partial(Resize, SHOWN)))
