"""Peaks in the spectrum: the grid that up-sampling leaves (Zhang et al. 2019, arXiv 1907.06515)."""

import numpy as np
from scipy.ndimage import gaussian_filter, median_filter

from shield.detection.flaws.flaw import NOTHING, Flaw, Measurement, flaws
from shield.detection.view import FaceView

SMOOTH = 1.5  # px: coarser than this is picture
LOWEST = 0.2  # cycles per px: below, pictures have peaks of their own
AROUND = 9  # bins: a peak is held against the median of so many either way
SMALLEST, LARGEST = 48, 256  # px: of the part that is looked at


def measure(view: FaceView) -> Measurement:
    """The logarithm of the highest peak over its neighbours, in the photo's own pixels."""
    grey = 255 * view.native.mean(axis=2)
    top, left = (max(0, (side - LARGEST) // 2) for side in grey.shape)
    grey = grey[top : top + LARGEST, left : left + LARGEST]
    if min(grey.shape) < SMALLEST:
        return Measurement(NOTHING, view.frame_outline)
    height, width = grey.shape
    residual = (grey - gaussian_filter(grey, SMOOTH)) * np.outer(np.hanning(height), np.hanning(width))
    level = np.log1p(np.abs(np.fft.rfft2(residual)))
    peaks = level - median_filter(level, AROUND, mode="wrap")
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    return Measurement(float(peaks[frequency >= LOWEST].max()), view.frame_outline)


flaws.register("grid")(Flaw(measure, 2.46, 0.3, "A regular grid, such as up-sampling leaves, lies over the picture."))
