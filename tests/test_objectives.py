"""Distances, worked out by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from shield.errors import RecipeError
from shield.objectives import MASK_CHANGE, l1, l2, l2_mask, objectives, share_of_goal, squared_distance
from shield.surrogates import Surrogate, load_surrogate, surrogates

Distance = Callable[[Tensor, Tensor], Tensor]

# Two faces, one edit, 3 channels of 1 x 2 px. The first face's result is off by 1 in one of its six values.
CLEAN = torch.zeros(2, 1, 3, 1, 2)
RESULTS = torch.tensor([[1.0, 0, 0, 0, 0, 0], [0.5, -0.5, 0.5, -0.5, 0.5, -0.5]]).view(2, 1, 3, 1, 2)


def test_l2_is_the_mean_square_and_l1_the_mean_amount() -> None:
    assert l2(RESULTS, CLEAN).flatten().tolist() == pytest.approx([1 / 6, 0.25])
    assert l1(RESULTS, CLEAN).flatten().tolist() == pytest.approx([1 / 6, 0.5])


def test_squared_distance_is_the_sum_of_squares() -> None:
    one, other = torch.tensor([[[3.0, 0, 1]], [[0, 0, 0]]]), torch.tensor([[[0.0, 4, 1]], [[0, 0, 0]]])
    assert squared_distance(one, other).tolist() == [[25], [0]]


@pytest.mark.parametrize("distance", [l1, l2])
def test_distances_of_pictures_keep_faces_and_edits_apart(distance: Distance) -> None:
    results = torch.rand(2, 3, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    clean = results.clone()
    clean[1, 2] += 1
    assert torch.allclose(distance(results, clean), torch.tensor([[0.0, 0, 0], [0, 0, 1]]))
    assert torch.allclose(distance(results, clean), distance(clean, results))


def masked(change: tuple[float, float, float], broken: float) -> Tensor:
    """l2_mask where the edit changes px 0 of 2 by ``change``, and the result differs by ``broken`` in both px."""
    faces = torch.tensor([0.1, -0.2, 0.3]).view(1, 3, 1, 1).expand(1, 3, 1, 2)
    clean = faces[:, None].clone()
    clean[0, 0, :, 0, 0] += torch.tensor(change)
    results = clean + torch.tensor([broken, 10 * broken])
    return l2_mask(results, clean, faces)


def test_l2_mask_counts_only_what_the_edit_changed() -> None:
    assert masked((0.2, -0.2, 0.2), 0.3).tolist() == [[pytest.approx(0.09)]]
    assert masked((0.0, 0.6, 0.0), 0.3).tolist() == [[pytest.approx(0.09)]]


def test_l2_mask_adds_the_channels_amounts() -> None:
    assert MASK_CHANGE == 0.5
    assert masked((0.17, -0.17, 0.17), 0.3).item() == pytest.approx(0.09)
    assert masked((0.16, -0.16, 0.16), 0.3).item() == 0


def test_l2_mask_is_zero_where_the_edit_changes_nothing() -> None:
    assert masked((0, 0, 0), 0.3).tolist() == [[0]]


def test_l2_mask_has_a_mask_per_face_and_edit() -> None:
    faces = torch.zeros(2, 3, 2, 2)
    clean = torch.zeros(2, 2, 3, 2, 2)
    clean[0, 0, :, 0, 0] = 1  # one px of four
    clean[1, 1, :] = 1  # all of them
    results = clean.clone()
    results[:, :, :, 0, 0] += 0.4
    assert torch.allclose(l2_mask(results, clean, faces), torch.tensor([[0.16, 0], [0, 0.04]]))


def test_the_share_of_the_goal_saturates_edit_by_edit() -> None:
    distances = torch.tensor([[0.05, 0.3], [0.0, 0.1]])
    assert float(share_of_goal(distances, 0.1)) == pytest.approx((0.5 + 1 + 0 + 1) / 4)
    assert float(share_of_goal(distances, 1e9)) == pytest.approx(0, abs=1e-6)
    assert float(share_of_goal(distances + 0.2, 0.1)) == 1


def test_edits_beyond_the_goal_pull_no_more() -> None:
    distances = torch.tensor([[0.05, 0.3], [0.0, 0.11]], requires_grad=True)
    share_of_goal(distances, 0.1).backward()
    assert distances.grad is not None
    assert torch.allclose(distances.grad, torch.tensor([[2.5, 0], [2.5, 0]]))


@pytest.mark.parametrize("distance", [l2, squared_distance])
def test_the_search_gets_a_finite_gradient_even_at_zero(distance: Distance) -> None:
    clean = torch.zeros(1, 1, 3, 2, 2) if distance is l2 else torch.zeros(1, 1, 8)
    results = clean.clone().requires_grad_(True)
    share_of_goal(distance(results, clean), 0.1).backward()
    assert results.grad is not None
    assert results.grad.count_nonzero() == 0
    assert math.isfinite(float(results.grad.sum()))


# Every objective


class Brightener(nn.Module):
    """Two edits through two convolutions, the inner one at half size; the second edit changes a corner only."""

    threshold, makes_pictures = 0.02, True

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 4, 2, stride=2)
        self.outer = nn.ConvTranspose2d(4, 3, 2, stride=2)
        for number, value in enumerate(self.parameters()):
            nn.init.normal_(value, std=0.3, generator=torch.Generator().manual_seed(number))

    def forward(self, faces: Tensor) -> Tensor:
        everywhere = self.outer(self.inner(faces))
        corner = 2 * faces - 1
        corner = corner + torch.nn.functional.pad(torch.full_like(corner[..., :4, :4], 0.8), (0, 4, 0, 4))
        return torch.stack([everywhere, corner], 1)

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        return l2(results, clean)


def crop() -> Tensor:
    return torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", sorted(objectives))
def test_an_objective_is_zero_at_the_clean_crop_and_grows_away_from_it(name: str) -> None:
    measure = objectives[name](Brightener(), crop())
    with torch.no_grad():
        none, near, far = (measure(crop() + amount) for amount in (0, 0.05, 0.2))
    assert none.count_nonzero() == 0
    assert near.shape == far.shape
    assert bool((near < far).all())


@pytest.mark.parametrize("objective", sorted(objectives))
@pytest.mark.parametrize("name", sorted(surrogates))
def test_an_objective_pulls_on_every_channel_through_every_surrogate(objective: str, name: str) -> None:
    surrogate: Surrogate = load_surrogate(name, torch.device("cpu"))
    clean = torch.rand(1, 3, surrogate.size, surrogate.size, generator=torch.Generator().manual_seed(1))
    changed = (clean + 0.02).requires_grad_(True)
    value = objectives[objective](surrogate, clean)(changed).mean()
    (gradient,) = torch.autograd.grad(value, changed)
    assert bool((gradient.abs().amax(dim=(0, 2, 3)) > 0).all())
    assert bool(gradient.isfinite().all())


def test_output_counts_in_thresholds() -> None:
    model = Brightener()
    with torch.no_grad():
        distances = model.distance(model(crop() + 0.1), model(crop()))
        assert torch.allclose(objectives["output"](model, crop())(crop() + 0.1), distances / 0.02)
    assert float(distances[0, 1]) == pytest.approx(0.04, rel=1e-4)  # every value moves by 0.2


@torch.no_grad()
def test_masked_looks_only_where_the_edit_changes_the_face() -> None:
    measure = objectives["masked"](Brightener(), crop())
    elsewhere, there = crop(), crop()
    elsewhere[..., 4:, 4:] += 0.2  # far from the corner that the second edit changes
    there[..., :4, :4] += 0.2
    assert float(measure(elsewhere)[0, 1]) == 0
    assert float(measure(there)[0, 1]) == pytest.approx(0.16 / 0.02, rel=1e-4)


def test_features_look_at_the_innermost_convolution_and_leave_no_hook() -> None:
    model = Brightener()
    measure = objectives["features"](model, crop())
    with torch.no_grad():
        then, now = model.inner(crop()), model.inner(crop() + 0.1)
        expected = (now - then).square().sum() / then.square().sum() / 0.25
        assert float(measure(crop() + 0.1)) == pytest.approx(float(expected), rel=1e-5)
    assert not any(module._forward_hooks for module in model.modules())


def test_features_need_a_network_to_look_into() -> None:
    class Plain:
        threshold, makes_pictures, distance = 0.02, True, staticmethod(l2)

        def __call__(self, faces: Tensor) -> Tensor:
            return faces[:, None]

    class Empty(nn.Module):
        threshold, makes_pictures, distance = 0.02, True, staticmethod(l2)

        def forward(self, faces: Tensor) -> Tensor:
            return faces[:, None]

    for manipulator in (Plain(), Empty()):
        with pytest.raises(RecipeError, match="choose another objective"):
            objectives["features"](manipulator, crop())
