"""Transforms: what the web does to a photo, for a search to climb through. One file and one word here each."""

from shield.transforms import blur, codec, found, noise, reframe, resize
from shield.transforms.codec import Codec
from shield.transforms.transform import (
    AS_SAVED,
    AsSaved,
    Chain,
    Find,
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
    "Find",
    "Transform",
    "View",
    "blur",
    "check_transform",
    "codec",
    "found",
    "load_transform",
    "noise",
    "reframe",
    "resize",
    "transforms",
]
