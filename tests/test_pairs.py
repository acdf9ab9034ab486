"""Editors that learn from pairs: masks are drawn right, networks keep the published layouts, trainings teach."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from shield.faces.expression import conditions
from shield.faces.landmarks import load_landmarks, portrait_points
from shield.faces.masks import CLASSES, Move, eye_distance, face_masks, inside, moved
from shield.faces.templates import PORTRAIT_POINTS
from shield.surrogates.pix2pixhd import CONDITIONED, EDITS, ConditionedResNet, condition_maps
from shield.surrogates.promises import check_promises
from shield.surrogates.published.family import Editor, fit
from shield.surrogates.published.spade import EDITS as MOVES
from shield.surrogates.published.spade import SIZE, SPADE, SpadeNet, with_colours
from shield.training.data import FaceSet
from shield.training.loop import train
from shield.training.pairs import PairCritics, PairTraining, fooled, taught, unmatched
from shield.training.pix2pixhd import Pix2PixHDRecipe, Pix2PixHDTraining
from shield.training.spade import SpadeRecipe, SpadeTraining
from shield.training.stargan import ATTRIBUTES, HAIR

CPU = torch.device("cpu")
SIZES = (4, 16, 4, 4)  # of the smallest SPADE
PHOTOS = Pix2PixHDRecipe(batch=2, steps=2, width=4, blocks=1, critic_width=4, own=1)
MASKED = SpadeRecipe(batch=2, steps=2, width=4, widest=16, hidden=4, encoder_width=4, critic_width=4)
every_training = pytest.mark.parametrize("name", ["pix2pixhd", "spade"])


def training(name: str, count: int = 4, **changes: Any) -> PairTraining:
    if name == "spade":
        return SpadeTraining(replace(MASKED, **changes), face_set(count), CPU)
    return Pix2PixHDTraining(replace(PHOTOS, **changes), face_set(count), CPU)


def smooth(count: int, seed: int = 0) -> Tensor:
    """Pictures (count, 3, 128, 128) in [0, 1] whose colours change slowly."""
    noise = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, size=(SIZE, SIZE), mode="bilinear", align_corners=False)


def face_set(count: int) -> FaceSet:
    labels = (torch.arange(count)[:, None] % torch.arange(2, 2 + len(ATTRIBUTES)) == 0).float()
    return FaceSet((255 * smooth(count)).byte(), labels, torch.zeros(count, dtype=torch.long), ATTRIBUTES)


def drawn_face() -> Tensor:
    """Landmarks (1, 68, 2) of a face in portrait framing, as simple as can be."""
    eyes, corners = PORTRAIT_POINTS[:2], PORTRAIT_POINTS[3:]
    around = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.25 * np.cos(around), 0.5 + 0.38 * np.sin(around)], 1)
    brows = [[(x + dx, y - 0.08) for dx in np.linspace(-0.06, 0.06, 5)] for x, y in eyes]
    nose = [(0.5, y) for y in np.linspace(0.47, 0.6, 4)] + [(x, 0.63) for x in np.linspace(0.46, 0.54, 5)]
    six = np.array([(-1, 0), (-0.4, -0.6), (0.4, -0.6), (1, 0), (0.4, 0.6), (-0.4, 0.6)])
    middle = corners.mean(0)
    turn = np.pi + 2 * np.pi * np.arange(12) / 12
    outer = middle + np.stack([0.1 * np.cos(turn), 0.04 * np.sin(turn)], 1)
    turn = np.pi + 2 * np.pi * np.arange(8) / 8
    inner = middle + np.stack([0.08 * np.cos(turn), 0.012 * np.sin(turn)], 1)
    parts = [jaw, *brows, nose, *(eye + 0.04 * six for eye in eyes), outer, inner]
    return torch.tensor(np.concatenate([np.asarray(part) for part in parts]), dtype=torch.float32)[None]


def areas(masks: Tensor) -> dict[str, float]:
    return dict(zip(CLASSES, masks.sum((0, 2, 3)).tolist(), strict=True))


# Masks


def test_a_polygon_covers_the_pixels_whose_middles_lie_in_it() -> None:
    square = torch.tensor([[(0.25, 0.5), (0.75, 0.5), (0.75, 1.0), (0.25, 1.0)]])
    expected = torch.zeros(1, 8, 8, dtype=torch.bool)
    expected[:, 4:, 2:6] = True
    assert torch.equal(inside(square, 8), expected)
    assert torch.equal(inside(square.flip(1), 8), expected)
    assert not inside(square + 2, 8).any()


def test_every_pixel_is_of_one_class_and_every_class_is_there() -> None:
    masks = face_masks(drawn_face(), SIZE)
    assert masks.shape == (1, len(CLASSES), SIZE, SIZE) and masks.dtype == torch.float32
    assert torch.equal(masks.sum(1), torch.ones(1, SIZE, SIZE))
    assert min(areas(masks).values()) > 10
    where = dict(zip(CLASSES, masks[0], strict=True))
    (left, right, nose, *_), px = PORTRAIT_POINTS, lambda point: tuple((SIZE * point[::-1]).astype(int))
    assert where["eyes"][px(left)] == where["eyes"][px(right)] == where["nose"][px(nose)] == 1
    assert where["background"][0, 0] == where["background"][-1, -1] == where["skin"][SIZE // 3, SIZE // 2] == 1
    assert where["mouth"][px(PORTRAIT_POINTS[3:].mean(0))] == 1


def test_opening_the_mouth_and_raising_the_brows_change_the_mask_there() -> None:
    points = drawn_face()
    still, opened = (face_masks(moved(points, move), SIZE) for move in (Move(), Move(opening=0.3)))
    assert torch.equal(moved(points, Move()), points)
    assert areas(opened)["mouth"] > 2 * areas(still)["mouth"]
    assert torch.equal(opened[:, CLASSES.index("eyes")], still[:, CLASSES.index("eyes")])
    raised = moved(points, Move(brows=0.1))
    assert torch.allclose((points - raised)[:, 17:27, 1], 0.1 * eye_distance(points).expand(-1, 10), atol=1e-6)
    smiling = moved(points, Move(smile=0.1))
    assert smiling[0, 54, 0] > points[0, 54, 0] and smiling[0, 48, 0] < points[0, 48, 0]
    assert smiling[0, 54, 1] < points[0, 54, 1]


def test_the_mask_of_a_mirrored_or_turned_face_is_the_mask_mirrored_or_turned() -> None:
    points = drawn_face() + 0.001  # no edge through a pixel's middle
    mirrored = torch.stack([1 - points[..., 0], points[..., 1]], 2)
    masks = face_masks(points, SIZE)
    assert (face_masks(mirrored, SIZE) - masks.flip(3)).abs().mean() < 0.001
    turned = torch.stack([points[..., 1], 1 - points[..., 0]], 2)  # a quarter; brows alone know what is up
    no_brows = [number for number, name in enumerate(CLASSES) if name not in ("brows", "skin")]
    assert (face_masks(turned, SIZE) - masks.rot90(1, (2, 3)))[:, no_brows].abs().mean() < 0.001


def test_each_face_of_a_batch_has_its_own_mask() -> None:
    points = torch.cat([drawn_face(), moved(drawn_face(), Move(opening=0.4)), drawn_face() + 0.1])
    assert torch.equal(face_masks(points, 64), torch.cat([face_masks(row[None], 64) for row in points]))


# Networks


def test_pix2pixhd_keeps_the_published_layout_with_more_channels() -> None:
    state = ConditionedResNet(4, 4, 2, 5).state_dict()
    assert state["model.1.weight"].shape == (4, 8, 7, 7)
    assert {key.rpartition(".")[0] for key in state} == {
        *(f"model.{number}" for number in (1, 4, 7, 10, 13, 18, 21, 24, 27, 31)),
        *(f"model.{block}.conv_block.{number}" for block in (16, 17) for number in (1, 5)),
    }
    fitted = fit(CONDITIONED, {key: value.half() for key, value in state.items()}, "a file")
    assert fitted.edits == EDITS and isinstance(fitted.network, ConditionedResNet)


@torch.no_grad()
def test_pix2pixhd_hears_its_conditions() -> None:
    torch.manual_seed(0)
    network, faces = ConditionedResNet(4, 4, 1, 5), 2 * smooth(1) - 1
    one, other = (network(faces, torch.tensor([values])) for values in ([1.0, 0, 0, 1, 1], [0.0, 1, 0, 0, 0]))
    assert (one - other).abs().mean() > 1e-3  # nothing the same all over a picture gets through InstanceNorm
    maps = condition_maps(torch.tensor([[1.0, 0.5]]), SIZE, SIZE)
    assert maps[0, :, 0, 0].tolist() == [0, 0] and maps[0, :, 64, 64].tolist() == [1, 0.5]
    with pytest.raises(ValueError, match="conditions"):
        network(faces)


def spade_editor() -> Editor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SpadeNet(*SIZES)
    return Editor("tiny", "none", SPADE.framing, network, MOVES, SIZE)


def photo_editor() -> Editor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ConditionedResNet(4, 4, 1, 5)
    return Editor("tiny", "none", CONDITIONED.framing, network, EDITS, SIZE)


@pytest.mark.parametrize("editor", [spade_editor, photo_editor])
def test_the_editors_keep_what_surrogates_promise(editor: Any) -> None:
    surrogate = editor()
    check_promises("tiny", surrogate, CPU)
    chosen = (surrogate.edits[-1], surrogate.edits[0])
    faces = smooth(2)
    with torch.no_grad():
        whole, part = surrogate(faces), surrogate.only(chosen)(faces)
    assert whole.shape == (2, len(surrogate.edits), 3, SIZE, SIZE) and whole.abs().max() <= 1
    assert torch.allclose(part, torch.stack([whole[:, -1], whole[:, 0]], 1), atol=1e-5)


def test_spades_gradient_reaches_the_faces_through_the_style() -> None:
    network, faces = SpadeNet(*SIZES).eval(), smooth(1).requires_grad_()
    (codes, _), points = network.encoder(2 * faces - 1), portrait_points(load_landmarks(), faces)
    (gradient,) = torch.autograd.grad(codes.square().sum(), faces)
    assert gradient.abs().sum() > 0 and not points.requires_grad


def test_a_move_is_what_the_measures_of_an_expression_say_of_it() -> None:
    points = drawn_face()
    for move in (Move(opening=0.3), Move(smile=0.1), Move(brows=0.1)):
        change = conditions(moved(points, move)) - conditions(points)
        assert change[0].tolist() == pytest.approx(move.conditions, abs=0.02)


def test_the_colours_say_nothing_of_brows_and_mouth_before_and_after_an_edit() -> None:
    points = drawn_face()
    before, after = (face_masks(moved(points, move), SIZE) for move in (Move(), Move(opening=0.3, brows=0.1)))
    labels = with_colours(torch.ones(1, 3, SIZE, SIZE), after, before)
    hidden = [CLASSES.index(name) for name in ("brows", "lips", "mouth")]
    told = 1 - (before + after)[:, hidden].sum(1, keepdim=True).clamp(max=1)
    assert torch.equal(labels[:, : len(CLASSES)], after)
    assert torch.allclose(labels[:, len(CLASSES) :], told.expand(-1, 3, -1, -1))


# Critics and trainings


def test_the_critics_losses_are_lowest_where_they_should_be() -> None:
    critics = PairCritics(4, 2)
    judged = critics(torch.randn(4, 3, 64, 64), torch.randn(4, 2, 64, 64))
    assert [scale[-1].shape for scale in judged] == [(4, 1, 8, 8), (4, 1, 4, 4)]
    sure = [[torch.tensor([2.0, 2, -2, -2])]]
    assert taught(sure, 2) == 0 and taught([[-sure[0][0]]], 2) == 3
    assert fooled([[torch.tensor([2.0])]]) < fooled([[torch.tensor([-2.0])]])
    assert unmatched(judged, judged) == 0


def test_what_is_asked_is_partly_what_the_face_is() -> None:
    run = Pix2PixHDTraining(replace(PHOTOS, batch=64, own=8), face_set(2), CPU)
    labels = torch.tensor([0.0, 0, 1, 1, 0]).expand(64, -1)
    asked = run.asked(labels)
    assert torch.equal(asked[:8], labels[:8])
    assert torch.equal(asked[:, :HAIR].sum(1), torch.ones(64))
    changed = (asked != labels)[8:, HAIR:].float().mean()  # half are kept, and a coin decides over the others
    assert 0.1 < changed < 0.4


@every_training
def test_a_step_teaches_the_generator_and_the_critics(name: str) -> None:
    run = training(name)
    before = {part: [p.detach().clone() for p in getattr(run, part).parameters()] for part in ("generator", "critics")}
    losses = run.step(0)
    assert {"critics", "fool", "features", "pixels", "seen"} <= set(losses)
    assert all(np.isfinite(list(losses.values())))
    for part, values in before.items():
        assert any(not torch.equal(a, b) for a, b in zip(values, getattr(run, part).parameters(), strict=True))


@every_training
def test_a_few_steps_bring_the_pictures_nearer(name: str) -> None:
    run = training(name, count=2, learning_rate=2e-3)
    losses = []
    for number in range(9):
        run._told = {}  # read them at every step
        losses.append(run.step(number)["pixels"])
    assert sum(losses[-2:]) < 0.9 * sum(losses[:2])


@every_training
def test_training_goes_on_as_if_never_interrupted_and_what_it_exports_loads(name: str, tmp_path: Path) -> None:
    samples = 2 * smooth(1) - 1
    train(training(name), tmp_path / "whole", samples)
    halted = training(name)
    halted.steps = 1
    train(halted, tmp_path / "parts", samples)
    again = training(name, seed=5)
    assert train(again, tmp_path / "parts", samples, resume=True) == again.steps
    one, other = (load_file(tmp_path / folder / "weights.safetensors") for folder in ("whole", "parts"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    fresh: nn.Module = SpadeNet(*SIZES) if name == "spade" else ConditionedResNet(4, 4, 1, 5)
    fresh.load_state_dict(one)
    columns = 2 + len(MOVES) if name == "spade" else 1 + len(EDITS)
    assert run_sheet(again, samples).shape == (1, columns, 3, SIZE, SIZE)


def run_sheet(run: PairTraining, samples: Tensor) -> Tensor:
    sheet = run.sheet(samples)  # type: ignore[attr-defined]
    assert isinstance(sheet, Tensor) and sheet.abs().max() <= 1
    return sheet
