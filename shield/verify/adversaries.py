"""The other side: what somebody does to a protected photo before manipulating it, so that it may work after all.

Ruiz et al. 2020 (arXiv 2003.01279) name blur; feature squeezing brings the median and fewer bits (Xu et al. 2018, arXiv
1704.01155), Dziugaite et al. 2016 (arXiv 1608.00853) JPEG, and Buades et al. 2005 the non-local means. An adversary
takes RGB pixels (H, W, 3) of uint8 and returns pixels of the same shape.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from skimage import restoration  # what it holds is loaded when it is used

from shield.channels import Pixels
from shield.channels.blur import blur
from shield.channels.half import half
from shield.channels.jpeg import jpeg
from shield.region import Region
from shield.registry import Registry

GRID = 16  # px: JPEG works in squares of this side, where colour is kept at half size
MARGIN = 2 * GRID  # px: nothing further away reaches a pixel that is cleaned
BITS = 4
PATCH, SEARCH, STRENGTH = 5, 6, 0.8  # px, px to all sides, share of the noise: scikit-image's own example
LEAST_NOISE = 12**-0.5 / 255  # what rounding to 8 bits leaves in every photo

adversaries: Registry[Callable[[Pixels], Pixels]] = Registry("adversary")


def median(pixels: Pixels, size: int) -> Pixels:
    """The median of every channel over squares of ``size`` px."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(size)))


def fewer_bits(pixels: Pixels, bits: int) -> Pixels:
    """Every value rounded to one of 2**bits levels, from 0 to 255."""
    width = 255 / (2**bits - 1)
    levels: Pixels = np.rint(np.rint(np.arange(256) / width) * width).astype(np.uint8)
    return levels[pixels]


def noise_of(picture: NDArray[Any]) -> float:
    """The standard deviation of the noise in a picture (H, W, 3) in [0, 1], from its finest wavelets."""
    if not np.ptp(picture, axis=(0, 1)).all():  # scikit-image has no answer for a channel of one value
        return LEAST_NOISE
    return max(LEAST_NOISE, float(restoration.estimate_sigma(picture, average_sigmas=True, channel_axis=-1)))


def non_local_means(pixels: Pixels) -> Pixels:
    """Denoised by the mean of patches that look alike. How much noise there is, is estimated on the very pixels."""
    picture = pixels.astype(np.float32) / 255
    sigma = noise_of(picture)
    patches = {"patch_size": PATCH, "patch_distance": SEARCH, "fast_mode": True, "channel_axis": -1}
    clean: Pixels = restoration.denoise_nl_means(picture, h=STRENGTH * sigma, sigma=sigma, **patches)
    return np.rint(255 * clean).clip(0, 255).astype(np.uint8)


for _sigma in (1.5, 3.0):
    adversaries.register(f"blur {_sigma:g}")(partial(blur, sigma=_sigma))
for _size in (3, 5):
    adversaries.register(f"median {_size}")(partial(median, size=_size))
for _quality in (50, 30):
    adversaries.register(f"JPEG {_quality}")(partial(jpeg, quality=_quality))
adversaries.register("half size")(half)
adversaries.register(f"{BITS} bits")(partial(fewer_bits, bits=BITS))
adversaries.register("non-local means")(non_local_means)


def cleaned(pixels: Pixels, regions: Sequence[Region], clean: Callable[[Pixels], Pixels]) -> Pixels:
    """The photo with its face regions as ``clean`` leaves them. What is far from every face costs nothing."""
    result = pixels.copy()
    for region in regions:
        rows, columns = _around(region.top, region.bottom), _around(region.left, region.right)
        part = clean(pixels[rows, columns])
        top, left = region.top - rows.start, region.left - columns.start
        result[region.box] = part[top : top + region.height, left : left + region.width]
    return result


def on_regions(regions: Sequence[Region]) -> dict[str, Callable[[Pixels], Pixels]]:
    """What every adversary does to a photo with these face regions."""
    return {name: partial(cleaned, regions=regions, clean=clean) for name, clean in adversaries.items()}


def _around(first: int, last: int) -> slice:
    """From ``first`` to ``last`` with the margin: from the whole photo's grid on, an even number of px."""
    return slice(max(0, first - MARGIN) // GRID * GRID, (last + MARGIN + 1) // 2 * 2)
