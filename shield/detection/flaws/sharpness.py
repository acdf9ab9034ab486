"""How sharp a part of a picture is, whatever it shows: the share of the finest details in all details."""

import numpy as np
from scipy.ndimage import gaussian_filter

from shield.detection.view import Floats, Mask

MIDDLE, COARSE = 1.2, 2.4  # px: the sigmas that part details


def details(light: Floats) -> tuple[Floats, Floats]:
    """Energy of the finest details and of the next coarser ones, (s, s) each."""
    middle, coarse = gaussian_filter(light, MIDDLE), gaussian_filter(light, COARSE)
    return np.square(light - middle), np.square(middle - coarse)


def sharpness(bands: tuple[Floats, Floats], mask: Mask) -> float:
    """The logarithm of fine over coarser details inside the mask."""
    fine, coarser = (float(band[mask].sum()) for band in bands)
    return float(np.log((fine + 1e-6) / (coarser + 1e-6)))
