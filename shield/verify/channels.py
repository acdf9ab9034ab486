"""What the web does to a file, with the real codecs: RGB pixels (H, W, 3) in, pixels out, maybe of another size."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from PIL import Image, ImageFilter

from shield.formats import pixels_of
from shield.registry import Registry
from shield.verify import framing
from shield.web import (
    BLUR_SIGMA,
    HALF,
    JPEG_QUALITIES,
    SCREENSHOT,
    SOCIAL_QUALITY,
    SOCIAL_SIDE,
    WEBP_QUALITY,
    Pixels,
    jpeg,
    webp,
)

AS_SAVED = "none"


@dataclass(frozen=True)
class Channel:
    """``apply``: what happens to the pixels.

    ``frame``: where the manipulator takes the faces of the original from. ``of_part``: what happens to pixels that are
    part of a photo with the given long side, where that counts.
    """

    apply: Callable[[Pixels], Pixels]
    frame: framing.Frame = framing.as_known
    of_part: Callable[[Pixels, int], Pixels] | None = None

    def within(self, long_side: int) -> "Channel":
        """The same for parts of a photo with this long side."""
        of_part = self.of_part
        return self if of_part is None else replace(self, apply=lambda pixels: of_part(pixels, long_side))


channels: Registry[Channel] = Registry("channel")


def unchanged(pixels: Pixels) -> Pixels:
    """The file as it was saved."""
    return pixels


def _resized(image: Image.Image, factor: float) -> Image.Image:
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def half(pixels: Pixels) -> Pixels:
    """Half size and back."""
    image = Image.fromarray(pixels)
    return pixels_of(_resized(image, HALF).resize(image.size, Image.Resampling.BICUBIC))


def screenshot(pixels: Pixels) -> Pixels:
    """Shown smaller on a screen and captured without loss."""
    return pixels_of(_resized(Image.fromarray(pixels), SCREENSHOT))


def blur(pixels: Pixels) -> Pixels:
    """Gaussian blur of one pixel."""
    return pixels_of(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(BLUR_SIGMA)))


def social(pixels: Pixels, long_side: int | None = None) -> Pixels:
    """What a social network does to a photo with this long side, or to all of one: at most 1080 px, JPEG 75."""
    factor = min(1.0, SOCIAL_SIDE / (long_side or max(pixels.shape[:2])))
    image = Image.fromarray(pixels)
    return jpeg(pixels_of(_resized(image, factor)), SOCIAL_QUALITY)


channels.register(AS_SAVED)(Channel(unchanged))
for _quality in JPEG_QUALITIES:
    channels.register(f"jpeg{_quality}")(Channel(partial(jpeg, quality=_quality)))
channels.register(f"webp{WEBP_QUALITY}")(Channel(partial(webp, quality=WEBP_QUALITY)))
channels.register("half")(Channel(half))
channels.register("blur")(Channel(blur))
channels.register("social")(Channel(social, of_part=social))
channels.register("screenshot")(Channel(screenshot))
channels.register("aligned")(Channel(unchanged, framing.aligned))
channels.register("found")(Channel(unchanged, framing.found))
channels.register("reframed")(Channel(unchanged, framing.reframed))
