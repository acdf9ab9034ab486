"""The file as it was saved: nothing happens to it."""

from torch import Generator, Tensor

from shield.channels.channel import Channel, Pixels, channels

AS_SAVED = "none"


def unchanged(pixels: Pixels) -> Pixels:
    """The same pixels."""
    return pixels


class AsSaved:
    """The same view."""

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        return view


channels.register(AS_SAVED)(Channel("saving", unchanged, lambda view: AsSaved()))
