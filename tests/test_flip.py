"""FLIP is the authors' FLIP, and has slopes; the skin ratio sees wrinkles where LPIPS does not."""

import flip_evaluator
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield.faces import Face, warp
from shield.flip import PIXELS_PER_DEGREE, flip, perceived
from shield.irises import RADIUS, Irises
from shield.lpips import Lpips
from shield.photo import to_tensor
from shield.skin import Skin

Pixels = NDArray[np.uint8]


def unit(pixels: Pixels) -> Tensor:
    return to_tensor(np.ascontiguousarray(pixels))


def grained(pixels: Pixels) -> Pixels:
    signs = np.random.default_rng(0).integers(-1, 2, pixels.shape)
    return np.clip(pixels.astype(int) + 8 * signs, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def face(portrait: Pixels) -> Pixels:
    """The portrait's eyes and hair, (192, 256, 3)."""
    return portrait[340:532, 380:636]


@pytest.mark.parametrize("degree", [PIXELS_PER_DEGREE, PIXELS_PER_DEGREE / 2])
@pytest.mark.parametrize("change", [grained, lambda face: np.roll(face, 3, 1), lambda face: face[::-1]])
def test_every_pixel_is_the_authors(face: Pixels, change: object, degree: float) -> None:
    changed = np.ascontiguousarray(change(face))  # type: ignore[operator]
    pair = [(pixels / 255).astype(np.float32) for pixels in (face, changed)]
    expected, mean, settings = flip_evaluator.evaluate(*pair, "LDR", applyMagma=False, parameters={"ppd": degree})
    found = flip(unit(face), unit(changed), degree)
    assert settings["ppd"] == pytest.approx(degree)
    assert found.shape == (1, *face.shape[:2])
    assert np.abs(found[0].numpy() - expected[..., 0]).max() < 2e-4
    assert float(found.mean()) == pytest.approx(mean, rel=1e-3)


def test_the_authors_distance_is_the_default(face: Pixels) -> None:
    assert flip_evaluator.evaluate(*[(face / 255).astype(np.float32)] * 2, "LDR")[2]["ppd"] == pytest.approx(
        PIXELS_PER_DEGREE
    )


def test_equal_pictures_do_not_differ(face: Pixels) -> None:
    assert float(flip(unit(face), unit(face)).max()) < 1e-5


def test_the_perceived_colours_have_slopes(face: Pixels) -> None:
    leaf = unit(face[:64, :64]).requires_grad_(True)
    (slope,) = torch.autograd.grad((perceived(leaf) - perceived(unit(grained(face[:64, :64])))).square().mean(), leaf)
    assert slope.isfinite().all()
    assert (slope != 0).float().mean() > 0.9


# Skin


@pytest.fixture(scope="module")
def aligned(portrait: Pixels, portrait_face: Face) -> Tensor:
    return warp(to_tensor(portrait), portrait_face, 512)


def wrinkles(face: Tensor, levels: float) -> Tensor:
    """Lines across cheeks and forehead, a wave of 8 px."""
    y = torch.arange(face.shape[-2])[:, None].expand(face.shape[-2:])
    return (face + levels / 255 * torch.sin(2 * torch.pi * y / 8)).clamp(0, 1)


def test_the_skin_ratio_of_the_same_face_is_one(aligned: Tensor) -> None:
    assert float(Skin(aligned).ratio(aligned)) == pytest.approx(1)


def test_wrinkles_raise_the_skin_ratio_more_the_deeper_they_are(aligned: Tensor) -> None:
    skin = Skin(aligned)
    ratios = [float(skin.ratio(wrinkles(aligned, levels))) for levels in (0, 2, 4, 8)]
    assert ratios == sorted(ratios)
    assert ratios[2] > 1.15


def test_smoothed_skin_lowers_it(aligned: Tensor) -> None:
    smoothed = torch.nn.functional.avg_pool2d(aligned, 9, stride=1, padding=4, count_include_pad=False)
    assert float(Skin(aligned).ratio(smoothed)) < 0.9


def test_what_lies_outside_the_face_does_not_count(aligned: Tensor) -> None:
    changed = aligned.clone()
    changed[..., :60] = wrinkles(aligned, 40)[..., :60]
    assert float(Skin(aligned).ratio(changed)) == pytest.approx(1, abs=1e-4)


def test_the_skin_ratio_does_not_depend_on_the_faces_size(aligned: Tensor) -> None:
    small, fewer = (
        torch.nn.functional.interpolate(picture, size=256, mode="bilinear", antialias=True)
        for picture in (aligned, wrinkles(aligned, 6))
    )
    assert float(Skin(small).ratio(fewer)) == pytest.approx(float(Skin(aligned).ratio(wrinkles(aligned, 6))), rel=0.15)


def test_lpips_minds_wrinkles_less_than_grain_that_is_as_plain_to_the_skin_ratio(
    aligned: Tensor, lpips_network: Lpips
) -> None:
    """Why LPIPS is not enough by itself: the design's finding, on a plain case."""
    lines = wrinkles(aligned, 4)
    generator = torch.Generator().manual_seed(0)
    grain = (aligned + 20 / 255 * (torch.rand(aligned.shape, generator=generator) - 0.5)).clamp(0, 1)
    skin = Skin(aligned)
    assert float(skin.ratio(lines)) > float(skin.ratio(grain))
    assert float(lpips_network(aligned, lines)) < float(lpips_network(aligned, grain))


# Irises


def tinted(face: Tensor, places: list[tuple[float, float]], red: float) -> Tensor:
    """Discs as large as an iris, redder by so many levels and as light as they were."""
    steps = (torch.arange(face.shape[-1]) + 0.5) / face.shape[-1]
    changed = face.clone()
    for x, y in places:
        inside = (steps[None, :] - x).square() + (steps[:, None] - y).square() < RADIUS**2
        changed[0, 0, inside] += red / 255
        changed[0, 1, inside] -= 0.299 / 0.587 * red / 255
    return changed.clamp(0, 1)


def test_irises_change_the_more_the_redder_they_get_and_one_eye_is_enough(aligned: Tensor, portrait_face: Face) -> None:
    eyes = [*portrait_face.framed[:2]]
    irises = Irises(perceived(aligned), portrait_face)
    found = [float(irises.change(perceived(tinted(aligned, eyes, red)))) for red in (0, 4, 8, 16)]
    assert found == sorted(found) and found[0] < 1e-3 < 0.5 < found[-1]
    for eye in eyes:
        assert float(irises.change(perceived(tinted(aligned, [eye], 16)))) > 0.6 * found[-1]


def test_neither_other_places_nor_darker_irises_count_as_their_colour(aligned: Tensor, portrait_face: Face) -> None:
    eyes, irises = [*portrait_face.framed[:2]], Irises(perceived(aligned), portrait_face)
    elsewhere = tinted(aligned, [(x, y + 0.15) for x, y in eyes], 30)
    assert float(irises.change(perceived(elsewhere))) < 0.02
    darker, redder = 0.95 * aligned, tinted(aligned, eyes, 16)
    assert float(irises.change(perceived(darker))) < 0.5 * float(irises.change(perceived(redder)))


def test_the_colour_of_irises_has_a_slope_everywhere_in_them(aligned: Tensor, portrait_face: Face) -> None:
    leaf = tinted(aligned, [*portrait_face.framed[:2]], 4).requires_grad_(True)
    Irises(perceived(aligned), portrait_face).change(perceived(leaf)).backward()
    assert leaf.grad is not None and leaf.grad.isfinite().all() and leaf.grad.count_nonzero() > 100
