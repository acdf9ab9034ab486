"""The mask spares smooth places and frees textured ones; the blur under it is a Gaussian."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield.masking import FULL_CONTRAST, LASTING, SIGMA, blur, contrast_mask
from shield.photo import to_tensor

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)


def noise(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(0))


def gaussian_blur(plane: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Straight from the formula: two dimensions at once, the border replicated."""
    radius = round(3 * sigma)
    line = np.arange(-radius, radius + 1)
    kernel = np.exp(-(line[:, None] ** 2 + line**2) / (2 * sigma**2))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(plane, radius, mode="edge"), kernel.shape)
    blurred: NDArray[np.float64] = (windows * kernel / kernel.sum()).sum((2, 3))
    return blurred


@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0])
def test_the_blur_is_a_gaussian(sigma: float) -> None:
    picture = noise(21, 34)
    expected = np.stack([gaussian_blur(plane, sigma) for plane in picture[0].double().numpy()])
    assert np.abs(blur(picture, sigma)[0].numpy() - expected).max() < 1e-6


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (40, 30)])
def test_the_blur_keeps_constants_on_pictures_of_any_size(size: tuple[int, int]) -> None:
    picture = torch.tensor([0.0, 0.3, 1.0]).view(1, 3, 1, 1).expand(1, 3, *size)
    assert (blur(picture, SIGMA) - picture).abs().max() < 1e-6


LEVELS = 12
SMOOTH = 3
FLOOR = SMOOTH / LEVELS


def local_contrast(picture: Tensor) -> NDArray[np.float64]:
    """The local standard deviation of luminance."""
    luminance = np.tensordot(LUMINANCE, picture[0].double().numpy(), 1)
    contrast: NDArray[np.float64] = gaussian_blur((luminance - gaussian_blur(luminance, SIGMA)) ** 2, SIGMA) ** 0.5
    return contrast


def test_the_mask_is_the_floor_plus_the_contrast_that_lasts() -> None:
    picture = 0.5 + 0.1 * (noise(40, 50) - 0.5) * torch.linspace(0, 1, 50)
    around = np.pad(local_contrast(picture), LASTING, constant_values=np.inf)
    side = 2 * LASTING + 1
    lasting = np.lib.stride_tricks.sliding_window_view(around, (side, side)).min((2, 3))
    expected = np.minimum(1, FLOOR + gaussian_blur(lasting, LASTING) / FULL_CONTRAST)
    assert FLOOR + 0.2 < expected.max() < 1
    assert np.abs(contrast_mask(picture, LEVELS, SMOOTH)[0, 0].numpy() - expected).max() < 1e-4


def test_flat_places_keep_the_floor_and_texture_gets_all() -> None:
    picture = torch.full((1, 3, 60, 120), 0.4)
    picture[..., 60:] += 0.4 * (noise(60, 60) - 0.5)
    mask = contrast_mask(picture, LEVELS, SMOOTH)
    assert mask.shape == (1, 1, 60, 120)
    reach = round(2 * 3 * SIGMA) + round(3 * LASTING) - LASTING  # of the two blurs, the minimum and the third blur
    assert mask[..., : 60 - reach].sub(FLOOR).abs().max() < 1e-4
    assert mask[..., 60 + reach :].min() == 1
    between = mask[0, 0, 30, 60 - reach : 60 + reach]
    assert between.diff().abs().max() < 0.25  # no jump


def test_a_lone_edge_frees_less_than_its_contrast() -> None:
    picture = torch.full((1, 3, 60, 120), 0.3)
    picture[..., 60:] = 0.7
    mask = contrast_mask(picture, LEVELS, SMOOTH)[0, 0, 30].numpy()
    freely = np.minimum(1, FLOOR + local_contrast(picture)[30] / FULL_CONTRAST)
    freed, would_be = float((mask - FLOOR).sum()), float((freely - FLOOR).sum())
    assert 0 < freed < 0.9 * would_be


def test_colour_without_luminance_is_no_texture() -> None:
    """Red up where green goes down: luminance stays, and so does the floor."""
    signs = noise(40, 40, channels=1).sub(0.5).sign()
    red, green, _ = LUMINANCE
    picture = 0.5 + torch.cat([0.2 * signs / red * green, -0.2 * signs, torch.zeros_like(signs)], 1) * 0.5
    assert contrast_mask(picture, LEVELS, SMOOTH).max() < FLOOR + 0.01


def test_the_mask_stays_in_its_range_on_a_photo(portrait: NDArray[np.uint8]) -> None:
    mask = contrast_mask(to_tensor(portrait[::4, ::4]), LEVELS, SMOOTH)
    assert mask.min() >= FLOOR
    assert mask.max() == 1
    assert FLOOR + 0.1 < mask.mean() < 0.9


@pytest.mark.parametrize("levels", [2, 8, 16])
def test_smooth_places_may_change_by_the_same_levels_whatever_the_cap(levels: int) -> None:
    mask = contrast_mask(torch.full((1, 3, 40, 40), 0.5), levels, SMOOTH)
    assert torch.allclose(levels * mask, torch.full_like(mask, min(SMOOTH, levels)), atol=1e-4)
