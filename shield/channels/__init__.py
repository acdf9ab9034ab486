"""Channels: what the web does to a photo. One file each: the real thing, its stand-in for a search, its words."""

# In the order in which reports show them.
from shield.channels import none, jpeg, webp, half, blur, social, screenshot, noise, spread_spectrum_blur  # isort: skip
from shield.channels.channel import AGREEMENT, Channel, Pixels, Transform, View, channels, load_channel, verified
from shield.channels.codec import Codec
from shield.channels.none import AS_SAVED, AsSaved
from shield.channels.roads import road

__all__ = [
    "AGREEMENT",
    "AS_SAVED",
    "AsSaved",
    "Channel",
    "Codec",
    "Pixels",
    "Transform",
    "View",
    "blur",
    "channels",
    "half",
    "jpeg",
    "load_channel",
    "noise",
    "none",
    "road",
    "screenshot",
    "social",
    "spread_spectrum_blur",
    "verified",
    "webp",
]
