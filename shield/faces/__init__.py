"""From a photo to its faces: detection, framing, differentiable crops, landmarks."""

from shield.faces.detect import detect, find_again
from shield.faces.face import PORTRAIT, PORTRAIT_POINTS, Face, Framing, crop_matrix, whole_picture
from shield.faces.warp import place, warp, warp_frames

__all__ = [
    "PORTRAIT",
    "PORTRAIT_POINTS",
    "Face",
    "Framing",
    "crop_matrix",
    "detect",
    "find_again",
    "place",
    "warp",
    "warp_frames",
    "whole_picture",
]
