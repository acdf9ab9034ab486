"""Transforms: what the web does to a photo, for a search to climb through. One file and one word here each."""

from shield.transforms import blur, codec, noise, reframe, resize
from shield.transforms.codec import Codec
from shield.transforms.transform import (
    AS_SAVED,
    AsSaved,
    Chain,
    Transform,
    View,
    check_transform,
    load_transform,
    transforms,
)

__all__ = [
    "AS_SAVED",
    "AsSaved",
    "Chain",
    "Codec",
    "Transform",
    "View",
    "blur",
    "check_transform",
    "codec",
    "load_transform",
    "noise",
    "reframe",
    "resize",
    "transforms",
]
