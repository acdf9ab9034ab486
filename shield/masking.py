"""What eyes forgive: how much each pixel may change.

A change hides in hair, edges and texture and shows on smooth skin, walls and sky (contrast masking; Legge and
Foley 1980, Watson 1993).
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.separable import Kernel, separable

FULL_CONTRAST = 0.03  # local standard deviation of luminance, in [0, 1], that adds a full cap
# Share of the change that may be colour: fine coloured grain is seen in dark hair where grey grain passes for hair.
CHROMA = 0.5
SIGMA = 2.0  # px of the working copy: neighbourhood over which contrast is measured
# px: contrast counts only where it lasts this far around. A lone edge, such as a head before a wall, hides nothing on
# the smooth side; without this a halo of noise follows the outline.
LASTING = 3
LUMINANCE = (0.299, 0.587, 0.114)


def contrast_mask(image: Tensor, levels: int, smooth: int) -> Tensor:
    """What share of a largest change of ``levels`` each pixel of (1, 3, H, W) in [0, 1] may take: (1, 1, H, W).

    ``smooth``: levels by which the smoothest places may change; from ``levels`` on nothing is spared.
    """
    weights = torch.tensor(LUMINANCE, device=image.device, dtype=image.dtype)[None, :, None, None]
    luminance = (image * weights).sum(1, keepdim=True)
    variance = blur((luminance - blur(luminance, SIGMA)).square(), SIGMA)
    lasting = -F.max_pool2d(-variance.sqrt(), 2 * LASTING + 1, stride=1, padding=LASTING)
    return (smooth / levels + blur(lasting, LASTING) / FULL_CONTRAST).clamp(max=1)


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (N, C, H, W), kernel cut at 3 sigma, border replicated."""
    kernel = _gaussian(sigma)
    return separable(image, kernel, kernel)


@lru_cache(maxsize=32)
def _gaussian(sigma: float) -> Kernel:
    radius = max(1, round(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    return tuple(torch.softmax(-offsets.square() / (2 * sigma**2), 0).tolist())
