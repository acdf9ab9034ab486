"""Transforms: what the web does to a photo, for a search to climb through. One file and one word here each."""

from shield.transforms import blur, codec, noise, reframe, resize
from shield.transforms.transform import AS_SAVED, AsSaved, Transform, View, transforms

__all__ = ["AS_SAVED", "AsSaved", "Transform", "View", "blur", "codec", "noise", "reframe", "resize", "transforms"]
