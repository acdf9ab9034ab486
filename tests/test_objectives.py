"""Distances, worked out by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from shield.objectives import MASK_CHANGE, l1, l2, l2_mask, share_of_goal, squared_distance

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
