"""Everything before the search is one callable: the mean of its terms, with the gradient of that mean."""

import weakref
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield import disruption
from shield.disruption import MARGIN, Disruption, Expectation, Term, in_step
from shield.faces import Face, Framing, warp
from shield.objectives import l2
from shield.objectives.output import output
from shield.photo import to_tensor
from shield.surrogates import Surrogate, load_surrogate, surrogates

Loss = Callable[[Tensor], Tensor]


class Toy:
    """A surrogate with two edits: the negative, and the face as it is."""

    name, size, framing, edits = "toy", 16, Framing(side=0.8, down=0.03), ("negative", "nothing")
    licence, threshold, makes_pictures = "none", 0.01, True

    def __call__(self, faces: Tensor) -> Tensor:
        return torch.stack([1 - 2 * faces, 2 * faces - 1], 1)

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        return l2(results, clean)


@pytest.fixture(scope="module")
def scene(portrait: NDArray[np.uint8], portrait_face: Face) -> tuple[Tensor, Face]:
    """A small copy of the portrait, (1, 3, 96, 96), and its face."""
    photo = torch.nn.functional.interpolate(to_tensor(portrait), size=96, mode="bilinear", antialias=True)
    return photo, portrait_face.scaled(96 / 1024)


def altered(photo: Tensor, amount: float) -> Tensor:
    signs = torch.rand(photo.shape, generator=torch.Generator().manual_seed(0)).sub(0.5).sign()
    return (photo + amount * signs).clamp(0, 1)


def gradient(loss: Loss, photo: Tensor) -> tuple[Tensor, Tensor]:
    leaf = photo.clone().requires_grad_(True)
    value = loss(leaf)
    return value, torch.autograd.grad(value, leaf)[0]


# One term


def term_of(surrogate: Surrogate, photo: Tensor, face: Face) -> Term:
    """Climbs what the surrogate makes of this photo."""
    return Term(surrogate, face, lambda face: output(surrogate, crop_of(surrogate, photo, face)))


def crop_of(surrogate: Surrogate, photo: Tensor, face: Face) -> Tensor:
    return warp(photo, face, surrogate.size, surrogate.framing)


def toy_term(photo: Tensor, face: Face) -> Term:
    return term_of(Toy(), photo, face)


def test_a_term_is_the_share_of_its_edits_goals(scene: tuple[Tensor, Face]) -> None:
    photo, face = scene
    changed = photo + 0.05  # every value of both results moves by 0.1
    assert toy_term(photo, face)(photo).item() == 0
    assert toy_term(photo, face)(changed).item() == pytest.approx(0.01 / (MARGIN * Toy.threshold), rel=1e-4)
    assert toy_term(photo, face)(photo + 0.3).item() == 1


def test_a_term_looks_at_its_own_face_only(scene: tuple[Tensor, Face]) -> None:
    photo, face = scene
    _, pull = gradient(toy_term(photo, face.scaled(0.3)), altered(photo, 0.02))
    assert pull[:, :, :20, :20].count_nonzero() > 0
    assert pull[:, :, 40:].count_nonzero() == 0


# Several terms


def plain(weight: float) -> Loss:
    return lambda photo: (weight * photo).sin().square().mean()


TERMS = (plain(1), plain(5), plain(-2.5))


def picture() -> Tensor:
    return torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(0))


def test_the_value_is_the_mean_with_and_without_gradient() -> None:
    expected = sum(float(term(picture())) for term in TERMS) / 3
    value, _ = gradient(Disruption(TERMS), picture())
    assert value.item() == pytest.approx(expected)
    assert Disruption(TERMS)(picture()).item() == pytest.approx(expected)
    assert Disruption(TERMS[1:2])(picture()).item() == pytest.approx(float(TERMS[1](picture())))


def test_the_gradient_is_autograds() -> None:
    _, found = gradient(Disruption(TERMS), picture())
    _, expected = gradient(lambda photo: torch.stack([term(photo) for term in TERMS]).mean(), picture())
    assert expected.abs().max() > 1e-4
    assert torch.allclose(found, expected, atol=1e-8)


def test_the_gradient_passes_what_is_around_it() -> None:
    _, found = gradient(lambda photo: 3 * Disruption(TERMS)(photo.square()).exp(), picture())
    _, expected = gradient(
        lambda photo: 3 * torch.stack([term(photo.square()) for term in TERMS]).mean().exp(), picture()
    )
    assert torch.allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("leaf", [True, False])
def test_keeps_no_graph_where_none_is_wanted(leaf: bool) -> None:
    calls = []

    def term(photo: Tensor) -> Tensor:
        calls.append(torch.is_grad_enabled() and photo.requires_grad)
        return photo.square().mean()

    photo = picture().requires_grad_(leaf)
    with torch.no_grad() if leaf else nullcontext():
        value = Disruption([term, term])(photo)
    assert not value.requires_grad
    assert calls == [False, False]


class Saved:
    """What autograd keeps of a forward pass."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def test_one_terms_activations_are_gone_before_the_next_term_runs() -> None:
    alive: weakref.WeakSet[Saved] = weakref.WeakSet()
    before: list[int] = []

    def keep(tensor: Tensor) -> Saved:
        saved = Saved(tensor)
        alive.add(saved)
        return saved

    def term(photo: Tensor) -> Tensor:
        before.append(len(alive))
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved.tensor):
            value = photo.sin().square().mean()
        assert len(alive) > before[-1]
        return value

    value = Disruption([term, term, term])(picture().requires_grad_(True))
    assert before == [0, 0, 0]
    value.backward()
    assert len(before) == 3  # nothing runs twice


def test_the_photo_is_left_alone() -> None:
    photo = picture().requires_grad_(True)
    Disruption(TERMS)(photo)
    assert torch.equal(photo.detach(), picture())
    assert photo.grad is None


# Terms in turn


def test_two_lists_are_walked_through_together_until_every_pair_in_step_was_there() -> None:
    assert in_step("ab", "xyz") == [("a", "x"), ("b", "y"), ("a", "z"), ("b", "x"), ("a", "y"), ("b", "z")]
    assert in_step("abcd", "xy") == [("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")]
    assert in_step("a", "x") == [("a", "x")]


def test_an_expectation_takes_the_next_term_each_time_and_tells_the_mean_of_all() -> None:
    turns = Expectation(TERMS, first=1)
    values = [float(term(picture())) for term in TERMS]
    first, pull = gradient(turns, picture())
    assert first.item() == pytest.approx(values[1] / 3)  # the others are still to come
    assert torch.allclose(pull, gradient(TERMS[1], picture())[1])
    assert [float(turns(picture())) for _ in range(2)][1] == pytest.approx(sum(values) / 3)


# With the networks


@pytest.mark.parametrize("name", sorted(surrogates))
def test_nothing_breaks_at_the_clean_photo_and_more_does_the_more_it_changes(
    name: str, scene: tuple[Tensor, Face], device: torch.device
) -> None:
    photo, face = scene
    surrogate = load_surrogate(name, device)
    loss = Disruption([term_of(surrogate, photo, face)])
    with torch.no_grad():
        clean, little, more = (float(loss(altered(photo, amount))) for amount in (0, 0.05, 0.2))
    assert 0 <= clean < 0.005
    assert clean < little < more <= 1
    assert more > 0.1


def distances(surrogate: Surrogate, crop: Tensor, clean: Tensor, fast: bool) -> Tensor:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=fast):
        results = surrogate(crop)
    return surrogate.distance(results.float(), clean)


@pytest.mark.parametrize("name", sorted(surrogates))
def test_bfloat16_measures_the_same_distances(name: str, scene: tuple[Tensor, Face], device: torch.device) -> None:
    photo, face = scene
    surrogate = load_surrogate(name, device)
    with torch.no_grad():
        clean = surrogate(crop_of(surrogate, photo, face))
    crop = crop_of(surrogate, altered(photo, 0.1), face)
    exact, fast = (distances(surrogate, crop, clean, fast) for fast in (False, True))
    assert exact.max() > 0.003
    assert float((fast - exact).abs().max()) < 0.002


def test_a_term_in_fast_precision_pulls_where_full_precision_does(
    scene: tuple[Tensor, Face], stargan: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, face = scene
    term = term_of(stargan, photo, face)
    pulls = []
    for context in (nullcontext(), torch.autocast("cpu", torch.bfloat16)):
        monkeypatch.setattr(disruption, "fast_precision", lambda device, context=context: context)
        value, pull = gradient(Disruption([term]), altered(photo, 0.04))
        pulls.append((value.item(), pull.flatten()))
    (exact_value, exact), (fast_value, fast) = pulls
    assert fast_value == pytest.approx(exact_value, abs=0.01)
    assert torch.cosine_similarity(exact, fast, dim=0) > 0.98
