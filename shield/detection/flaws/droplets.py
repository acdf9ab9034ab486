"""Blobs on the skin: the droplets of the first StyleGAN (Karras et al. 2020, arXiv 1912.04958, section 2)."""

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from shield.detection.flaws.flaw import NOTHING, Flaw, Measurement, flaws
from shield.detection.view import (
    BROWS,
    LEFT_BROW,
    LEFT_EYE,
    MOUTH,
    NOSE,
    RIGHT_BROW,
    RIGHT_EYE,
    FaceView,
    Mask,
    Outline,
)

SIZES = (1.6, 2.4)  # px: sigmas of the blobs
SURROUND = 1.9  # times as wide: what a blob stands out from
INWARDS, APART = 3, 5  # px from the skin's edge, and from eyes, brows, nose and mouth
FEWEST = 50  # px


def measure(view: FaceView) -> Measurement:
    """How far the brightest blob on plain skin stands out, as a share of white."""
    skin = plain_skin(view)
    if skin.sum() < FEWEST:
        return Measurement(NOTHING, view.face_outline)
    blobs = [gaussian_filter(view.light, size) - gaussian_filter(view.light, SURROUND * size) for size in SIZES]
    heights = np.where(skin, np.max([blob - np.median(blob[skin]) for blob in blobs], axis=0), -1)
    row, column = np.unravel_index(heights.argmax(), heights.shape)
    return Measurement(float(heights.max()), _around(float(column), float(row)))


def plain_skin(view: FaceView) -> Mask:
    """Face and forehead without what stands out by nature."""
    whole = view.inside(view.face_outline) | view.inside(
        np.concatenate([view.points[BROWS], view.moved(BROWS, -0.35)[::-1]])
    )
    brows = [np.concatenate([view.points[part], view.moved(part, 0.12)[::-1]]) for part in (LEFT_BROW, RIGHT_BROW)]
    parts = [view.points[part] for part in (LEFT_EYE, RIGHT_EYE, MOUTH, NOSE)]
    features = np.any([view.inside(outline) for outline in (*brows, *parts)], axis=0)
    skin: Mask = binary_erosion(whole, iterations=INWARDS) & ~binary_dilation(features, iterations=APART)
    return skin


def _around(x: float, y: float) -> Outline:
    """A square around a place."""
    reach = SURROUND * SIZES[-1]
    return np.array([x, y], np.float32) + reach * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32)


flaws.register("droplets")(Flaw(measure, 0.142, 0.03, "A blob like a drop of water lies on the skin.", reliable=False))
