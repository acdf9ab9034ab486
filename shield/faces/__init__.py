"""From a photo to its faces: finding them, templates and framing, differentiable crops, landmarks."""

from shield.faces.face import Face, crop_matrix, whole_picture
from shield.faces.finding import detect, find_again
from shield.faces.sampling import place, warp
from shield.faces.templates import PORTRAIT, PORTRAIT_POINTS, Framing, Template, similarity

__all__ = [
    "PORTRAIT",
    "PORTRAIT_POINTS",
    "Face",
    "Framing",
    "Template",
    "crop_matrix",
    "detect",
    "find_again",
    "place",
    "similarity",
    "warp",
    "whole_picture",
]
