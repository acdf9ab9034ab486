"""What a photo's file holds beside plain pixels: depth, colour, frames, metadata. For photo.py alone."""

from shield.formats.container import Container, ended, opened
from shield.formats.decoding import Decoded, decoded, pixels_of

__all__ = ["Container", "Decoded", "decoded", "ended", "opened", "pixels_of"]
