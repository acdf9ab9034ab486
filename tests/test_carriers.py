"""Carriers: how far, where and which way a warp moves things, and how changes are written into a photo."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

import shield
from shield import search
from shield.carriers import Change, Flow, bent, bent_regions, flow, search_flow, written
from shield.carriers.expression import HELD, Expression
from shield.carriers.flow import GRID
from shield.errors import SearchError
from shield.faces import Face, whole_picture
from shield.faces.landmarks import landmarks_of
from shield.photo import from_array, to_tensor
from shield.region import Region, region_of

SIDE = 96
Pixels = NDArray[np.uint8]


def smooth_picture(height: int = 80, width: int = SIDE) -> Tensor:
    noise = torch.rand(1, 3, 12, 14, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noise, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1)


def uniform(right: float, down: float) -> Flow:
    return Flow(torch.tensor([right, down]).view(1, 2, 1, 1).expand(1, 2, GRID, GRID).clone())


def random_flow(strength: float, seed: int = 0) -> Flow:
    field = strength * (2 * torch.rand(1, 2, GRID, GRID, generator=torch.Generator().manual_seed(seed)) - 1)
    return Flow(F.pad(field[..., 1:-1, 1:-1], (1, 1, 1, 1)))


def levels(picture: Tensor) -> Pixels:
    pixels: Pixels = (255 * picture[0].permute(1, 2, 0)).round().byte().numpy()
    return pixels


# The warp


def test_no_flow_changes_nothing() -> None:
    picture = smooth_picture()
    assert torch.allclose(bent(picture, uniform(0, 0), SIDE), picture, atol=1e-5)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, 2), (-4, 5)])
def test_every_point_is_taken_from_so_far_to_the_right_and_down(right: int, down: int) -> None:
    picture = smooth_picture()
    found = bent(picture, uniform(right / SIDE, down / SIDE), SIDE)
    expected = picture.roll((-down, -right), (2, 3))
    assert torch.allclose(found[..., 8:-8, 8:-8], expected[..., 8:-8, 8:-8], atol=1e-4)


def test_it_is_the_same_at_any_resolution() -> None:
    picture, field = smooth_picture(160, 192), random_flow(0.03)
    small = F.avg_pool2d(picture, 2)
    one, other = F.avg_pool2d(bent(picture, field, 2 * SIDE), 2), bent(small, field, SIDE)
    assert float((one - other).abs().mean()) < 0.003 < float((one - small).abs().mean())


def test_large_pictures_are_bent_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, field = smooth_picture(), random_flow(0.03)
    whole = bent(picture, field, SIDE)
    monkeypatch.setattr(flow, "STRIP", 7)
    assert torch.allclose(bent(picture, field, SIDE), whole, atol=1e-6)


def test_gradients_reach_the_picture_and_the_flow() -> None:
    picture, field = smooth_picture().requires_grad_(True), random_flow(0.02).field.requires_grad_(True)
    bent(picture, Flow(field), SIDE).square().sum().backward()
    for leaf in (picture, field):
        assert leaf.grad is not None and leaf.grad.isfinite().all() and leaf.grad.abs().sum() > 0


def test_a_flow_survives_a_report_and_nothing_else_passes_for_one() -> None:
    field = random_flow(0.004)
    assert torch.equal(Flow.of(field.numbers).field, field.field)
    assert field.scaled(0.5).largest == pytest.approx(field.largest / 2)
    assert uniform(0.003, 0.004).largest == pytest.approx(0.005)
    for wrong in (field.numbers[:1], ((("x",),),), ((float("nan"),),)):
        with pytest.raises((ValueError, TypeError)):
            Flow.of(wrong)  # type: ignore[arg-type]


def test_the_search_climbs_within_the_limit_and_leaves_the_edge_alone() -> None:
    picture = smooth_picture()
    target = bent(picture, random_flow(0.02, seed=5), SIDE)
    values: list[float] = []

    def likeness(seen: Tensor) -> Tensor:
        return -(seen - target).square().mean()

    share = torch.ones(1, 1, 80, SIDE)
    share[..., : SIDE // 2] = 0
    found = search_flow(likeness, picture, share, SIDE, 0.01, 20, lambda step, steps, value: values.append(value))
    assert len(values) == 20
    assert float(likeness(bent(picture, found, SIDE))) > values[0] * 0.9
    assert found.largest <= 0.01 + 1e-6
    ring = found.field.clone()
    ring[..., 1:-1, 1:-1] = 0
    assert ring.abs().max() == 0
    assert found.field[..., :6].abs().max() == 0 < found.field.abs().max()


def landmarks(seed: int = 0) -> Tensor:
    return 0.3 + 0.4 * torch.rand(68, 2, generator=torch.Generator().manual_seed(seed))


def expression_moved(flow: Flow, points: Tensor) -> Tensor:
    """How far what an expression moves is taken beside what it moves beside, (n, 2), in sides of the frame."""
    moved = torch.cat([flow.at(point[:1], point[1:])[0, :, :, 0] for point in points], dim=1).T
    return torch.stack([moved[list(one)].mean(0) - moved[list(other)].mean(0) for one, other in HELD])


def test_the_expression_stays_and_the_rest_of_the_face_does_not() -> None:
    picture, points = smooth_picture(), landmarks()
    share = torch.linspace(0.4, 1, SIDE).expand(1, 1, 80, SIDE)
    target = bent(picture, random_flow(0.02, seed=5), SIDE)

    def likeness(seen: Tensor) -> Tensor:
        return -(seen - target).square().mean()

    free = search_flow(likeness, picture, share, SIDE, 0.01, 10)
    held = search_flow(likeness, picture, share, SIDE, 0.01, 10, landmarks=points)
    assert expression_moved(held, points).abs().max() < 1e-6 < 1e-3 < expression_moved(free, points).abs().max()
    assert 0.003 < held.largest <= 0.01 + 1e-6
    assert likeness(bent(picture, held, SIDE)) > likeness(picture)


def test_a_shift_of_the_whole_face_is_no_expression() -> None:
    allowed = torch.ones(1, 1, GRID, GRID)
    expression, shift = Expression(landmarks()[None], allowed), uniform(0.01, -0.02).field
    assert torch.allclose(expression.held(shift), shift, atol=1e-6)
    noise = random_flow(1).field
    once = expression.held(noise)
    assert not torch.allclose(once, noise, atol=0.1)
    assert torch.allclose(expression.held(once), once, atol=1e-5)


def test_a_loss_that_is_no_number_ends_the_search() -> None:
    picture = smooth_picture()
    with pytest.raises(SearchError):
        search_flow(lambda seen: seen.sum() * float("nan"), picture, torch.ones(1, 1, 80, SIDE), SIDE, 0.01, 3)


WARPED = shield.Recipe(surrogates="dlib", transforms="none", carriers="warp", steps=5)


def test_the_search_holds_the_expression_of_the_face_it_works_on(small: Pixels) -> None:
    pixels = np.ascontiguousarray(small[:, 80:])  # so that the face's region is cut at the photo's edge
    face = shield.find_faces(pixels)[0]
    region = region_of(face, *pixels.shape[1::-1])
    assert region.height > 1.1 * region.width
    found = search.search(search.Task(from_array(pixels), region, region.window(), "png"), WARPED).flow
    assert found is not None and found.largest > 0.004
    read = landmarks_of(to_tensor(pixels), face) - (region.left, region.top)
    points = torch.from_numpy(read / (region.width, region.height)).float()
    assert expression_moved(found, points).abs().max() < 5e-5  # its landmarks were read in a copy of another size


def test_a_picture_that_is_one_region_has_no_expression(small: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "landmarks_of", None)
    region = region_of(shield.find_faces(small, whole=True)[0], *small.shape[1::-1])
    task = search.Task(from_array(small), region, region.window(), "png")
    assert search.search(task, replace(WARPED, whole=True)).flow is not None


# Into the photo


def regions() -> list[Region]:
    faces = [whole_picture(60, 60).moved(-10, -20), whole_picture(50, 50).moved(-40, -40)]
    boxes = (10, 20, 70, 80), (40, 40, 90, 90)
    return [Region(face, *box) for face, box in zip(faces, boxes, strict=True)]


def photo() -> Pixels:
    return levels(smooth_picture(100, 120))


def test_what_is_bent_and_not_changed_is_what_measures_compare_with() -> None:
    flows = [random_flow(0.02), random_flow(0.03, seed=1)]
    places = regions()
    still = [Change(torch.zeros(1, 3, *place.working_size), field) for place, field in zip(places, flows, strict=True)]
    result = written(photo(), places, still, 10)
    for place, part in zip(places, bent_regions(photo(), places, flows), strict=True):
        assert (result[place.box] == part).all()
    assert (result != photo()).any()
    outside = np.ones(result.shape[:2], bool)
    for place in places:
        outside[place.box] = False
    assert (result[outside] == photo()[outside]).all()


def test_without_flows_the_regions_are_the_photos_own() -> None:
    pixels = photo()
    for place, part in zip(regions(), bent_regions(pixels, regions(), [None, None]), strict=True):
        assert (part == pixels[place.box]).all()


def test_a_scaled_change_is_so_many_times_as_large() -> None:
    change = Change(torch.ones(1, 3, 4, 4), random_flow(0.02)).scaled(0.25)
    assert change.pixels.unique().tolist() == [0.25]
    assert change.flow is not None and change.flow.largest == pytest.approx(random_flow(0.02).largest / 4)


# What a report says of it


def bent_copy(small: Pixels, face: Face) -> tuple[Pixels, Flow]:
    region, field = region_of(face, *small.shape[1::-1]), random_flow(0.005)
    return written(small, [region], [Change(torch.zeros(1, 3, *region.working_size), field)], 10), field


def test_flip_and_levels_are_of_what_was_changed_beyond_the_warp(small: Pixels, brief: shield.Plan) -> None:
    face = shield.find_faces(small)[0]
    pixels, field = bent_copy(small, face)
    plan = brief.narrowed(surrogates=["dlib"], channels=["none"], frames=["exact"])
    known = shield.verify_photo(small, pixels, flows=[field], plan=plan).report.faces[0]
    unknown = shield.verify_photo(small, pixels, plan=plan).report.faces[0]
    assert known.visibility.flip < 1e-3 and known.visibility.max_levels == 0
    assert known.visibility.warp == pytest.approx(field.largest)
    assert known.flow == field.numbers
    assert unknown.visibility.flip > 0.01 and unknown.visibility.warp == 0 and unknown.flow is None
    assert known.visibility.face_lpips == pytest.approx(unknown.visibility.face_lpips)
