"""From a photo to its faces: detection, framing, differentiable crops, landmarks."""

from shield.faces.centerface import detect, find_again
from shield.faces.face import PORTRAIT, PORTRAIT_POINTS, Face, Framing, crop_matrix, whole_picture
from shield.faces.sampling import place, warp

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
    "whole_picture",
]
