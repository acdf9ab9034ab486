"""The region of a face: where the change lives, how it is enlarged, how it fades, how neighbours share."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield.faces import Face, crop_matrix, warp, whole_picture
from shield.faces.face import PORTRAIT_POINTS
from shield.photo import to_tensor, to_unit
from shield.region import FADE, LARGEST, Region, region_of, shares

Pixels = NDArray[np.uint8]


def placed(side: float, left: float, top: float, degrees: float = 0) -> Face:
    """A face whose portrait framing is a square of that side, turned about its corner (left, top)."""
    angle = np.deg2rad(degrees)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    points = side * PORTRAIT_POINTS @ turn.T + (left, top)
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    return Face((float(x0), float(y0), float(x1), float(y1)), tuple((float(x), float(y)) for x, y in points))


def boxed(side: int, left: int, top: int) -> Face:
    """An upright face whose region, in a photo that is large enough, is the square of that side at (left, top)."""
    return placed(side - 0.5, left + 0.25, top + 0.25)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


# Where it lies


def test_the_region_is_the_rectangle_around_the_framing() -> None:
    region = region_of(placed(100.5, 40.2, 30.7), 400, 300)
    assert (region.left, region.top, region.right, region.bottom) == (40, 30, 141, 132)
    assert (region.width, region.height) == (101, 102)
    assert region.box == (slice(30, 132), slice(40, 141))


def test_the_region_of_a_turned_face_holds_all_four_corners() -> None:
    face = placed(100, 200, 150, degrees=30)
    region = region_of(face, 800, 600)
    x, y = crop_matrix(face) @ np.array([(0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1)]).T
    assert region.left <= x.min() < x.max() <= region.right
    assert region.top <= y.min() < y.max() <= region.bottom
    assert region.width == pytest.approx(100 * (np.cos(np.pi / 6) + np.sin(np.pi / 6)), abs=2)


def test_the_region_is_cut_at_the_photos_edge() -> None:
    region = region_of(placed(100, -20, -35), 60, 50)
    assert (region.left, region.top, region.right, region.bottom) == (0, 0, 60, 50)


def test_the_region_of_a_whole_picture_is_the_picture() -> None:
    region = region_of(whole_picture(90, 40), 90, 40)
    assert (region.left, region.top, region.right, region.bottom) == (0, 0, 90, 40)


# The working copy


@pytest.mark.parametrize(("side", "expected"), [(100, 100), (512, 512), (1024, 512), (3000, 512)])
def test_the_working_copy_is_never_larger_than_it_has_to_be(side: int, expected: int) -> None:
    region = region_of(boxed(side, 10, 20), 5000, 5000)
    assert region.working_size == (expected, expected)
    assert region.working_face.side == pytest.approx(expected, abs=0.6)
    assert LARGEST == 512


def test_the_working_copy_keeps_the_shape_of_a_cut_region() -> None:
    region = region_of(boxed(1024, -300, 100), 2000, 2000)
    assert region.working_size == (512, 362)


@pytest.mark.parametrize(("side", "degrees"), [(90, 0), (90, 25), (700, -15)])
def test_the_face_is_at_the_same_place_in_photo_region_and_working_copy(side: int, degrees: float) -> None:
    face = placed(side, 160, 250, degrees)
    y, x = torch.meshgrid(torch.arange(1000) / 1000, torch.arange(900) / 1000, indexing="ij")
    photo = torch.stack([x, y, (6 * x).sin() * (5 * y).cos()])[None]
    region = region_of(face, 900, 1000)
    crop = photo[(..., *region.box)]
    expected = warp(photo, face, 48)
    assert (warp(crop, region.local_face, 48) - expected).abs().max() < 1e-3
    assert (warp(region.working_copy(crop), region.working_face, 48) - expected).abs().max() < 2e-3


def test_the_crop_is_the_box_of_the_pixels(device: torch.device) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    region = region_of(boxed(30, 20, 10), 70, 60)
    crop = region.crop(pixels, device)
    assert crop.shape == (1, 3, region.height, region.width)
    assert torch.equal(to_unit(crop), to_tensor(pixels)[:, :, 10:40, 20:50])


def test_the_working_copy_of_a_small_region_is_the_region_itself() -> None:
    region = region_of(boxed(50, 20, 10), 90, 90)
    crop = noise(1, 3, region.height, region.width)
    assert torch.allclose(region.working_copy(crop), crop, atol=1e-6)
    assert torch.allclose(region.enlarge(crop), crop, atol=1e-6)


def test_an_enlarged_change_never_exceeds_the_change_and_keeps_its_place() -> None:
    region = region_of(boxed(1300, 100, 50), 1500, 1500)
    height, width = region.working_size
    change = (noise(1, 3, height, width) - 0.5).sign() * 8 / 255
    large = region.enlarge(change)
    assert large.shape == (1, 3, region.height, region.width)
    assert large.abs().max() <= change.abs().max() + 1e-7
    ramp = (torch.arange(width) + 0.5).mul(region.width / width).expand(1, 3, height, width)
    expected = torch.arange(region.width) + 0.5
    assert (region.enlarge(ramp) - expected)[..., 4:-4].abs().max() < 0.01


# The window


@pytest.mark.parametrize("side", [60, 700])
def test_the_window_fades_to_nothing_at_the_border_and_is_whole_inside(side: int) -> None:
    window = region_of(boxed(side, 40, 30), 900, 900).window()
    assert window.shape == (1, 1, side, side)
    edges = (window[..., 0, :], window[..., -1, :], window[..., 0], window[..., -1])
    assert max(float(edge.max()) for edge in edges) < 3 * (0.5 / side / FADE) ** 2
    inset = int(np.ceil(FADE * side)) + 1
    assert (window[..., inset:-inset, inset:-inset] == 1).all()
    profile = window[0, 0, side // 2, :inset]
    assert (profile.diff() >= 0).all()
    assert 0.4 < window[0, 0, side // 2, round(FADE * side / 2)] < 0.65
    assert torch.allclose(window, window.flip(3), atol=1e-4)
    assert torch.allclose(window, window.transpose(2, 3), atol=1e-4)


def test_the_window_of_a_turned_face_fades_along_its_own_square() -> None:
    face = placed(200, 300, 100, degrees=30)
    region = region_of(face, 900, 900)
    window = region.window()[0, 0]
    assert window[0, 0] == window[-1, -1] == window[0, -1] == window[-1, 0] == 0
    x, y = crop_matrix(region.local_face) @ (0.5, 0.5, 1)
    assert window[int(y), int(x)] == 1
    x, y = crop_matrix(region.local_face) @ (0.5, FADE / 2, 1)
    assert float(window[int(y), int(x)]) == pytest.approx(0.5, abs=0.1)


def test_the_window_does_not_fade_where_the_photos_edge_cuts_the_framing() -> None:
    region = region_of(boxed(100, -40, 20), 300, 300)
    window = region.window()[0, 0]
    assert window.shape == (100, 60)
    assert (window[20:80, 0] == 1).all()
    assert window[20:80, -1].max() < 0.02


# Neighbours


def spread(regions: list[Region], windows: list[Tensor], height: int, width: int) -> Tensor:
    total = torch.zeros(height, width)
    for region, window in zip(regions, windows, strict=True):
        assert window.shape == (1, 1, region.height, region.width)
        assert window.min() >= 0
        total[region.box] += window[0, 0]
    return total


def test_a_face_alone_has_its_whole_window() -> None:
    region = region_of(placed(80, 10, 10), 200, 200)
    (share,) = shares([region])
    assert torch.equal(share, region.window())


def test_faces_apart_have_their_whole_windows() -> None:
    regions = [region_of(placed(80, left, 10), 400, 200) for left in (10, 200)]
    for region, share in zip(regions, shares(regions), strict=True):
        assert torch.allclose(share, region.window(), atol=1e-4)


@pytest.mark.parametrize("others", [[(100, 60, 20)], [(90, 30, 30), (140, 20, 40)], [(80, 20, 10)]])
def test_overlapping_faces_share_at_most_a_whole_change(others: list[tuple[int, int, int]]) -> None:
    regions = [region_of(placed(*place), 260, 240) for place in [(80, 20, 10), *others]]
    total = spread(regions, shares(regions), 240, 260)
    assert total.max() <= 1 + 1e-6
    assert total.max() > 0.99
    lone = torch.stack([spread([region], [region.window()], 240, 260) for region in regions]).amax(0)
    assert (total <= lone + 1e-6).all()  # at most what the largest of them would take alone


def test_two_faces_at_one_place_take_half_each() -> None:
    regions = [region_of(placed(80, 20, 10), 200, 200)] * 2
    for share in shares(regions):
        assert torch.allclose(share, regions[0].window() / 2, atol=1e-4)
