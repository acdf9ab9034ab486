"""Everything before the search is one callable: the mean of its terms, with the gradient of that mean."""

import random
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield import disruption
from shield.channels import AsSaved
from shield.disruption import MARGIN, Disruption, Target, in_step, mean_of
from shield.diversity import COARSEST, PLAIN, Variation
from shield.faces import Face, Framing, warp
from shield.frames import FRAMES, Frames, held
from shield.objectives import l2
from shield.objectives.output import output
from shield.photo import to_tensor
from shield.skin import oval, widened_oval
from shield.surrogates import Surrogate, chosen, load_surrogate, surrogates

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


# One look


def loss_of(surrogate: Surrogate, photo: Tensor, face: Face, **settings: Any) -> Disruption:
    """Climbs what the surrogate makes of this photo, all its edits at once, as it is saved."""
    generator = torch.Generator().manual_seed(0)
    targets, roads = [Target([surrogate], [surrogate])], [AsSaved()]
    return Disruption(photo, face, targets, roads, output, random.Random(0), generator, **settings)


def crop_of(surrogate: Surrogate, photo: Tensor, face: Face) -> Tensor:
    return warp(photo, face, surrogate.size, surrogate.framing)


def test_a_look_is_the_share_of_its_edits_goals(scene: tuple[Tensor, Face]) -> None:
    photo, face = scene
    loss = loss_of(Toy(), photo, face)
    # Every value of both results moves by 0.1, whatever the frame.
    assert loss(photo).item() == 0
    assert loss(photo + 0.05).item() == pytest.approx(0.01 / (MARGIN * Toy.threshold), rel=1e-4)
    assert loss(photo + 0.3).item() == 1


def test_a_look_sees_its_own_face_only(scene: tuple[Tensor, Face]) -> None:
    photo, face = scene
    _, pull = gradient(loss_of(Toy(), photo, face.scaled(0.3)), altered(photo, 0.02))
    assert pull[:, :, :20, :20].count_nonzero() > 0
    assert pull[:, :, 40:].count_nonzero() == 0


class Knowing(Toy):
    """A recogniser in the same frame."""

    makes_pictures = False


def test_a_recogniser_is_shown_the_change_in_the_face_alone(scene: tuple[Tensor, Face]) -> None:
    photo, face = scene
    changed, inside = altered(photo, 0.02), oval(face, photo)[0, 0]
    rest = widened_oval(face, photo)[0, 0] == 0
    assert not (inside & rest).any()
    for surrogate, around in ((Toy(), True), (Knowing(), False)):
        pull = gradient(loss_of(surrogate, photo, face), changed)[1].abs().sum((0, 1))
        assert (pull[inside] > 0).all()
        assert bool((pull[rest] > 0).any()) == around
    # In the face it is shown all of it.
    wide = torch.where(inside, changed, photo)
    assert widened_oval(face, photo)[0, 0][inside].min() > 0.8
    assert gradient(loss_of(Knowing(), photo, face), wide)[0] > 0


def test_both_photos_are_seen_in_the_same_frame(scene: tuple[Tensor, Face]) -> None:
    """A reference taken in another frame than the changed photo would break everything by itself."""
    photo, face = scene
    loss = loss_of(Toy(), photo, face, frames=Frames(0.2, 0.3, 20.0))
    assert [loss(photo).item() for _ in range(3)] == [0, 0, 0]


def test_frames_are_drawn_anew_at_every_look_and_the_same_ones_give_the_same_value(scene: tuple[Tensor, Face]) -> None:
    photo, face = scene
    changed, loss = altered(photo, 0.03), loss_of(Toy(), photo, face)
    (first,), (second,) = loss.draw(), loss.draw()
    assert not set(first.frames) & set(second.frames)
    values = [loss.look(changed, draw).item() for draw in (first, second, first)]
    assert values[0] == values[2] != values[1]


def test_the_value_is_unbiased(scene: tuple[Tensor, Face]) -> None:
    """The mean over many calls is the mean over many frames; a draw that favoured some would be off."""
    photo, face = scene
    changed = photo.clone()
    changed[..., :48] += 0.05  # so that frames differ
    loss = loss_of(Toy(), photo, face, draws=2)
    found = np.mean([loss(changed).item() for _ in range(60)])
    source = random.Random(99)
    frames = [FRAMES.draw(source).of(face) for _ in range(120)]
    shares = [(crop_of(Toy(), changed, f) - crop_of(Toy(), photo, f)).mul(2).square().mean().item() for f in frames]
    assert found == pytest.approx(np.mean(shares) / (MARGIN * Toy.threshold), rel=0.03)


def test_candidates_are_judged_on_fixed_draws_that_the_search_does_not_climb(scene: tuple[Tensor, Face]) -> None:
    photo, face = scene
    changed, loss = altered(photo, 0.03), loss_of(Toy(), photo, face)
    before = loss.judge(changed).item()
    climbed = {frame for _ in range(20) for draw in loss.draw() for frame in draw.frames}
    assert loss.judge(changed).item() == before
    assert not climbed & set(loss.judged)
    assert not (climbed | set(loss.judged)) & set(held())


# Several looks


def plain(weight: float) -> Loss:
    return lambda photo: (weight * photo).sin().square().mean()


LOOKS = (plain(1), plain(5), plain(-2.5))


def picture() -> Tensor:
    return torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(0))


def test_the_value_is_the_mean_with_and_without_gradient() -> None:
    expected = sum(float(term(picture())) for term in LOOKS) / 3
    value, _ = gradient(partial(mean_of, looks=LOOKS), picture())
    assert value.item() == pytest.approx(expected)
    assert mean_of(picture(), LOOKS).item() == pytest.approx(expected)
    assert mean_of(picture(), LOOKS[1:2]).item() == pytest.approx(float(LOOKS[1](picture())))


def test_the_gradient_is_autograds() -> None:
    _, found = gradient(partial(mean_of, looks=LOOKS), picture())
    _, expected = gradient(lambda photo: torch.stack([term(photo) for term in LOOKS]).mean(), picture())
    assert expected.abs().max() > 1e-4
    assert torch.allclose(found, expected, atol=1e-8)


def test_the_gradient_passes_what_is_around_it() -> None:
    _, found = gradient(lambda photo: 3 * mean_of(photo.square(), LOOKS).exp(), picture())
    _, expected = gradient(
        lambda photo: 3 * torch.stack([term(photo.square()) for term in LOOKS]).mean().exp(), picture()
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
        value = mean_of(photo, [term, term])
    assert not value.requires_grad
    assert calls == [False, False]


class Saved:
    """What autograd keeps of a forward pass."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def test_one_looks_activations_are_gone_before_the_next_look_runs() -> None:
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

    value = mean_of(picture().requires_grad_(True), [term, term, term])
    assert before == [0, 0, 0]
    value.backward()
    assert len(before) == 3  # nothing runs twice


def test_the_photo_is_left_alone() -> None:
    photo = picture().requires_grad_(True)
    mean_of(photo, LOOKS)
    assert torch.equal(photo.detach(), picture())
    assert photo.grad is None


# Edits and roads in turn


def test_two_lists_are_walked_through_together_until_every_pair_in_step_was_there() -> None:
    assert in_step("ab", "xyz") == [("a", "x"), ("b", "y"), ("a", "z"), ("b", "x"), ("a", "y"), ("b", "z")]
    assert in_step("abcd", "xy") == [("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")]
    assert in_step("a", "x") == [("a", "x")]


def test_edits_and_roads_come_in_turn(scene: tuple[Tensor, Face], stargan: Surrogate) -> None:
    photo, face = scene
    parts, roads = [chosen(stargan, [edit]) for edit in stargan.edits], [AsSaved(), AsSaved()]
    targets = [Target([stargan], parts), Target([stargan], parts)]
    loss = Disruption(photo, face, targets, roads, output, random.Random(0), torch.Generator())
    draws = [loss.draw() for _ in range(6)]
    assert [one.surrogate.edits + other.surrogate.edits for one, other in draws] == [
        (stargan.edits[turn], stargan.edits[(turn + 1) % 6]) for turn in range(6)
    ]
    assert [one.road is roads[turn % 2] for turn, (one, _) in enumerate(draws)] == [True] * 6


# With the networks


@pytest.mark.parametrize("name", sorted(surrogates))
def test_nothing_breaks_at_the_clean_photo_and_more_does_the_more_it_changes(
    name: str, scene: tuple[Tensor, Face], device: torch.device
) -> None:
    photo, face = scene
    surrogate = load_surrogate(name, device)
    loss = loss_of(surrogate, photo, face)
    with torch.no_grad():
        clean, little, more = (float(loss.judge(altered(photo, amount))) for amount in (0, 0.05, 0.2))
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
    assert exact.max() > 0.06 * surrogate.threshold
    assert float((fast - exact).abs().max()) < 0.04 * surrogate.threshold


def test_a_look_in_fast_precision_pulls_where_full_precision_does(
    scene: tuple[Tensor, Face], stargan: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, face = scene
    loss = loss_of(stargan, photo, face, draws=1)
    (draw,) = loss.draw()
    pulls = []
    for context in (nullcontext(), torch.autocast("cpu", torch.bfloat16)):
        monkeypatch.setattr(disruption, "fast_precision", lambda device, context=context: context)
        value, pull = gradient(partial(loss.look, draw=draw), altered(photo, 0.04))
        pulls.append((value.item(), pull.flatten()))
    (exact_value, exact), (fast_value, fast) = pulls
    assert fast_value == pytest.approx(exact_value, abs=0.01)
    assert torch.cosine_similarity(exact, fast, dim=0) > 0.98


# What recognisers are shown


def test_a_variation_mirrors_and_coarsens_and_a_plain_one_does_nothing() -> None:
    crops = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(PLAIN(crops), crops)
    assert torch.equal(Variation(mirrored=True)(crops), crops.flip(-1))
    coarse = Variation(share=0.6)(crops)
    assert coarse.shape == crops.shape
    assert float(coarse.var()) < 0.7 * float(crops.var())
    drawn = [Variation.draw(random.Random(seed)) for seed in range(40)]
    assert {one.mirrored for one in drawn} == {True, False}
    assert all(COARSEST <= one.share <= 1 for one in drawn)


def test_recognisers_are_one_door_and_see_varied_faces_while_editors_do_not(
    scene: tuple[Tensor, Face], stargan: Surrogate, device: torch.device
) -> None:
    photo, face = scene
    known = [load_surrogate(name, device) for name in ("dlib", "mobilefacenet")]
    targets = [Target(known, known), Target([stargan], [stargan])]
    loss = Disruption(photo, face, targets, [AsSaved()], output, random.Random(0), torch.Generator())
    draws = [loss.draw() for _ in range(6)]
    assert [one.surrogate.name for one, _ in draws] == ["dlib", "mobilefacenet"] * 3
    assert len({one.variation for one, _ in draws}) == 6
    assert all(other.variation == PLAIN for _, other in draws)
    # Of the same picture and draw the value is the same, and another variation gives another one.
    changed, draw = altered(photo, 0.1), draws[0][0]
    with torch.no_grad():
        one, again = loss.look(changed, draw), loss.look(changed, draw)
        other = loss.look(changed, replace(draw, variation=Variation(mirrored=not draw.variation.mirrored, share=0.7)))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_doors_pull_by_what_is_left_to_their_goals_and_not_by_how_steep_they_are() -> None:
    photo = torch.zeros(1, 3, 2, 2).requires_grad_(True)

    def steep(seen: Tensor) -> Tensor:
        return 100 * seen[0, 0].sum()

    def flat(seen: Tensor) -> Tensor:
        return 0.5 + seen[0, 1].sum()

    plain = torch.autograd.grad(mean_of(photo, [steep, flat]), photo)[0]
    pull = torch.autograd.grad(mean_of(photo, [steep, flat], [1.0, 1.0]), photo)[0]
    assert float(pull[0, 0, 0, 0] / pull[0, 1, 0, 0]) == pytest.approx(2)  # 1 is left to the one, .5 to the other
    assert float(pull.norm()) == pytest.approx(float(plain.norm()))
    reached = torch.autograd.grad(mean_of(photo, [steep, flat], [1.0, 0.5]), photo)[0]
    assert reached[0, 1].abs().max() == 0 < reached[0, 0].abs().min()


def test_a_door_counts_by_its_weight(scene: tuple[Tensor, Face], stargan: Surrogate) -> None:
    photo, face = scene
    targets = [Target([stargan], [stargan], 3.0), Target([stargan], [stargan])]
    loss = Disruption(photo, face, targets, [AsSaved()], output, random.Random(0), torch.Generator())
    one, other = loss.draw()
    assert (one.weight, other.weight) == (1.5, 0.5)
    with torch.no_grad():
        heavy, light = (loss.look(altered(photo, 0.05), replace(draw, frames=one.frames)) for draw in (one, other))
    assert float(heavy) == pytest.approx(3 * float(light), rel=1e-4)
