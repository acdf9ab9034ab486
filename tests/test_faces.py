"""Faces are found, each once, whatever their size; crops are differentiable, anti-aliased and sit where they should."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shield.faces import PORTRAIT, Face, Framing, crop_matrix, detect, find_again, place, warp, whole_picture
from shield.faces.aligners.passes import SMALLEST
from shield.faces.face import PORTRAIT_POINTS
from shield.faces.landmarks import five_points, landmarks_of
from shield.faces.templates import templates, transformed
from shield.photo import to_levels, to_tensor

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]
LOOSE = Framing(side=0.65, down=0.06)


def points_of(face: Face) -> Points:
    return np.array(face.points)


def centre_of(face: Face) -> Points:
    return points_of(face).mean(0)


def resized(pixels: Pixels, side: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


def wall(height: int, width: int) -> Pixels:
    """A wall of rough plaster, lit from the left."""
    light = np.linspace(150, 90, width)[None, :, None]
    return np.clip(light + np.random.default_rng(0).normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


# Detection


def test_the_portrait_has_one_face_with_its_points_in_order(portrait: Pixels) -> None:
    (face,) = detect(portrait)
    left_eye, right_eye, nose, left_mouth, right_mouth = face.points
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert all(face.box[0] < x < face.box[2] and face.box[1] < y < face.box[3] for x, y in face.points)
    assert 0.8 < face.score <= 1
    # Read off the picture by eye, on a grid: pupils, tip of the nose, corners of the mouth.
    by_eye = np.array([(446, 390), (598, 378), (522, 470), (460, 542), (598, 537)])
    assert points_of(face) == pytest.approx(by_eye, abs=0.03 * face.height)


def test_a_mirrored_photo_gives_mirrored_points(portrait: Pixels, portrait_face: Face) -> None:
    (mirrored,) = detect(portrait[:, ::-1])
    found = points_of(mirrored)[[1, 0, 2, 4, 3]]
    found[:, 0] = portrait.shape[1] - found[:, 0]
    assert found == pytest.approx(points_of(portrait_face), abs=0.04 * portrait_face.height)


def test_the_detector_finds_the_points_in_the_crop_where_the_framing_puts_them(
    portrait: Pixels, portrait_face: Face
) -> None:
    side = 400
    crop = warp(to_photo(portrait), portrait_face, side)
    (face,) = detect((crop[0].permute(1, 2, 0) * 255).round().byte().numpy())
    matrix = crop_matrix(portrait_face)
    expected = side * np.linalg.solve(matrix[:, :2], (points_of(portrait_face) - matrix[:, 2]).T).T
    assert points_of(face) == pytest.approx(expected, abs=0.03 * side)


HEIGHTS = (500, 300, 160, 90, 60, 45)  # px, of faces on one canvas of 12 megapixels
CORNERS = ((1500, 200), (80, 1900), (2500, 1900), (3700, 150), (60, 60), (1200, 1900))  # the largest spans two tiles


@pytest.fixture(scope="module")
def crowd(portrait: Pixels, portrait_face: Face) -> tuple[list[Face], list[Face]]:
    """The faces that were pasted onto a canvas of 4000 x 3000 px, largest first, and the faces that were found."""
    canvas = wall(3000, 4000)
    pasted = []
    for height, (left, top) in zip(HEIGHTS, CORNERS, strict=True):
        side = round(len(portrait) * height / portrait_face.height)
        canvas[top : top + side, left : left + side] = resized(portrait, side)
        pasted.append(portrait_face.scaled(side / len(portrait)).moved(-left, -top))
    return pasted, detect(canvas)


def test_a_known_face_is_found_again_where_its_photo_shows_it_now(portrait: Pixels, portrait_face: Face) -> None:
    assert find_again(portrait, [portrait_face]) == [portrait_face]
    moved = np.roll(portrait, (6, -9), axis=(0, 1))
    (found,) = find_again(moved, [portrait_face])
    assert points_of(found) == pytest.approx(
        points_of(portrait_face) + np.array((-9, 6)), abs=0.02 * portrait_face.height
    )


def test_a_face_that_is_not_found_again_is_where_it_was(portrait: Pixels, portrait_face: Face) -> None:
    assert find_again(wall(*portrait.shape[:2]), [portrait_face]) == [portrait_face]
    elsewhere = portrait_face.moved(-1.2 * portrait_face.height, 0)
    assert find_again(portrait, [elsewhere, portrait_face]) == [elsewhere, portrait_face]
    whole = whole_picture(portrait.shape[1], portrait.shape[0])
    assert find_again(portrait, [whole]) == [whole]


def test_every_face_of_a_large_photo_is_found_once_largest_first(crowd: tuple[list[Face], list[Face]]) -> None:
    pasted, found = crowd
    assert len(found) == len(pasted)
    for there, face in zip(pasted, found, strict=True):
        assert np.abs(centre_of(face) - centre_of(there)).max() < 0.03 * there.height + 1.5, f"{there.height:.0f} px"
        assert face.height == pytest.approx(there.height, rel=0.15)
        assert face.side == pytest.approx(there.side, rel=0.12)


@pytest.mark.parametrize("height", [30, 35])
def test_faces_that_are_too_small_are_left_alone(height: int, portrait: Pixels, portrait_face: Face) -> None:
    canvas = wall(600, 800)
    for left, wanted in ((100, height), (500, 1.5 * SMALLEST)):
        side = round(len(portrait) * wanted / portrait_face.height)
        canvas[200 : 200 + side, left : left + side] = resized(portrait, side)
    (face,) = detect(canvas)
    assert centre_of(face)[0] > 500


@pytest.mark.parametrize("size", [(300, 400), (1, 1), (3, 900), (1500, 2)])
def test_a_photo_without_a_face_gives_none(size: tuple[int, int]) -> None:
    assert detect(wall(*size)) == []


def test_clothes_alone_are_no_face(portrait: Pixels) -> None:
    assert detect(portrait[760:]) == []


# Framing


def placed(side: float, degrees: float, left: float, top: float) -> Face:
    """A face whose portrait framing is a square of that side, turned about its corner (left, top)."""
    angle = np.deg2rad(degrees)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    points = side * PORTRAIT_POINTS @ turn.T + (left, top)
    x, y = points.T
    box = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    return Face(box, tuple((float(x), float(y)) for x, y in points))


def at(matrix: Points, fractions: Points) -> Points:
    return fractions @ matrix[:, :2].T + matrix[:, 2]


SIMILARITIES = [(100.0, 0.0, 0.0, 0.0), (41.5, 17.0, 300.0, -20.0), (2750.0, -130.0, -80.0, 955.5)]


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_portrait_framing_takes_its_points_to_the_face_exactly(similarity: tuple[float, ...]) -> None:
    face = placed(*similarity)
    assert at(crop_matrix(face), PORTRAIT_POINTS) == pytest.approx(points_of(face), abs=1e-8)
    assert face.side == pytest.approx(similarity[0])


def test_points_that_fit_no_similarity_are_met_in_least_squares(portrait_face: Face) -> None:
    source, target = PORTRAIT_POINTS @ (1, 1j), points_of(portrait_face) @ (1, 1j)
    centred = source - source.mean()
    turn = (centred.conj() * (target - target.mean())).sum() / (abs(centred) ** 2).sum()  # a + ib, in closed form
    corner = target.mean() - turn * source.mean()
    expected = np.array([(turn.real, -turn.imag, corner.real), (turn.imag, turn.real, corner.imag)])
    assert crop_matrix(portrait_face) == pytest.approx(expected, abs=1e-8)
    assert portrait_face.side == pytest.approx(abs(turn))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_another_framing_is_a_square_about_a_point_below_the_centre(similarity: tuple[float, ...]) -> None:
    face = placed(*similarity)
    corners = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])
    inside = (0.5, 0.56) + 0.65 * (corners - 0.5)
    assert at(crop_matrix(face, LOOSE), corners) == pytest.approx(at(crop_matrix(face), inside), abs=1e-8)


def test_a_face_moves_and_scales_with_its_photo(portrait_face: Face) -> None:
    matrix = crop_matrix(portrait_face)
    moved, scaled = portrait_face.moved(30, -12), portrait_face.scaled(0.25)
    assert crop_matrix(moved) == pytest.approx(matrix - [(0, 0, 30), (0, 0, -12)], abs=1e-8)
    assert crop_matrix(scaled) == pytest.approx(0.25 * matrix, abs=1e-8)
    left, top, right, bottom = portrait_face.box
    assert moved.box == pytest.approx((left - 30, top + 12, right - 30, bottom + 12))
    assert portrait_face.scaled(2, 3).box == pytest.approx((2 * left, 3 * top, 2 * right, 3 * bottom))
    assert portrait_face.scaled(2, 3).points[4] == pytest.approx(points_of(portrait_face)[4] * (2, 3))
    assert moved.score == scaled.score == portrait_face.score
    assert portrait_face.height == pytest.approx(bottom - top)


@pytest.mark.parametrize(("width", "height"), [(60, 60), (90, 40), (30, 70)])
def test_the_whole_picture_is_framed_by_the_square_around_it(width: int, height: int) -> None:
    face = whole_picture(width, height)
    side = max(width, height)
    assert crop_matrix(face) == pytest.approx(
        np.array([(side, 0, (width - side) / 2), (0, side, (height - side) / 2)]), abs=1e-8
    )
    assert face.box == (0, 0, width, height)


# Crops. The wave equals its own reflection at every border of the photo, so it is known beyond them as well.


def to_photo(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None] / 255


FREQUENCIES = ((2, 1), (1, 3), (3, 2))  # half waves across and down, by channel


def wave(height: int, width: int) -> Tensor:
    """(1, 3, height, width): the wave at the centre of each pixel."""
    x, y = np.pi * (np.arange(width) + 0.5) / width, np.pi * (np.arange(height) + 0.5) / height
    planes = [0.5 + 0.5 * np.cos(h * y)[:, None] * np.cos(w * x) for w, h in FREQUENCIES]
    return torch.from_numpy(np.stack(planes).astype(np.float32))[None]


def wave_at(points: Points, height: int, width: int) -> Points:
    x, y = np.pi * points[..., 0] / width, np.pi * points[..., 1] / height
    return np.stack([0.5 + 0.5 * np.cos(w * x) * np.cos(h * y) for w, h in FREQUENCIES])


def centres(size: int) -> Points:
    """(size, size, 2): the centres of a crop's pixels as fractions of the crop."""
    steps = (np.arange(size) + 0.5) / size
    return np.stack(np.meshgrid(steps, steps), axis=-1)


def error_of(found: Tensor, expected: Points) -> float:
    assert found.shape[1:] == expected.shape
    return float(np.abs(found[0].numpy() - expected).max())


SIZE = 64


@pytest.mark.parametrize("framing", [PORTRAIT, LOOSE], ids=["portrait", "loose"])
@pytest.mark.parametrize("degrees", [0, 20, -75])
@pytest.mark.parametrize("side", [40, 128, 700])
def test_a_crop_shows_the_photo_at_its_exact_coordinates(side: int, degrees: float, framing: Framing) -> None:
    height, width = round(1.5 * side), round(1.8 * side)
    face = placed(side, degrees, 0.4 * side, 0.3 * side)
    expected = wave_at(at(crop_matrix(face, framing), centres(SIZE)), height, width)
    assert error_of(warp(wave(height, width), face, SIZE, framing), expected) < 0.003


def test_a_crop_of_a_huge_face_that_leaves_the_photo_is_exact_and_reflected() -> None:
    face = placed(3000, 8, -200, -350)
    expected = wave_at(at(crop_matrix(face), centres(SIZE)), 2900, 2600)
    assert error_of(warp(wave(2900, 2600), face, SIZE), expected) < 0.003


@pytest.mark.parametrize("side", [40, 90, 128, 500])
def test_a_crop_is_not_shifted_by_a_fraction_of_a_pixel(side: int) -> None:
    """On ramps of one unit per px every crop px tells where it was taken."""
    photo = torch.stack(torch.meshgrid(torch.arange(700) + 0.5, torch.arange(900) + 0.5, indexing="ij"))
    photo = torch.stack([photo[1], photo[0], photo.sum(0)])[None]
    face = placed(side, 12, 250.3, 100.8)
    where = at(crop_matrix(face), centres(SIZE)).transpose(2, 0, 1)
    # In px of the photo; a crop px of the largest face is eight of them wide.
    assert error_of(warp(photo, face, SIZE), np.concatenate([where, where.sum(0)[None]])) < 0.05


@pytest.mark.parametrize("side", [600, 937, 1500])
@pytest.mark.parametrize("degrees", [0, 33])
def test_a_pattern_too_fine_for_the_crop_becomes_grey(side: int, degrees: float) -> None:
    board = torch.arange(1600)[:, None].add(torch.arange(1600)).remainder(2).float()
    crop = warp(board.expand(1, 3, -1, -1), placed(side, degrees, 500 if degrees else 40, 30), SIZE)
    assert float((crop - 0.5).abs().max()) < 0.02


def test_a_crop_stays_within_the_range_of_the_photo() -> None:
    photo = torch.rand(1, 3, 90, 80, generator=torch.Generator().manual_seed(0)).round()
    for side in (20, 300):
        crop = warp(photo, placed(side, 30, 30, 10), SIZE)
        assert crop.min() >= 0
        assert crop.max() <= 1


@pytest.mark.parametrize("side", [40, 400])
def test_the_crop_of_a_part_of_the_photo_is_the_same(side: int) -> None:
    photo = wave(900, 800)
    face = placed(side, 15, 300, 250)
    left, top = 37, 110
    part = warp(photo[:, :, top:, left:], face.moved(left, top), SIZE)
    assert float((part - warp(photo, face, SIZE)).abs().max()) < (1e-5 if side < 2 * SIZE else 5e-4)


@pytest.mark.parametrize("size", [20, 400], ids=["shrunk", "as large"])
def test_a_crop_of_levels_is_that_of_the_floats_they_stand_for(
    portrait: Pixels, portrait_face: Face, size: int
) -> None:
    assert torch.equal(warp(to_levels(portrait), portrait_face, size), warp(to_tensor(portrait), portrait_face, size))


def test_a_crop_does_not_look_at_the_box() -> None:
    photo, face = wave(90, 80), placed(40, 15, 30, 25)
    assert torch.equal(warp(photo, face, 16), warp(photo, replace(face, box=(0, 0, 1, 1), score=0.1), 16))


# The way back


def smooth_crop(side: int = 256) -> Tensor:
    """No two of its channels, halves or signs are alike."""
    return 2 * wave(side, side) - 1


@pytest.mark.parametrize("degrees", [0, 20, -75])
@pytest.mark.parametrize("side", [45, 180, 256, 600])
def test_what_is_placed_on_a_face_is_there_when_the_face_is_cropped(side: int, degrees: float) -> None:
    height, width = round(1.9 * side), round(2.1 * side)
    face = placed(side, degrees, 0.5 * side, (0.5 if degrees >= 0 else 1.1) * side)  # all of it in the photo
    crop = smooth_crop()
    back = warp(place(crop, face, height, width), face, SIZE)
    expected = torch.nn.functional.avg_pool2d(crop, 256 // SIZE)
    edge = 3 * SIZE // side + 2  # px of the crop: beyond the frame there is nothing
    inner = slice(edge, -edge)
    assert float((back - expected)[..., inner, inner].abs().max()) < 0.03


@pytest.mark.parametrize("name", ["arcface_128", "ffhq_512"])
def test_it_is_there_in_any_template(name: str) -> None:
    face, crop, template = placed(200, 20, 150, 120), smooth_crop(), templates[name]
    back = warp(place(crop, face, 500, 520, template), face, SIZE, template)
    expected = torch.nn.functional.avg_pool2d(crop, 256 // SIZE)
    assert float((back - expected)[..., 4:-4, 4:-4].abs().max()) < 0.03


@pytest.mark.parametrize("side", [60, 400])
def test_what_is_placed_ends_at_the_frame(side: int) -> None:
    face = placed(side, 30, side, 0.4 * side)
    photo = place(torch.ones(1, 3, 256, 256), face, 3 * side, 3 * side)
    y, x = np.mgrid[: 3 * side, : 3 * side] + 0.5
    matrix = crop_matrix(face)
    where = np.linalg.solve(matrix[:, :2], np.stack([x, y]).reshape(2, -1) - matrix[:, 2:]).reshape(2, *x.shape)
    inside = np.minimum(where, 1 - where).min(0) * side  # px from the frame's border, inwards
    assert (photo[0, :, torch.from_numpy(inside > 2)] > 1 - 1e-5).all()
    assert (photo[0, :, torch.from_numpy(inside < -2)] == 0).all()


def test_a_pattern_too_fine_for_a_small_face_is_placed_as_grey() -> None:
    board = torch.arange(256)[:, None].add(torch.arange(256)).remainder(2).float().expand(1, 3, -1, -1)
    photo = place(board, placed(60, 0, 10, 12), 90, 80)
    assert float((photo[..., 16:66, 14:64] - 0.5).abs().max()) < 0.02


# Gradients


def pulled(photo: Tensor, face: Face, size: int) -> Tensor:
    """The gradient of the sum of the crop."""
    photo = photo.clone().requires_grad_(True)
    warp(photo, face, size).sum().backward()
    assert photo.grad is not None
    return photo.grad


@pytest.mark.parametrize("side", [40, 63, 200, 390])
def test_the_gradient_reaches_every_pixel_inside_and_none_outside(side: int) -> None:
    left, top, size = 100, 70, 32
    gradient = pulled(torch.zeros(1, 3, 520, 560), placed(side, 0, left, top), size)
    reach = 2 * max(1, round(side / size))
    assert gradient.isfinite().all()
    assert (gradient[:, :, top + 1 : top + side - 1, left + 1 : left + side - 1] > 0).all()
    outside = gradient.clone()
    outside[:, :, top - reach : top + side + reach, left - reach : left + side + reach] = 0
    assert outside.count_nonzero() == 0
    assert gradient.sum(dim=(2, 3)).tolist() == [[pytest.approx(size**2, rel=1e-4)] * 3]


def test_channels_stay_apart() -> None:
    photo = torch.zeros(1, 3, 60, 60, requires_grad=True)
    warp(photo, placed(40, 10, 12, 8), 16)[:, 1].sum().backward()
    assert photo.grad is not None
    assert photo.grad[:, [0, 2]].count_nonzero() == 0
    assert photo.grad[:, 1].count_nonzero() > 0


@pytest.mark.parametrize("side", [9, 31])
def test_the_gradient_is_the_derivative(side: int) -> None:
    """In double precision, along a random direction; the crop leaves the photo at a corner."""
    random = torch.Generator().manual_seed(1)
    photo, direction = (torch.rand(1, 3, 30, 26, generator=random, dtype=torch.float64) for _ in range(2))
    weights = torch.rand(1, 3, 6, 6, generator=random, dtype=torch.float64)
    face = placed(side, 25, 4, -3)

    def value(image: Tensor) -> Tensor:
        return (weights * warp(image, face, 6).square()).sum()

    leaf = photo.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(value(leaf), leaf)
    step = 1e-6 * direction
    measured = float((value(photo + step) - value(photo - step)) / 2e-6)
    assert measured == pytest.approx(float((gradient * direction).sum()), rel=1e-7)


def test_points_in_portrait_framing_are_the_same_however_the_face_lies_in_its_photo(portrait_face: Face) -> None:
    framed = np.array(portrait_face.framed)
    assert 0 < np.abs(framed - PORTRAIT_POINTS).max() < 0.05
    turned = portrait_face.mapped(np.array([(0.0, -2.0, 700.0), (2.0, 0.0, 5.0)]))
    assert np.allclose(turned.framed, framed)
    assert np.allclose(transformed(crop_matrix(portrait_face), framed), portrait_face.points)


def test_landmarks_in_the_photo_lie_on_the_face(portrait: Pixels, portrait_face: Face) -> None:
    found = landmarks_of(to_tensor(portrait), portrait_face)
    apart = np.hypot(*(five_points(found) - portrait_face.points).T)
    assert apart.max() < 0.12 * portrait_face.eye_distance
