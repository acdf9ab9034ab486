"""Every bound keeps the same promises: what it starts from and projects to obeys it and is a picture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Generator, Tensor

from shield.bounds import (
    Allowed,
    Band,
    Begun,
    Bound,
    FaceLpips,
    Greyed,
    Limits,
    Linf,
    LpipsBound,
    Steered,
    Visible,
    bounds,
)
from shield.bounds.l2 import L2
from shield.bounds.lpips import face_sizes
from shield.faces import Face, detect, warp, whole_picture
from shield.flip import PIXELS_PER_DEGREE, hyab, perceived, spread
from shield.lpips import Lpips
from shield.photo import Photo, round_to_levels, to_tensor
from shield.recipe import Recipe
from shield.search import bound_of
from shield.skin import Skin

SIDE, LEVELS = 64, 6
LIMIT, TIGHT = 0.02, 1e-4  # of LPIPS; the tight one is below what random noise of 6 levels comes to
TINY = 1e-6


Rule = Callable[[Tensor], bool]


@dataclass(frozen=True)
class Case:
    """A bound, and whether a picture obeys it, and may come up in a search, by rules of the test's own."""

    bound: Bound
    obeys: Rule
    contained: Rule


class Build(Protocol):
    def __call__(self, original: Tensor, network: Lpips) -> Case: ...


def worst(bound: Bound, image: Tensor) -> float:
    return max(map(float, bound.excesses(image)))


def weights() -> Tensor:
    """(1, 1, SIDE, SIDE): nothing on the left, all on the right."""
    return torch.linspace(0, 1, SIDE).expand(1, 1, SIDE, SIDE)


def within(original: Tensor, share: Tensor) -> Rule:
    return lambda image: bool(((image - original).abs() <= LEVELS / 255 * share + TINY).all())


def linf(original: Tensor, network: Lpips) -> Case:
    everywhere = torch.ones(1, 1, 1, 1)
    rule = within(original, everywhere)
    return Case(Linf(original, LEVELS, everywhere), rule, rule)


def weighted(original: Tensor, network: Lpips) -> Case:
    rule = within(original, weights())
    return Case(Linf(original, LEVELS, weights()), rule, rule)


def perceptual(original: Tensor, network: Lpips, limit: float = LIMIT) -> Case:
    measure = FaceLpips(network, original, whole_picture(SIDE, SIDE), sizes=(SIDE,))

    def obeys(image: Tensor) -> bool:
        one, other = (warp(picture, whole_picture(SIDE, SIDE), SIDE) for picture in (image, original))
        return network(one, other).item() <= limit + TINY

    return Case(LpipsBound(original, limit, measure), obeys, obeys)


def visible(original: Tensor, network: Lpips) -> Case:
    face, allowed = whole_picture(SIDE, SIDE), Allowed(LIMIT, 0.08, 0.4, 1.5, 2.0)

    def obeys(image: Tensor) -> bool:
        one, other = (warp(picture, face, 256) for picture in (image, original))
        degree = PIXELS_PER_DEGREE
        error = spread(hyab(perceived(one, degree), perceived(other, degree)))
        quiet = float(error.mean()) <= 0.08 + TINY and float(error.flatten().quantile(0.99)) <= 0.4 + TINY
        return network(one, other).item() <= LIMIT + TINY and quiet and float(Skin(other).ratio(one)) <= 1.5 + TINY

    return Case(Visible(original, face, allowed, network), obeys, obeys)


def band(original: Tensor, network: Lpips) -> Case:
    rule = within(original, weights())
    return Case(Band(Linf(original, LEVELS, weights()), original, SIDE), rule, rule)


def both(original: Tensor, network: Lpips) -> Case:
    hard, soft = weighted(original, network), perceptual(original, network, TIGHT)
    bound = Steered(hard.bound, soft.bound)
    return Case(bound, lambda image: hard.obeys(image) and soft.obeys(image), hard.obeys)


def euclidean(original: Tensor, network: Lpips) -> Case:
    within_cap, limit = within(original, weights()), 0.5 * LEVELS / 255 * float(weights().square().mean().sqrt())

    def rule(image: Tensor) -> bool:
        return within_cap(image) and float((image - original).square().mean().sqrt()) <= limit + TINY

    return Case(L2(Linf(original, LEVELS, weights())), rule, rule)


def begun(original: Tensor, network: Lpips) -> Case:
    case = both(original, network)
    return Case(Begun(case.bound, original, far(original) - original), case.obeys, case.contained)


BOUNDS: list[Build] = [linf, weighted, euclidean, perceptual, visible, band, both]
every_bound = pytest.mark.parametrize("build", [*BOUNDS, begun])
every_random_start = pytest.mark.parametrize("build", BOUNDS)


@pytest.fixture(scope="module")
def original(portrait: NDArray[np.uint8]) -> Tensor:
    """A part of the portrait with black and white stripes, so that every bound meets the ends of the range."""
    picture = to_tensor(portrait[300:684:6, 340:724:6])
    picture[:, :, 10:14], picture[:, :, 50:54] = 0, 1
    return picture


@pytest.fixture
def case(build: Build, original: Tensor, lpips_network: Lpips) -> Case:
    return build(original, lpips_network)


def far(original: Tensor, distance: float = 0.4, seed: int = 0) -> Tensor:
    """Far off, and out of [0, 1] in places, as a step is."""
    return original + distance * (2 * torch.rand(original.shape, generator=Generator().manual_seed(seed)) - 1)


def is_picture(image: Tensor, original: Tensor) -> bool:
    return image.shape == original.shape and bool((image >= 0).all() and (image <= 1).all())


@every_bound
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_the_start_may_come_up_in_a_search(case: Case, original: Tensor, share: float) -> None:
    start = case.bound.start(share, Generator().manual_seed(0))
    assert case.contained(start)
    assert is_picture(start, original)


@every_random_start
def test_the_start_comes_from_the_generator_alone(case: Case) -> None:
    state = torch.get_rng_state()
    first, again, other = (case.bound.start(0.5, Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@every_bound
@pytest.mark.parametrize("distance", [0.4, 1.5])
def test_a_projected_picture_obeys_and_is_a_picture(case: Case, original: Tensor, distance: float) -> None:
    image = far(original, distance)
    assert not case.obeys(image)
    projected = case.bound.project(image)
    assert case.obeys(projected)
    assert is_picture(projected, original)


@every_bound
def test_a_contained_picture_may_come_up_in_a_search(case: Case, original: Tensor) -> None:
    image = far(original)
    assert not case.contained(image)
    contained = case.bound.contain(image)
    assert case.contained(contained)
    assert is_picture(contained, original)
    projected = case.bound.project(image)
    assert torch.equal(case.bound.contain(projected), projected)


@every_bound
def test_projecting_twice_changes_nothing_more(case: Case, original: Tensor) -> None:
    projected = case.bound.project(far(original))
    assert torch.equal(case.bound.project(projected), projected)


@every_bound
def test_a_picture_inside_is_left_alone(case: Case, original: Tensor) -> None:
    inside = (original + 0.003 * weights() * (far(original) - original).sign()).clamp(0, 1)
    assert case.obeys(inside)
    assert not torch.equal(inside, original)
    assert torch.equal(case.bound.project(inside), inside)
    assert torch.equal(case.bound.project(original), original)


@every_bound
def test_projection_takes_no_more_than_it_has_to(case: Case, original: Tensor) -> None:
    """A little further along the same way the bound would be broken."""
    image = far(original).clamp(0, 1)
    projected = case.bound.project(image)
    reach = 0.3 if isinstance(case.bound, Visible) else 0.06  # that one draws back in strides
    further = projected + reach * (projected - original) + 1e-4 * (image - original).sign()
    assert not case.obeys(further.clamp(0, 1))


@every_bound
def test_pictures_are_left_unchanged(case: Case, original: Tensor) -> None:
    before, image = original.clone(), far(original)
    same = image.clone()
    case.bound.project(image)
    case.bound.start(1.0, Generator().manual_seed(0))
    assert torch.equal(original, before)
    assert torch.equal(image, same)


@pytest.mark.parametrize("build", [build for build in (*BOUNDS, begun) if build is not band])
def test_a_step_grows_with_its_share_and_goes_along_the_direction(case: Case, original: Tensor) -> None:
    direction = torch.randn(original.shape, generator=Generator().manual_seed(0))
    step = case.bound.step(direction, 0.2).expand_as(original)
    assert torch.allclose(case.bound.step(direction, 0.4), 2 * step)
    assert (step * direction >= 0).all()
    assert step.abs().max() > 0


@every_bound
def test_every_excess_is_minus_one_at_the_original(case: Case, original: Tensor) -> None:
    for excess in case.bound.excesses(original):
        assert excess.ndim == 0
        assert float(excess) == pytest.approx(-1, abs=1e-4)


# Linf


@pytest.mark.parametrize("levels", [1, 8])
@pytest.mark.parametrize("share", [0.01, 0.5])
def test_the_start_is_off_by_its_share_but_never_rounds_back_to_the_original(
    original: Tensor, levels: int, share: float
) -> None:
    """At the original itself a squared distance has no gradient."""
    start = Linf(original, levels, weights()).start(share, Generator().manual_seed(0))
    change = 255 * (start - original).abs()
    assert (change <= torch.maximum(share * levels * weights(), (levels * weights()).clamp(max=1)) + 1e-3).all()
    assert ((round_to_levels(start) - original).abs() > 0.5 / 255).float().mean() > 0.1


@pytest.mark.parametrize("levels", [1, 6, 16])
@pytest.mark.parametrize("uniform", [True, False])
def test_rounding_never_exceeds_the_cap_in_whole_levels(original: Tensor, levels: int, uniform: bool) -> None:
    bound = Linf(original, levels, torch.ones(1, 1, 1, 1) if uniform else weights())
    for image in (bound.project(far(original)), bound.start(1.0, Generator().manual_seed(3))):
        change = (255 * (round_to_levels(image) - original)).abs().round()
        assert change.max() == levels
        assert (255 * (round_to_levels(image) - original) - (255 * (image - original))).abs().max() <= 0.501


def test_where_the_weight_is_zero_nothing_changes(original: Tensor) -> None:
    mask = torch.ones(1, 1, SIDE, SIDE)
    mask[..., 20:40, 5:30] = 0
    bound = Linf(original, LEVELS, mask)
    for image in (
        bound.project(far(original)),
        bound.start(1.0, Generator().manual_seed(0)),
        original + bound.step(torch.ones_like(original), 1.0),
    ):
        assert torch.equal(image[..., 20:40, 5:30], original[..., 20:40, 5:30])
        assert not torch.equal(image, original)


def test_the_projection_is_the_nearest_picture(original: Tensor) -> None:
    image = far(original)
    nearest = Linf(original, LEVELS, torch.ones(1, 1, 1, 1)).project(image)
    expected = torch.minimum(torch.maximum(image, original - LEVELS / 255), original + LEVELS / 255).clamp(0, 1)
    assert torch.allclose(nearest, expected)


def test_a_whole_step_is_the_radius(original: Tensor) -> None:
    step = Linf(original, LEVELS, weights()).step(torch.ones_like(original), 1.0)
    assert torch.allclose(255 * step, LEVELS * weights().expand_as(original))


@pytest.mark.parametrize("chroma", [0.0, 0.5])
def test_colours_change_by_their_share_only(original: Tensor, chroma: float) -> None:
    """Where the ends of the range do not cut: half a radius off at most, and grey moves freely."""
    middle = 0.2 + 0.6 * original
    image = far(middle)
    projected = Linf(middle, LEVELS, weights(), chroma).project(image)
    change = projected - middle
    colour = change - change.mean(1, keepdim=True)
    radius = (LEVELS / 255 * weights()).expand_as(change)
    assert (change.abs() <= radius + TINY).all()
    assert (colour.abs() <= chroma * radius + TINY).all()
    assert change.abs().max() == pytest.approx(LEVELS / 255, rel=0.05)
    assert torch.allclose(Linf(middle, LEVELS, weights(), chroma).project(projected), projected, atol=1e-6)
    assert not torch.allclose(Linf(middle, LEVELS, weights()).project(image), projected, atol=1e-3)


# Every registered shape


@pytest.mark.parametrize("name", bounds)
@pytest.mark.parametrize("levels", [1, 8])
def test_every_shape_keeps_within_the_largest_change_and_the_weights(name: str, levels: int, original: Tensor) -> None:
    shape = bounds[name](original, Limits(levels, weights()))
    for image in (
        shape.start(1.0, Generator().manual_seed(0)),
        shape.project(far(original)),
        shape.contain(far(original)),
    ):
        assert is_picture(image, original)
        assert ((image - original).abs() <= levels / 255 * weights() + TINY).all()
        assert not torch.equal(round_to_levels(image), original)
    assert torch.allclose(shape.project(original), original, atol=1e-3)


# Lab


def test_only_colours_change() -> None:
    """Lightness by the CIE's own formula: L* = 116 (Y / Yn)^(1/3) - 16."""
    picture = 0.2 + 0.6 * torch.rand(1, 3, SIDE, SIDE, generator=Generator().manual_seed(0))
    everywhere = torch.ones(1, 1, 1, 1)
    shape = bounds["lab"](picture, Limits(LEVELS, everywhere))
    image = picture + 0.015 * torch.randn(picture.shape, generator=Generator().manual_seed(1))
    projected = shape.project(image)

    def lightness(rgb: Tensor) -> Tensor:
        linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return 116 * torch.einsum("c,nchw->nhw", torch.tensor([0.2126, 0.7152, 0.0722]), linear) ** (1 / 3) - 16

    before = (lightness(image.clamp(0, 1)) - lightness(picture)).abs().mean()
    assert (lightness(projected) - lightness(picture)).abs().mean() < 0.2 * before
    assert (projected - picture).abs().mean() > 0.3 * (image - picture).abs().mean()


# LPIPS


@pytest.mark.parametrize(("side", "sizes"), [(40, (256,)), (256, (256,)), (300, (256, 300)), (900, (256, 512))])
def test_a_face_is_measured_small_and_at_its_own_size(side: int, sizes: tuple[int, ...]) -> None:
    assert face_sizes(whole_picture(side, side)) == sizes


def test_face_lpips_is_the_largest_over_the_sizes(original: Tensor, lpips_network: Lpips) -> None:
    face = whole_picture(SIDE, SIDE)
    measure = FaceLpips(lpips_network, original, face, sizes=(40, 64))
    image = far(original, 0.1).clamp(0, 1)
    expected = [lpips_network(warp(original, face, size), warp(image, face, size)).item() for size in (40, 64)]
    assert measure.each(image).tolist() == pytest.approx(expected, rel=1e-4)
    assert measure(image).item() == pytest.approx(max(expected), rel=1e-4)
    assert expected[0] != pytest.approx(expected[1], rel=0.01)
    assert measure(original).item() == 0


def test_face_lpips_looks_at_the_aligned_face(original: Tensor, lpips_network: Lpips) -> None:
    """A change outside the framing is not seen."""
    small = whole_picture(30, 30)
    face = Face(small.box, small.points).moved(-20, -18)
    measure = FaceLpips(lpips_network, original, face, sizes=(48,))
    outside, inside = original.clone(), original.clone()
    outside[..., :14], inside[..., 25:45, 25:40] = 0.5, 0.5
    assert measure(outside).item() == 0
    assert measure(inside).item() > 0.01


def test_the_excess_tells_inside_from_outside(original: Tensor, lpips_network: Lpips) -> None:
    case = perceptual(original, lpips_network)
    inside, outside = far(original, 0.005).clamp(0, 1), far(original).clamp(0, 1)
    assert -1 < worst(case.bound, inside) < 0 < worst(case.bound, outside)
    assert -0.1 < worst(case.bound, case.bound.project(outside)) <= 0


def test_the_excess_can_be_descended(original: Tensor, lpips_network: Lpips) -> None:
    bound = perceptual(original, lpips_network).bound
    leaf = far(original, 0.1).clamp(0, 1).requires_grad_(True)
    excess = torch.stack(bound.excesses(leaf)).amax()
    (gradient,) = torch.autograd.grad(excess, leaf)
    assert gradient.isfinite().all()
    closer = leaf.detach() - 0.01 * gradient / gradient.abs().max()
    assert worst(bound, closer) < excess.item()


# Begun


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_search_begins_with_the_change_given(original: Tensor, share: float) -> None:
    """Half of the largest change, upwards on the left half and downwards on the right."""
    middle = 0.2 + 0.6 * original
    change = torch.full_like(original, 0.5)
    change[..., SIDE // 2 :] *= -1
    bound = Begun(Linf(middle, LEVELS, weights()), middle, change)
    starts = [bound.start(share, Generator().manual_seed(seed)) for seed in (0, 1)]
    assert torch.equal(*starts)
    assert torch.allclose(starts[0] - middle, LEVELS / 255 * change * weights(), atol=TINY)


def test_a_search_begins_inside_the_soft_bound_too(original: Tensor, lpips_network: Lpips) -> None:
    case = begun(original, lpips_network)
    start = case.bound.start(0.1, Generator())
    assert case.obeys(start)
    assert (start - original).abs().max() > 1 / 255


@pytest.mark.parametrize("name", bounds)
def test_every_shape_takes_a_change_to_begin_with(name: str, original: Tensor) -> None:
    shape = bounds[name](original, Limits(LEVELS, weights()))
    start = Begun(shape, original, 3 * torch.randn(original.shape, generator=Generator().manual_seed(0))).start(
        0.1, Generator()
    )
    assert is_picture(start, original)
    assert ((start - original).abs() <= LEVELS / 255 * weights() + TINY).all()
    assert not torch.equal(round_to_levels(start), original)


# Several


def test_the_hard_bound_shapes_and_both_judge(original: Tensor, lpips_network: Lpips) -> None:
    shape, judge = weighted(original, lpips_network).bound, perceptual(original, lpips_network).bound
    together = Steered(shape, judge)
    direction = torch.ones_like(original)
    assert torch.equal(together.step(direction, 0.3), shape.step(direction, 0.3))
    assert torch.equal(together.start(0.2, Generator().manual_seed(0)), shape.start(0.2, Generator().manual_seed(0)))
    outside = far(original).clamp(0, 1)
    assert torch.equal(together.contain(outside), shape.contain(outside))
    assert worst(together, outside) == pytest.approx(worst(judge, outside))
    assert worst(together, original) == pytest.approx(-1)


# Band


def test_a_band_leaves_out_stains_and_what_is_too_fine() -> None:
    """Of a step, by its wave length across a face of 512 px."""
    x = torch.arange(512)[None, None, None, :] / 512
    original = torch.full((1, 3, 512, 512), 0.5)
    bound = Band(Linf(original, 255, torch.ones(1, 1, 1, 1)), original, 512)
    kept = {}
    for waves in (4, 80, 250):
        wave = torch.sin(2 * torch.pi * waves * x).expand(1, 3, 512, 512)
        kept[waves] = float((bound.step(wave, 1.0) * wave).mean() / wave.square().mean())
    assert kept[80] > 0.5
    assert abs(kept[4]) < 0.05 and abs(kept[250]) < 0.1


def test_a_small_face_changes_as_finely_as_it_is() -> None:
    original = torch.full((1, 3, 64, 64), 0.5)
    bound = Band(Linf(original, 255, torch.ones(1, 1, 1, 1)), original, 64)
    signs = torch.randn(1, 3, 64, 64, generator=Generator().manual_seed(0)).sign()
    assert torch.cosine_similarity(bound.step(signs, 1.0).flatten(), signs.flatten(), dim=0) > 0.8


def test_a_face_and_its_irises_change_in_grey_alone_and_all_else_as_it_may() -> None:
    original = torch.full((1, 3, 96, 96), 0.5)
    face = whole_picture(96, 96)
    inner = Linf(original, LEVELS, torch.ones(1, 1, 1, 1))
    noise = 0.48 + 0.04 * torch.rand(1, 3, 96, 96, generator=Generator().manual_seed(0))
    bound = Greyed.of(inner, original, face)
    free, kept = inner.contain(noise), bound.contain(noise)
    colour = (kept - kept.mean(1, keepdim=True)).abs().amax(1)[0]
    for x, y in face.points:
        assert colour[int(y), int(x)] < TINY < float((kept - original)[0, :, int(y), int(x)].abs().amax())
    assert 0.27 < float((colour < TINY).float().mean()) < 0.32  # the oval of the face, and no more
    corner = slice(None), slice(None), slice(None, 12), slice(None, 12)  # hair, or a wall
    assert torch.equal(kept[corner], free[corner])
    assert torch.allclose(bound.contain(kept), kept, atol=1e-6)
    assert torch.allclose(bound.project(kept), kept, atol=1e-6)
    assert (kept - original).abs().max() <= LEVELS / 255 + TINY
    step = bound.step(noise - 0.5, 1.0)
    assert float((step - step.mean(1, keepdim=True))[0, :, 48, 48].abs().amax()) < TINY


@pytest.mark.parametrize("masked", [False, True])
def test_a_search_spares_the_colours_of_a_face(portrait_photo: Photo, masked: bool) -> None:
    picture = to_tensor(np.asarray(Image.fromarray(portrait_photo.pixels).resize((384, 384))))
    face = detect(portrait_photo.pixels)[0].scaled(384 / 1024)
    bound = bound_of(Recipe(masked=masked), picture, face, torch.ones(1, 1, 384, 384))
    change = bound.contain(picture + 0.1 * torch.tensor((1.0, -1.0, 0.0))[None, :, None, None]) - picture
    colour = (change - change.mean(1, keepdim=True)).abs().amax(1)[0]
    for x, y in face.points:
        assert float(colour[round(y), round(x)]) < 1e-6
    assert float(colour.amax()) > 0.002  # around it colours may change
