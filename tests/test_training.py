"""Training goes on after an interruption as if there had been none, and what it exports is what shield loads."""

import copy
import csv
import io
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typer.testing import CliRunner

from shield.channels import load_channel
from shield.cli import app
from shield.detection.network import DetectorNet
from shield.errors import InputError, RecipeError
from shield.faces import PORTRAIT, Face, Template, warp, whole_picture
from shield.faces.attributes import AttributeNet
from shield.faces.expression import MEASURES, conditions
from shield.faces.templates import ARCFACE
from shield.frames import FRAMES, Reframing
from shield.lpips import load_lpips
from shield.masking import CHROMA
from shield.photo import to_tensor
from shield.recipe import BALANCED
from shield.starts.universal import SIZE as UNIVERSAL_SIZE
from shield.starts.universal import TENSOR
from shield.surrogates import judges, load_surrogate
from shield.surrogates.cyclegan import BOTH_WAYS, Directions
from shield.surrogates.generator import StarGANGenerator, blended
from shield.surrogates.published.family import Editor, Family, fit
from shield.surrogates.published.ganimation import GANIMATION
from shield.surrogates.published.stargan import STARGAN
from shield.surrogates.recognisers import heads
from shield.surrogates.recognisers.iresnet import IResNet
from shield.surrogates.recognisers.transformer import FaceTransformer
from shield.surrogates.stargan import EDITS
from shield.training.adversarial import TRAINED, AdversarialTraining, Critic, Optimisation
from shield.training.attributes import AttributesRecipe, AttributesTraining
from shield.training.command import train_model
from shield.training.cyclegan import CycleGANRecipe, CycleGANTraining
from shield.training.data import SOURCES, BalancedSampler, FaceSet, load_faces, varied
from shield.training.detector import LEARNED, WITHOUT, DetectorRecipe, DetectorTraining, real_rows
from shield.training.framing import between
from shield.training.ganimation import FURTHEST, GANimationRecipe, GANimationTraining, measured
from shield.training.hardening import HARDENINGS, Hardening, changed
from shield.training.histories import with_history
from shield.training.lessons import prepare
from shield.training.loop import Training, rate_factor, recipes, train
from shield.training.makers import PROTECTED, RELATIVES, STYLEGAN, SYNTHETIC, Edited, Maker, makers
from shield.training.posed import DARK, SEEN_IN_PART, moved_points, posed, where_changed
from shield.training.stargan import ATTRIBUTES, HAIR, HARDENED_STEPS, StarGANRecipe, StarGANTraining, random_targets
from shield.training.students import Kind, StudentRecipe, StudentTraining, seen
from shield.training.swap import SwapRecipe, SwapTraining
from shield.training.universal import CPU, HELD_OUT, LOOK, UniversalRecipe, UniversalTraining

SIZE = 128  # px: half of it is the smallest that the critic's six strides leave a pixel of
STEPS, HALVED, LAST = 12, 7, 5  # of a run, of which at half size, and the last before it is interrupted, in a lesson
LEARNING = 20  # steps in which something is learnt
NAMES = ("Smiling", *ATTRIBUTES, "Eyeglasses", "Gray_Hair")
TINY: dict[str, Any] = {
    "width": 4,
    "blocks": 1,
    "critic_width": 4,
    "batch": 4,
    "kept": 1,
    "lead": 0,
    "lesson": 3,
    "steps": STEPS,
    "seed": 3,
}
RECIPES: dict[str, Optimisation] = {
    "cyclegan": CycleGANRecipe(size=SIZE, small_steps=HALVED, **TINY),
    "ganimation": GANimationRecipe(size=SIZE, small_steps=HALVED, **TINY),
    "stargan": StarGANRecipe(size=SIZE, small_steps=HALVED, **TINY),
    "stargan-hardened-g": StarGANRecipe(size=SIZE, small_steps=HALVED, **TINY, hardening=HARDENINGS["g"]),
    "stargan-hardened-gd": StarGANRecipe(size=SIZE, small_steps=HALVED, **TINY, hardening=HARDENINGS["gd"]),
}

FAMILIES: dict[str, Family] = {"cyclegan": BOTH_WAYS, "ganimation": GANIMATION}  # and StarGAN

OTHERS: dict[str, set[str]] = {  # and what they report
    "attributes": {"loss", "right"},
    "detector": {"loss", "real", "made"},
    "iresnet": {"loss", "held out"},
    "swap": {"texture", "whole", "fool", "same", "sface"},
    "transformer": {"loss", "held out"},
    "universal": {"reached"},
}

WITHOUTS = {WITHOUT.format(name) for name in makers.registered()}  # as "detector", but for who teaches
IN_OTHER_FILES = {"biggan", "pix2pixhd", "progan", "protector", "spade", "stylegan2", "stylegan2_encoder"}
ELSEWHERE = WITHOUTS | IN_OTHER_FILES

every_recipe = pytest.mark.parametrize("name", sorted({*recipes} - ELSEWHERE))
every_manipulator = pytest.mark.parametrize("name", sorted(RECIPES))


def face_set(count: int = 24, size: int = SIZE) -> FaceSet:
    """Random pictures; their labels take every hair colour, sex and age in turn, over all sources."""
    random = Generator().manual_seed(0)
    faces = torch.randint(0, 256, (count, 3, size, size), generator=random, dtype=torch.uint8)
    labels = torch.zeros(count, len(NAMES))
    for row in range(count):
        labels[row, 1 + row % HAIR] = 0.9
        labels[row, 4] = (row // 3) % 2
        labels[row, 5] = (row // 6) % 2
    return FaceSet(faces, labels, torch.arange(count) % len(SOURCES), NAMES)


def training(name: str, autocast: bool = False, data: FaceSet | None = None, **changes: Any) -> AdversarialTraining:
    recipe = replace(RECIPES[name], **changes)
    data = data or face_set(size=recipe.size)
    if isinstance(recipe, StarGANRecipe):
        return StarGANTraining(recipe, data, autocast)
    if isinstance(recipe, CycleGANRecipe):
        return CycleGANTraining(recipe, data, autocast)
    assert isinstance(recipe, GANimationRecipe)
    return GANimationTraining(recipe, data, autocast)


def small(name: str, **changes: Any) -> AdversarialTraining:
    """At the smallest size there is."""
    return training(name, **({"size": 64, "small_steps": 0} | changes))


def any_training(name: str, **changes: Any) -> Training:
    """Of every recipe, whatever it trains; the smallest there is."""
    settings: dict[str, Any] = {"batch": 4, "steps": STEPS, "seed": 3} | changes
    if name == "attributes":
        return AttributesTraining(AttributesRecipe(**settings), face_set(size=64), False)
    if name == "detector":
        return detector_training(**settings)
    if name in STUDENTS:
        return student_training(name, **settings)
    if name == "swap":
        tiny = {"batch": 2, "same": 1, "widths": (4, 4, 8, 8), "blocks": 1, "critic_width": 4}
        return SwapTraining(SwapRecipe(**settings | tiny), face_set(4), CPU)
    if name == "universal":
        return UniversalTraining(UniversalRecipe(**settings | {"batch": 1}), face_set(size=64), [toy(1), toy(2)])
    return small(name, **changes)


def toy(seed: int) -> Editor:
    """A manipulator that nobody trained, as small as can be."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = StarGANGenerator(4, len(ATTRIBUTES), 1)
    return Editor(f"toy {seed}", "none", PORTRAIT, network, EDITS, 64)


def detector_training(side: int = 64, **settings: Any) -> DetectorTraining:
    """The detector's, taught by a tiny StarGAN."""
    recipe = DetectorRecipe(**({"others": 2, "pairs": 6, "crop": 48, "ramp": 4} | settings))
    return DetectorTraining(recipe, face_set(size=side), False, [Edited(toy(0))])


class Teacher(nn.Module):
    """A recogniser of faces of ``size`` px that nobody trained: their colours in a few places, turned at random.

    All its answers lie far from zero, so that their directions from there hardly differ, as of some real ones.
    """

    def __init__(self, length: int, size: int = 32, framing: Template = ARCFACE) -> None:
        super().__init__()
        self.size, self.framing = size, framing
        self.turn = torch.randn(3 * 16, length, generator=Generator().manual_seed(length))

    def forward(self, faces: Tensor) -> Tensor:
        return (20 + F.adaptive_avg_pool2d(faces, 4).flatten(1) @ self.turn)[:, None]


STUDENTS: dict[str, Kind] = {
    "iresnet": partial(IResNet, widths=(8, 8, 8, 8)),
    "transformer": partial(FaceTransformer, width=24, layers=1),
}
TEACHERS = [Teacher(5), Teacher(7, 48)]
every_student = pytest.mark.parametrize("name", STUDENTS)


def student_training(name: str, data: FaceSet | None = None, **settings: Any) -> StudentTraining:
    """A tiny student of two teachers."""
    recipe = StudentRecipe(**({"batch": 4, "mixed": 10, "warm_up": 2} | settings))
    return StudentTraining(recipe, STUDENTS[name], data or face_set(size=64), TEACHERS, CPU)


def samples(size: int = SIZE) -> Tensor:
    return face_set(2, size).faces.float() / 127.5 - 1


def test_every_recipe_is_under_test() -> None:
    assert sorted([*RECIPES, *OTHERS, *ELSEWHERE]) == sorted(recipes)


# The loop


class InterruptedTrainingError(Exception):
    pass


def interrupt(step: int, steps: int, losses: dict[str, float], left: float) -> None:
    if step == LAST:
        raise InterruptedTrainingError


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[AdversarialTraining, Path]]:
    """By name: an uninterrupted run of all steps, and its folder."""
    done: dict[str, tuple[AdversarialTraining, Path]] = {}

    def run(name: str) -> tuple[AdversarialTraining, Path]:
        if name not in done:
            done[name] = training(name), tmp_path_factory.mktemp(name) / "new"
            assert train(*done[name], samples()) == STEPS
        return done[name]

    return run


Runs = Callable[[str], tuple[AdversarialTraining, Path]]


def equal(one: object, other: object) -> bool:
    """Bit by bit, through nested states."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@every_manipulator
def test_an_interrupted_run_resumes_to_the_very_same_weights(name: str, runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(InterruptedTrainingError):
        train(training(name), tmp_path, samples(), minutes_between=0, report=interrupt)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == LAST - 1
    seen: list[int] = []
    again = training(name, seed=99)  # everything comes from the checkpoint
    assert train(again, tmp_path, samples(), resume=True, report=lambda step, *_: seen.append(step)) == STEPS
    assert seen == list(range(LAST, STEPS + 1))
    assert equal(again.state_dict(), runs(name)[0].state_dict())


@every_recipe
def test_the_same_seed_gives_the_same_run_and_another_seed_another(name: str) -> None:
    trainings = [any_training(name, seed=seed) for seed in (1, 1, 2)]
    losses = [[run.step(number) for number in range(2)] for run in trainings]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@every_manipulator
def test_a_run_leaves_a_checkpoint_a_sheet_and_weights(name: str, runs: Runs) -> None:
    run, out = runs(name)
    assert sorted(path.name for path in out.iterdir()) == ["checkpoint.pt", "sheet.png", "weights.safetensors"]
    with Image.open(out / "sheet.png") as file:
        sheet = np.array(file)
    expected = run.sheet(samples())
    assert sheet.shape == (2 * SIZE, expected.shape[1] * SIZE, 3)
    assert np.array_equal(sheet[:SIZE, :SIZE], face_set().faces[0].permute(1, 2, 0).numpy())
    edited = torch.from_numpy(sheet[SIZE:, SIZE : 2 * SIZE].copy()) / 127.5 - 1
    assert (edited - expected[1, 1].permute(1, 2, 0)).abs().max() < 0.01


def test_the_sheet_of_stargan_shows_the_edits_that_shield_uses(runs: Runs) -> None:
    run, _ = runs("stargan")
    with torch.no_grad():
        vectors = torch.tensor(list(EDITS.values()), dtype=torch.float32)
        expected = run.average(samples()[:1].expand(len(EDITS), -1, -1, -1), vectors)
    assert torch.allclose(run.sheet(samples())[0, 1:], expected, atol=1e-5)


@every_manipulator
def test_the_exported_weights_are_the_averaged_ones_in_half_precision(name: str, runs: Runs) -> None:
    run, out = runs(name)
    tensors = load_file(out / "weights.safetensors")
    assert {value.dtype for value in tensors.values()} == {torch.float16}
    average = run.average.state_dict()
    assert equal(tensors, {key: value.half() for key, value in average.items()})
    assert not equal(average, run.generator.state_dict())


@every_manipulator
def test_the_exported_weights_load_into_the_published_layout_and_do_the_same(name: str, runs: Runs) -> None:
    run, out = runs(name)
    loaded = fit(FAMILIES.get(name, STARGAN), load_file(out / "weights.safetensors"), name).network
    with torch.no_grad():
        vectors = run.targets(run.labels[:2])
        assert (loaded(samples(), vectors) - run.average(samples(), vectors)).abs().max() < 0.02


def test_without_resume_a_checkpoint_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    assert train(small("stargan", steps=1), tmp_path, samples(64)) == 1
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 1


def test_a_finished_run_is_not_trained_further(runs: Runs) -> None:
    _, out = runs("stargan")
    before = load_file(out / "weights.safetensors")
    assert train(training("stargan"), out, samples(), resume=True) == STEPS
    assert equal(load_file(out / "weights.safetensors"), before)


def test_time_that_is_up_ends_a_run_and_keeps_it(tmp_path: Path) -> None:
    assert train(small("stargan"), tmp_path, samples(64), hours=0) == 0
    assert (tmp_path / "checkpoint.pt").is_file()


def test_the_rate_is_constant_then_falls_straight_to_zero() -> None:
    assert [rate_factor(step, 300) for step in (0, 100, 200, 250, 275, 300)] == pytest.approx([1, 1, 1, 0.5, 0.25, 0])


def test_the_loop_sets_the_rate(runs: Runs) -> None:
    run, _ = runs("stargan")
    factor = rate_factor(STEPS - 1, STEPS)
    for name, optimiser in run.optimisers.items():
        rate = run.settings.reader_rate if name == "reader" else run.settings.learning_rate
        assert optimiser.param_groups[0]["lr"] == pytest.approx(rate * factor)


@every_recipe
def test_progress_is_reported_with_losses_and_time_left(name: str, tmp_path: Path) -> None:
    reports: list[tuple[int, int, dict[str, float], float]] = []
    train(any_training(name, steps=3), tmp_path, samples(64), report=lambda *report: reports.append(report))
    assert [report[:2] for report in reports] == [(1, 3), (2, 3), (3, 3)]
    expected = OTHERS.get(name, {"texture", "whole", "lesson", "fool", "target", "back", "same"})
    for _, _, losses, _ in reports:
        assert set(losses) >= expected
        assert all(np.isfinite(list(losses.values())))
    left = [report[3] for report in reports]
    assert left[0] > 0
    assert left[2] == 0


@every_manipulator
def test_training_begins_with_given_weights_past_the_half_size_steps(name: str, runs: Runs, tmp_path: Path) -> None:
    trained, out = runs(name)
    fresh = training(name, seed=99, small_steps=STEPS - 1)
    seen: list[int] = []
    train(fresh, tmp_path, samples(), weights=out / "weights.safetensors", report=lambda step, *_: seen.append(step))
    assert seen == [STEPS]
    moved = [
        (mine - theirs).abs().max()
        for mine, theirs in zip(fresh.average.parameters(), trained.average.parameters(), strict=True)
    ]
    assert max(moved) < 0.05  # float16 and one step away; a fresh generator is further


def test_weights_of_another_network_are_no_beginning(runs: Runs, tmp_path: Path) -> None:
    _, out = runs("stargan")
    for weights in (out / "weights.safetensors", tmp_path / "none", out / "sheet.png"):
        with pytest.raises(InputError, match="does not hold weights of this recipe"):
            train(small("cyclegan"), tmp_path / "new", samples(64), weights=weights)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_manipulator_resumes_to_the_very_same_weights_too(name: str, tmp_path: Path) -> None:
    whole = any_training(name)
    assert train(whole, tmp_path / "whole", samples(64)) == STEPS
    with pytest.raises(InterruptedTrainingError):
        train(any_training(name), tmp_path / "half", samples(64), minutes_between=0, report=interrupt)
    again = any_training(name, seed=99)
    assert train(again, tmp_path / "half", samples(64), resume=True) == STEPS
    assert equal(again.state_dict(), whole.state_dict())
    weights = [load_file(tmp_path / name / "weights.safetensors") for name in ("half", "whole")]
    assert equal(*weights)
    sheet = ["sheet.png"] if name in ("swap", "universal") else []
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert files == ["checkpoint.pt", *sheet, "weights.safetensors"]


# The attribute network


def test_the_attribute_network_sees_celeba_alone() -> None:
    run = any_training("attributes")
    assert isinstance(run, AttributesTraining)
    assert (run.data.source[run.rows] == SOURCES.index("celeba")).all()
    assert len(run.rows) == len(run.data) // len(SOURCES)


def test_the_attribute_network_learns_and_its_export_does_the_same() -> None:
    data = face_set(size=64)
    bright = torch.arange(len(data)) % 2 == 1
    data.source[:], data.labels[:] = 0, 0.0
    data.faces[:], data.faces[bright] = 40, 200
    data.labels[bright] = 1.0
    run = AttributesTraining(AttributesRecipe(batch=8, steps=LEARNING, learning_rate=5e-3), data, False)
    losses = [run.step(number)["loss"] for number in range(LEARNING)]
    assert np.median(losses[-7:]) < 0.3 * np.median(losses[:3])
    loaded = AttributeNet()
    loaded.load_state_dict(run.export())
    with torch.no_grad():
        assert (loaded.eval()(data.faces[:4] / 255) - run.network.eval()(data.faces[:4] / 255)).abs().max() < 0.05


# Students of recognisers


def blurs(count: int = 24) -> FaceSet:
    """Smooth pictures, each another one."""
    data = face_set(count, 64)
    data.faces.copy_(F.interpolate(data.faces[:, :, :4, :4].float(), size=(64, 64), mode="bilinear").byte())
    return data


@every_student
def test_a_student_learns_its_teachers_answers_and_its_export_says_the_same(name: str) -> None:
    """On faces that it never saw; and what was exported is as good."""
    data, settings = blurs(60), {"batch": 8, "steps": 80, "learning_rate": 1e-2, "averaging": 0.8, "mixed": 100}
    run = student_training(name, data, **settings)
    before = run.look()
    for number in range(80):
        run.step(number)
    assert before < 0.3
    assert run.look() > 0.5
    again = student_training(name, data, **settings, warm_up=3)
    assert again.look() == before
    again.begin_with(run.export())
    assert again.look() == pytest.approx(run.look(), abs=0.01)


def test_a_student_is_not_taught_by_the_judge() -> None:
    assert set(heads.TEACHERS) == {"dlib", "mobilefacenet", "fr_feature"}
    assert not set(heads.TEACHERS) & set(judges)
    for name, length in heads.TEACHERS.items():
        teacher = load_surrogate(name, CPU)
        assert teacher(torch.rand(1, 3, teacher.size, teacher.size)).shape[2] == length


def test_lessons_are_faces_and_means_of_two_with_the_teachers_directions_from_their_mean() -> None:
    faces = blurs().faces
    rows = torch.tensor([0, 2, 3, 5])
    lessons = prepare(faces, rows, 6, TEACHERS, Generator().manual_seed(0))
    assert len(lessons) == 10 and lessons.sizes == (5, 7)
    assert torch.allclose(lessons.pictures(torch.arange(4)), faces[rows] / 255, atol=1e-6)
    row, share = 7, lessons.share[7]
    assert {int(lessons.first[row]), int(lessons.second[row])} <= {*rows.tolist()} and 0.3 <= share <= 0.7
    mean = (faces[lessons.first[row]] * (1 - share) + faces[lessons.second[row]] * share) / 255
    assert torch.allclose(lessons.pictures(torch.tensor([row]))[0], mean, atol=1e-5)
    picture = warp(mean[None], whole_picture(64, 64), 48, ARCFACE)
    said = (TEACHERS[1](picture) + TEACHERS[1](picture.flip(3)))[0, 0] / 2 - lessons.means[5:]
    assert torch.allclose(lessons.answers[row, 5:], said / said.norm(), atol=1e-3)
    strangers = lessons.answers[:4, :5] @ lessons.answers[:4, :5].T
    assert strangers.min() < 0  # though all of them lie in one direction from zero


def test_what_is_held_out_from_students_is_in_no_lesson() -> None:
    run = student_training("iresnet")
    held = {*run.exam.first.tolist()}
    assert held and not held & {*run.lessons.first.tolist(), *run.lessons.second.tolist()}
    assert torch.equal(run.exam.means, run.lessons.means)


def test_a_student_sees_the_teachers_frame_or_one_near_it() -> None:
    faces = F.interpolate(blurs().faces[:2] / 255, size=(128, 128), mode="bicubic").clamp(0, 1)
    straight = torch.full((2, 8), 0.5)
    expected = warp(faces, whole_picture(128, 128), heads.SIZE, ARCFACE)
    inside = (..., slice(4, -4), slice(4, -4))
    assert (seen(faces, straight, between(PORTRAIT, ARCFACE)) - expected)[inside].abs().max() < 0.02
    mirrored = straight.clone()
    mirrored[:, 4] = 1
    assert (seen(faces, mirrored, between(PORTRAIT, ARCFACE)) - expected.flip(3))[inside].abs().max() < 0.02
    away = straight.clone()
    away[:, :4] = torch.tensor([1.0, 0.25, 0.75, 0.0])
    frame = Reframing((FRAMES.shift, -FRAMES.shift / 2), 1 + FRAMES.scale / 2, -FRAMES.turn)
    moved = warp(faces, frame.of(whole_picture(128, 128)), heads.SIZE, ARCFACE)
    near = seen(faces, away, between(PORTRAIT, ARCFACE))
    assert (near - moved)[inside].abs().max() < 0.02
    away[:, 4] = 1
    assert torch.allclose(seen(faces.flip(3), away, between(PORTRAIT, ARCFACE)), near, atol=1e-4)
    assert (moved - expected)[inside].abs().max() > 0.1


def test_a_student_sees_faces_softer_sharper_coarser_and_in_other_light() -> None:
    faces = face_set(2, 64).faces.float() / 255
    straight = torch.full((2, 8), 0.5)

    def changed(column: int, value: float) -> Tensor:
        drawn = straight.clone()
        drawn[:, column] = value
        return seen(faces, drawn, between(PORTRAIT, ARCFACE))

    plain = seen(faces, straight, between(PORTRAIT, ARCFACE))
    assert changed(5, 0.9).mean() > plain.mean() + 0.05
    assert changed(6, 0.9).std() > plain.std() > changed(6, 0.1).std()
    assert changed(7, 0.9).std() > plain.std() > changed(7, 0.3).std() > changed(7, 0.1).std()


def test_time_that_is_up_leaves_a_student_of_use() -> None:
    """What is exported is a mean that forgets the random start, of numbers of batch normalisation too."""
    run = student_training("iresnet", steps=STEPS)
    start = {name: value.clone() for name, value in run.network.state_dict().items()}
    for number in range(STEPS):
        run.step(number)
    own, name = run.network.state_dict(), "stem.1.running_var"
    mean = run.average.state_dict()[name]
    assert not torch.equal(mean, own[name])
    assert (mean - own[name]).abs().max() < (start[name] - own[name]).abs().max()
    assert run.export()["stem.1.num_batches_tracked"] == STEPS


# The universal perturbation


def universal(faces: FaceSet | None = None, **changes: Any) -> UniversalTraining:
    settings: dict[str, Any] = {"batch": 2, "steps": LEARNING} | changes
    return UniversalTraining(UniversalRecipe(**settings), faces or smooth(64), [toy(1)])


def test_the_change_climbs_on_its_faces_and_on_those_held_out() -> None:
    """Far beyond what random signs do at the same visibility."""
    run, signs = universal(learning_rate=0.2), universal()
    with torch.no_grad():
        signs.network[TENSOR].sign_()
    by_chance = signs.look()["toy 1, held out"]
    losses = [run.step(number) for number in range(LEARNING)]
    assert np.mean([loss["reached"] for loss in losses[-5:]]) > 10 * by_chance
    assert [set(loss) - {"reached"} for loss in losses] == [set()] * (LOOK - 1) + [{"toy 1, held out"}]
    assert losses[-1]["toy 1, held out"] > 10 * by_chance
    assert run.network[TENSOR].abs().max() <= 1


def test_held_out_faces_are_never_drawn() -> None:
    data = face_set(40, 64)
    run = universal(data)
    assert len(run.rows) == 40 - HELD_OUT
    drawn = torch.nn.functional.interpolate(data.faces[run.rows] / 255, size=UNIVERSAL_SIZE, mode="bicubic").clamp(0, 1)
    assert not any(torch.allclose(face, other) for face in run.faces for other in drawn)


def test_faces_wear_the_change_within_the_bounds_of_a_photo() -> None:
    """Not much beyond LPIPS: it is drawn in along a parabola, and the file is fitted to it later."""
    run, network = universal(strength=replace(BALANCED, face_lpips=0.02, levels=12, smooth=0)), load_lpips(CPU)
    strength = run.recipe.strength
    faces = 0.2 + 0.6 * torch.rand(3, 3, UNIVERSAL_SIZE, UNIVERSAL_SIZE, generator=Generator().manual_seed(0))
    faces[0] = 0.5
    with torch.no_grad():
        patches = 2 * torch.rand(1, 3, 32, 32, generator=Generator().manual_seed(1)) - 1
        run.network[TENSOR].copy_(F.interpolate(patches.sign(), size=(UNIVERSAL_SIZE, UNIVERSAL_SIZE)))
        worn = run.worn(faces)
        change = worn - faces
        assert change.abs().amax() <= strength.levels / 255 + 1e-6
        assert change[0].abs().amax() < 1e-6  # nothing hides it
        assert change[..., 0].abs().max() < 1e-4  # it fades out at the frame
        assert (change - change.mean(1, keepdim=True)).abs().max() <= CHROMA * strength.levels / 255 + 1e-6
        assert 0.7 * strength.face_lpips < network(faces, worn).max() < 1.1 * strength.face_lpips
        run.network[TENSOR].zero_()
        assert torch.equal(run.worn(faces), faces)


def test_the_change_is_exported_as_one_tensor_and_taken_up_again() -> None:
    run, again = universal(), universal(seed=5)
    run.step(0)
    tensors = run.export()
    assert {name: (value.shape, value.dtype) for name, value in tensors.items()} == {
        TENSOR: ((1, 3, UNIVERSAL_SIZE, UNIVERSAL_SIZE), torch.float16)
    }
    assert again.begin_with(tensors) == 0
    assert torch.allclose(again.network[TENSOR], run.network[TENSOR], atol=1e-3)


def test_the_sheet_shows_the_face_with_the_change_and_what_becomes_of_it() -> None:
    run, faces = universal(), samples(64)
    sheet = run.sheet(faces)
    assert sheet.shape == (2, 2 + len(EDITS), 3, 64, 64)
    assert torch.equal(sheet[:, 0], faces)
    assert 0 < (sheet[:, 1] - faces).abs().mean() < 0.2


def test_every_road_of_the_universal_change_is_there_and_takes_a_batch() -> None:
    run = universal()
    for name in run.recipe.roads:
        load_channel(name)
        one = universal(roads=(name,))
        assert np.isfinite(one.step(0)["reached"])


# A step


@every_manipulator
def test_a_step_moves_every_network_and_the_average_follows(name: str) -> None:
    run = small(name)
    before = {part: [p.clone() for p in getattr(run, part).parameters()] for part in TRAINED}
    run.step(0)
    for part, old in before.items():
        assert all(not torch.equal(a, b) for a, b in zip(old, getattr(run, part).parameters(), strict=True)), part
    keep = 0.1  # (1 + step) / (10 + step)
    parameters = zip(before["generator"], run.generator.parameters(), run.average.parameters(), strict=True)
    for start, now, mean in parameters:
        assert torch.allclose(mean, keep * start + (1 - keep) * now, atol=1e-6)
    assert all(weight.requires_grad for part in TRAINED for weight in getattr(run, part).parameters())


@every_manipulator
def test_the_first_steps_run_at_half_size(name: str) -> None:
    run = training(name, small_steps=1)
    seen: list[tuple[int, ...]] = []
    run.critic.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
    run.step(0)
    run.step(1)
    assert seen == [(count, 3, size, size) for size in (64, 128) for count in (3 * 4, 4)]


def smooth(size: int) -> FaceSet:
    """The same smooth picture again and again."""
    data, x = face_set(size=size), torch.linspace(0, 255, size)
    picture = torch.stack([x.expand(size, size), x.flip(0)[:, None].expand(size, size), x.expand(size, size).flip(1)])
    data.faces.copy_(picture.byte().expand_as(data.faces))
    return data


def test_the_reader_alone_learns_in_the_lead() -> None:
    run = small("ganimation", lead=1)
    before = {name: copy.deepcopy(getattr(run, name).state_dict()) for name in (*TRAINED, "average")}
    assert run.step(0).keys() == {"lesson"}
    moved = {name for name, state in before.items() if not equal(getattr(run, name).state_dict(), state)}
    assert moved == {"reader"}
    assert run.step(1).keys() > {"lesson", "whole", "target"}


def test_training_learns_to_find_the_way_back() -> None:
    run = small("stargan", data=smooth(64), learning_rate=2e-3)
    back = [run.step(number)["back"] for number in range(25)]
    assert np.mean(back[-5:]) < 0.8 * np.mean(back[:5])


def test_the_critic_learns_which_labels_a_real_face_has() -> None:
    torch.manual_seed(0)
    critic = Critic(8, 2)
    optimiser = torch.optim.Adam(critic.parameters(), 2e-3, (0.5, 0.99))
    labels = F.one_hot(torch.arange(8) % 2, 2).float()
    faces = (2 * labels[:, 1] - 1)[:, None, None, None] * 0.5 + 0.1 * torch.randn(8, 3, 64, 64)
    for _ in range(60):
        optimiser.zero_grad()
        (F.relu(1 - critic(faces, labels)[1]) + F.relu(1 + critic(faces, 1 - labels)[1])).mean().backward()
        optimiser.step()
    critic.eval()  # spectral norms stand still
    assert (critic(faces, labels)[1] > critic(faces, 1 - labels)[1]).all()
    assert torch.equal(critic(faces, labels)[0], critic(faces, 1 - labels)[0])  # texture is nobody's label


def test_the_critic_scores_small_patches_and_the_whole() -> None:
    texture, whole = Critic(8, 2)(torch.zeros(3, 3, 128, 128), torch.zeros(3, 2))
    assert texture.shape == (3, 1, 8, 8)
    assert whole.shape == (3, 1, 2, 2)


@every_manipulator
def test_the_reader_learns_the_labels_of_real_faces(name: str) -> None:
    data = face_set(size=64)
    bright = torch.arange(len(data)) % 2 == 1
    data.faces[:], data.labels[:] = 30, torch.tensor([0.0, 1, 0, 0, 1, 1, 0, 0])
    data.faces[bright], data.labels[bright] = 220, torch.tensor([0.0, 0, 1, 0, 0, 0, 0, 0])
    run = small(name, data=data)
    lesson = [run.step(number)["lesson"] for number in range(25)]
    assert np.mean(lesson[-5:]) < 0.7 * np.mean(lesson[:5])


@every_manipulator
def test_some_faces_are_asked_for_what_they_are_and_must_stay(name: str) -> None:
    run = small(name, data=smooth(64), learning_rate=1e-3, kept=3)
    asked, drawn = [], []
    make, draw = run.make, run.draw

    def watched_make(real: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        asked.append(targets)
        return make(real, targets)

    def watched_draw(count: int, size: int) -> tuple[Tensor, Tensor]:
        drawn.append(draw(count, size))
        return drawn[-1]

    run.make, run.draw = watched_make, watched_draw  # type: ignore[method-assign]
    same = [run.step(number)["same"] for number in range(30)]
    assert np.mean(same[-5:]) < 0.8 * np.mean(same[:5])
    for targets, (_, labels) in zip(asked, drawn[1::2], strict=True):  # every other draw is the reader's
        assert torch.equal(targets[:3], labels[:3])


def test_varied_faces_are_shifted_and_relit_by_the_seed_and_let_gradients_through() -> None:
    faces = samples(64).expand(2, -1, -1, -1).clone().mul_(0.5).requires_grad_()
    one, same, other = (varied(faces, Generator().manual_seed(seed), tint=0.1) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == faces.shape
    assert one.abs().max() <= 1
    one.sum().backward()
    assert faces.grad is not None
    assert (faces.grad.abs().sum((2, 3)) > 0).all()


@every_manipulator
def test_a_step_in_bfloat16_is_finite(name: str) -> None:
    run = small(name, autocast=True)
    assert all(np.isfinite(list(run.step(0).values())))
    assert all(bool(weight.isfinite().all()) for weight in run.generator.parameters())


# Hardening

MOST = HARDENINGS["g"].levels / 127.5  # of [-1, 1]


def test_changed_faces_stay_within_the_bound_and_break_the_generator() -> None:
    run = small("stargan")
    faces, labels = run.draw(4, 64)
    generator, targets = run.generator, run.targets(labels)
    before = copy.deepcopy(generator.state_dict())
    shown = []

    def watched(faces: Tensor, conditions: Tensor) -> Tensor:
        shown.append(faces.detach())
        return generator(faces, conditions)  # type: ignore[no-any-return]

    one, same, other = (
        changed(watched, faces, targets, HARDENINGS["g"], Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert all((picture - faces).abs().max() <= MOST + 1e-5 for picture in shown)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not one.requires_grad
    assert one.abs().max() <= 1
    assert (one - faces).abs().max() == pytest.approx(MOST, abs=1e-5)
    noise = faces + MOST * (2 * torch.randint(2, faces.shape, generator=Generator().manual_seed(0)) - 1)
    with torch.no_grad():
        clean = generator(faces, targets)
        far, near = ((generator(x, targets) - clean).square().mean() for x in (one, noise))
    assert far > 2 * near
    assert equal(generator.state_dict(), before)
    assert all(weight.grad is None for weight in generator.parameters())


def test_the_papers_bound_holds_the_levels() -> None:
    assert all(way.levels == int(0.05 * 127.5) for way in HARDENINGS.values())


@pytest.mark.parametrize("way", [None, *HARDENINGS])
def test_who_is_shown_changed_pictures(way: str | None) -> None:
    """The generator always, the critic only of gd; what they are held against is the clean picture."""
    run = small(f"stargan-hardened-{way}" if way else "stargan")
    drawn, given, shown = [], [], []
    draw, make = run.draw, run.make

    def watched_draw(count: int, size: int) -> tuple[Tensor, Tensor]:
        drawn.append(draw(count, size))
        return drawn[-1]

    def watched_make(real: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        given.append(real)
        return make(real, targets)

    run.draw, run.make = watched_draw, watched_make  # type: ignore[method-assign]
    run.critic.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
    run.step(0)
    real = drawn[1][0]  # the first are the reader's
    assert torch.equal(given[0], real) == (way is None)
    assert (given[0] - real).abs().max() <= MOST + 1e-5
    expected = given[0] if way == "gd" else real
    assert torch.equal(shown[0], torch.cat([expected, shown[0][4:8], expected]))


class Copying(nn.Module):
    """What it is given is what it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, faces: Tensor, conditions: Tensor) -> Tensor:
        return faces * self.scale


@pytest.mark.parametrize("way", HARDENINGS)
def test_changed_pictures_are_to_be_seen_through(way: str) -> None:
    """A generator that hands the change on pays for it: its faces are held against the clean ones."""
    run = small(f"stargan-hardened-{way}")
    run.generator, run.average = Copying(), Copying()
    losses = run.step(0)
    reconstruction = run.settings.reconstruction
    for term in ("same", "back"):
        assert 0.5 * MOST * reconstruction < losses[term] < 1.1 * MOST * reconstruction


def test_any_manipulator_can_be_hardened() -> None:
    for name in ("cyclegan", "ganimation"):
        assert all(np.isfinite(list(small(name, hardening=Hardening(critic=True)).step(0).values())))


def test_the_recipe_as_shipped_is_hardened_by_name() -> None:
    for name, hardening in ("stargan", None), *((f"stargan-hardened-{way}", HARDENINGS[way]) for way in HARDENINGS):
        run = recipes[name](face_set(size=64), CPU)
        assert isinstance(run, StarGANTraining)
        steps = HARDENED_STEPS if hardening else StarGANRecipe().steps
        assert run.recipe == StarGANRecipe(hardening=hardening, steps=steps)
        assert run.settings is run.recipe


def test_mirroring_takes_half_of_the_faces() -> None:
    data = face_set(size=8)
    data.faces[..., :4], data.faces[..., 4:] = 0, 255
    drawn = data.draw(torch.zeros(400, dtype=torch.long), 4, Generator().manual_seed(0))
    assert drawn.shape == (400, 3, 4, 4)
    plain, mirrored = (drawn[:, 0, 0, 0] == -1).sum(), (drawn[:, 0, 0, 0] == 1).sum()
    assert plain + mirrored == 400
    assert mirrored.item() == pytest.approx(200, abs=40)


def test_targets_have_one_hair_colour_each_and_every_sex_and_age() -> None:
    targets = random_targets(400, Generator().manual_seed(0))
    assert targets.shape == (400, len(ATTRIBUTES))
    assert (targets[:, :HAIR].sum(1) == 1).all()
    counts = Counter(map(tuple, targets.int().tolist()))
    assert len(counts) == 12
    assert min(counts.values()) > 15


def test_cyclegan_asks_for_the_other_domain_by_that_domains_generator() -> None:
    run = small("cyclegan")
    real, labels = run.draw(5, 64)
    targets = run.targets(labels)
    assert torch.equal(targets.sum(1), torch.ones(5))
    assert not (targets == labels).any()
    made, _ = run.make(real, targets)
    assert isinstance(run.generator, Directions)
    for face, target, found in zip(real, targets, made, strict=True):
        expected = run.generator.directions[int(target.argmax())](face[None])[0]
        assert torch.allclose(found, expected, atol=1e-4)


def test_expressions_are_measured_per_face_and_cut() -> None:
    data = face_set(6, 64)
    found = measured(data, batch=4)
    assert found.shape[0] == 6
    assert found.abs().max() <= FURTHEST
    part = FaceSet(data.faces[4:], data.labels[4:], data.source[4:], data.names)
    assert torch.allclose(measured(part), found[4:], atol=1e-4)


def test_attention_copies_the_face_where_it_is_one() -> None:
    faces, colour = torch.full((1, 3, 1, 3), 0.5), torch.full((1, 3, 1, 3), -0.7)
    attention = torch.tensor([1.0, 0.0, 0.25]).view(1, 1, 1, 3)
    found = blended(faces, colour, attention)
    assert torch.allclose(found, torch.tensor([0.5, -0.7, 0.25 * 0.5 - 0.75 * 0.7]).expand(1, 3, 1, 3))


# Sampling


def test_ganimation_may_begin_with_what_a_stargan_can_paint() -> None:
    stargan, run = small("stargan"), small("ganimation")
    assert isinstance(run, GANimationTraining)
    run.begin_with(stargan.export())
    faces = samples(64)
    with torch.no_grad():
        colour, attention = run.painter.parts(faces, torch.ones(len(faces), len(MEASURES)))
        painted = stargan.average(faces, torch.tensor([[1.0, 1, 1, 1, 0]] * len(faces)))
    assert torch.allclose(colour, painted, atol=0.01)  # the weights passed through half precision
    assert torch.equal(attention, torch.full_like(attention, 0.5))


def test_attention_in_half_precision_keeps_its_slope() -> None:
    run = small("ganimation")
    assert isinstance(run, GANimationTraining)
    run.painter.im_att[0] = torch.nn.Conv2d(run.recipe.width, 1, 7, padding=3)
    torch.nn.init.zeros_(run.painter.im_att[0].weight)
    torch.nn.init.constant_(run.painter.im_att[0].bias, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        _, attention = run.painter.parts(samples(64), torch.zeros(2, len(MEASURES)))
    assert attention.dtype == torch.float32
    assert torch.allclose(attention, torch.tensor(8.0).sigmoid(), atol=1e-5)  # bfloat16 has 1 next to 0.996


# Faces warped to an expression


def landmarks() -> Tensor:
    """A plain face's, (1, 68, 2), in fractions: symmetric, its mouth shut."""
    points = torch.full((1, 68, 2), 0.5)
    points[0, :17, 0], points[0, :17, 1] = torch.linspace(0.25, 0.75, 17), 0.9
    for first, x in ((17, 0.33), (22, 0.57)):
        points[0, first : first + 5, 0], points[0, first : first + 5, 1] = torch.linspace(x, x + 0.1, 5), 0.40
    for first, x in ((36, 0.385), (42, 0.615)):
        offsets = torch.tensor([(-0.03, 0), (-0.01, -0.012), (0.01, -0.012), (0.03, 0), (0.01, 0.012), (-0.01, 0.012)])
        points[0, first : first + 6] = offsets + torch.tensor([x, 0.475])
    mouth = [(48 + i, 0.40 + 0.2 * i / 6, 0.715) for i in range(7)]
    mouth += [(54 + i, 0.60 - 0.2 * i / 6, 0.73) for i in range(1, 6)]
    mouth += [(60 + i, 0.42 + 0.16 * i / 4, 0.72) for i in range(5)] + [
        (65 + i, 0.54 - 0.04 * i, 0.72) for i in range(3)
    ]
    for number, x, y in mouth:
        points[0, number] = torch.tensor([x, y])
    return points


@pytest.mark.parametrize("measure", range(len(MEASURES)))
@pytest.mark.parametrize("way", [0.5, -0.5])
def test_landmarks_move_to_what_is_asked_and_nothing_else_does(measure: int, way: float) -> None:
    points = landmarks()
    points[:, 62, 1], points[:, 66, 1] = 0.70, 0.74  # open enough to be shut further
    own = conditions(points)
    target = own.clone()
    target[0, measure] += way
    change = conditions(moved_points(points, target)) - own
    assert change[0, measure] == pytest.approx(SEEN_IN_PART[measure] * way, rel=0.05)
    rest = [other for other in range(len(MEASURES)) if other != measure]
    assert change[0, rest].abs().max() < 0.2 * abs(way)  # lids take the eye's middle with them


def test_a_face_asked_for_its_own_expression_stays() -> None:
    faces, points = samples(64)[:1], landmarks()
    assert torch.allclose(posed(faces, points, conditions(points)), faces, atol=1e-4)


def test_a_mouth_that_opens_is_dark_inside_and_teeth_show_in_a_smile() -> None:
    faces, points = torch.zeros(1, 3, 64, 64), landmarks()
    wide = conditions(points) + torch.tensor([[1.5, 0, 0, 0]])
    dark = posed(faces, points, wide * torch.tensor([1.0, 0, 1, 1]))
    y, x = round(64 * 0.745), round(64 * 0.5)
    assert dark[0, :, y, x].tolist() == pytest.approx(DARK, abs=0.05)
    assert posed(faces, points, torch.tensor([[1.5, 1, 0, 0]]))[0, 0, y, x] > 0.2
    assert dark[0, :, 5, 5].tolist() == [0, 0, 0]


def test_brows_go_up_on_the_picture() -> None:
    faces, points = torch.zeros(1, 3, 64, 64), landmarks()
    brow = round(64 * 0.40)
    faces[:, :, brow - 1 : brow + 1] = -1
    raised = posed(faces, points, conditions(points) + torch.tensor([[0, 0, 1.0, 0]]))
    darkest = raised[0, 0, :, round(64 * 0.38)].argmin()
    assert darkest < brow - 1


def test_what_changed_is_marked_with_a_little_around_it() -> None:
    faces = torch.zeros(1, 3, 64, 64)
    other = faces.clone()
    other[:, :, 30:34, 30:34] = 0.5
    where = where_changed(faces, other)
    assert where.shape == (1, 1, 64, 64)
    assert where[0, 0, 32, 32] == 1
    assert 0 < where[0, 0, 32, 38] < 1
    assert where[0, 0, 32, 45] == 0
    assert where_changed(faces, faces).count_nonzero() == 0


def test_groups_are_drawn_by_their_shares_and_rows_within_them_evenly() -> None:
    groups = [(0,)] * 90 + [(1,)] * 9 + [(2,)]
    sampler = BalancedSampler(groups, {(0,): 1.0, (1,): 3.0}, seed=0)
    rows = Counter(sampler.draw(4000).tolist())
    assert set(rows) <= set(range(99))
    assert sum(rows[row] for row in range(90)) == pytest.approx(1000, abs=110)
    assert [rows[row] for row in range(90, 99)] == pytest.approx([333] * 9, abs=75)


def test_draws_come_from_the_seed_and_go_on_from_a_saved_state() -> None:
    groups = [(number % 3,) for number in range(30)]
    weights = {(0,): 1.0, (1,): 1.0, (2,): 2.0}
    one, same, other = (BalancedSampler(groups, weights, seed) for seed in (1, 1, 2))
    first = one.draw(20)
    assert torch.equal(first, same.draw(20))
    assert not torch.equal(first, other.draw(20))
    other.generator.set_state(one.generator.get_state())
    assert torch.equal(one.draw(20), other.draw(20))


def test_stargan_draws_sources_and_hair_by_the_recipe() -> None:
    """Nine in ten faces are of one kind: balanced by roots, and no face with two hair colours comes up."""
    count = 600
    labels = torch.zeros(count, len(NAMES))
    labels[:, 1] = 1
    labels[: count // 10, 1], labels[: count // 10, 2] = 0, 1  # blond
    labels[-30:, 1] = 0  # no hair colour
    labels[-60:-30, 2] = 1  # two of them
    faces = torch.zeros(count, 3, 1, 1, dtype=torch.uint8)
    data = FaceSet(faces, labels, torch.arange(count) % len(SOURCES), NAMES)
    rows = training("stargan", data=data).sampler.draw(6000)
    recipe = RECIPES["stargan"]
    assert isinstance(recipe, StarGANRecipe)
    shares = torch.bincount(data.source[rows], minlength=3) / 6000
    assert shares.tolist() == pytest.approx(list(recipe.source_shares), abs=0.025)
    kind = data.labels[rows, 1:4]
    assert (kind.sum(1) <= 1).all()
    black, blond, none = (kind[:, 0] == 1).sum(), (kind[:, 1] == 1).sum(), (kind.sum(1) == 0).sum()
    assert (black / blond).item() == pytest.approx((480 / 60) ** 0.5, rel=0.12)
    assert (none / blond).item() == pytest.approx(recipe.hairless_share * (30 / 60) ** 0.5, rel=0.3)


# Data


def png(colour: tuple[int, int, int], size: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(file, "PNG")
    return file.getvalue()


ROWS = [  # source, file, split, Smiling, Male
    ("lfw", "b.png", "train", 0.25, 1),
    ("celeba", "a.png", "train", 1, 0),
    ("celeba", "b.png", "test", 0, 1),
    ("synthetic", "c.png", "train", 0.75, 0),
]
COLOURS = {("lfw", "b.png"): (10, 20, 30), ("celeba", "a.png"): (200, 0, 0), ("synthetic", "c.png"): (0, 0, 250)}


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    head = ["source", "file", "split", "person", "labels_are", "detection_score", "crop_scale", "Smiling", "Male"]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(head)
        table.writerows([*row[:3], "", "predicted", 0.9, 1, *row[3:]] for row in ROWS)
    for source in SOURCES:
        with tarfile.open(tmp_path / f"{source}.tar", "w") as archive:
            names = [row[1] for row in ROWS if row[0] == source]
            for name in [*names, "stranger.png"]:
                data = png(COLOURS.get((source, name), (9, 9, 9)))
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return tmp_path


def test_faces_come_with_their_labels_in_the_order_of_the_table(archives: Path) -> None:
    data = load_faces(archives, "train", size=4)
    assert len(data) == 3
    assert data.faces.shape == (3, 3, 4, 4)
    assert data.faces.dtype == torch.uint8
    assert data.faces[:, :, 2, 2].tolist() == [[10, 20, 30], [200, 0, 0], [0, 0, 250]]
    assert data.names == ("Smiling", "Male")
    assert data.labels.tolist() == [[0.25, 1], [1, 0], [0.75, 0]]
    assert [SOURCES[number] for number in data.source] == ["lfw", "celeba", "synthetic"]
    assert data.columns("Male", "Smiling").tolist() == [[1, 0], [0, 1], [0, 1]]


def test_splits_and_sources_are_kept_apart(archives: Path) -> None:
    assert load_faces(archives, "test", size=4).labels.tolist() == [[0, 1]]
    assert load_faces(archives, "train", size=4, sources=("celeba",)).labels.tolist() == [[1, 0]]


def test_a_folder_without_the_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no labels\.csv"):
        load_faces(tmp_path, "train")


def test_a_missing_archive_is_refused(archives: Path) -> None:
    (archives / "lfw.tar").unlink()
    with pytest.raises(InputError, match=r"lfw\.tar"):
        load_faces(archives, "train")


def test_a_face_that_the_archive_lacks_is_not_replaced_by_a_black_one(archives: Path) -> None:
    with (archives / "labels.csv").open("a", newline="") as file:
        csv.writer(file).writerow(["lfw", "lost.png", "train", "", "predicted", 0.9, 1, 0, 0])
    with pytest.raises(InputError, match=r"lost\.png"):
        load_faces(archives, "train", size=4)


def test_a_split_without_faces_is_refused(archives: Path) -> None:
    with pytest.raises(InputError, match="validation"):
        load_faces(archives, "validation", size=4)


# The detector


def test_the_detectors_weights_are_of_its_network(tmp_path: Path) -> None:
    train(detector_training(batch=2, steps=1), tmp_path, samples(64))
    tensors = load_file(tmp_path / "weights.safetensors")
    assert tensors["fc.weight"].dtype == torch.float16
    DetectorNet().load_state_dict(tensors)


def test_the_detector_learns_to_tell_its_teachers_faces() -> None:
    run = detector_training(batch=6, ramp=1000)
    losses = [run.step(number)["loss"] for number in range(12)]
    assert losses[0] > 1
    assert sorted(losses[4:])[4] < 0.2 * losses[0]


def test_the_detector_never_learns_from_synthetic_or_held_back_faces() -> None:
    data = face_set(count=60, size=64)
    learned, held = real_rows(data, validation=False), real_rows(data, validation=True)
    assert set(learned.tolist()) & set(held.tolist()) == set()
    assert len(learned) == 36 and len(held) == 4
    sources = data.source[torch.cat([learned, held])]
    assert sorted(sources.unique().tolist()) == [SOURCES.index("celeba"), SOURCES.index("lfw")]
    run = detector_training(side=64)
    rows = real_rows(face_set(size=64), validation=False)
    assert {tuple(face.flatten()[:9].tolist()) for face in run.real} == {
        tuple(face.flatten()[:9].tolist()) for face in face_set(size=64).faces[rows]
    }


def test_nobody_but_those_it_learned_from_teaches() -> None:
    run = recipes["detector"](face_set(size=128), CPU)
    assert isinstance(run, DetectorTraining)
    assert {maker.name for maker in run.fakes.makers} == {*LEARNED}


def test_the_one_that_is_left_out_does_not_teach() -> None:
    run = recipes["detector-without-spade"](face_set(size=128), CPU)
    assert isinstance(run, DetectorTraining)
    assert {maker.name for maker in run.fakes.makers} == {*makers.registered()} - {"spade"}


def test_a_pair_is_a_face_and_what_was_made_of_it() -> None:
    run = detector_training()
    rows = torch.tensor([1, 2, 1])
    pairs = run.fakes.draw(rows)
    assert pairs.shape == (3, 2, 3, 64, 64)
    assert (pairs[:2, 0] - run.real[rows[:2]].float() / 255).abs().max() <= 11 / 255  # some are protected first
    assert torch.equal(pairs[0], pairs[2])
    assert (pairs[:, 0] - pairs[:, 1]).abs().mean() > 0.02
    again = detector_training().fakes
    assert torch.equal(again.draw(rows[1:2]), pairs[1:2])  # whatever was made before it


def test_some_real_faces_are_protected_first() -> None:
    fakes = detector_training(pairs=40).fakes
    change = 255 * (fakes.draw(torch.arange(len(fakes)))[:, 0] - fakes.faces.float() / 255).abs().amax((1, 2, 3))
    assert (change <= 11).all()  # levels; rounding included
    assert 0.4 / PROTECTED < (change > 0).float().mean() < 2 / PROTECTED


def test_strangers_make_what_nobody_asked_for() -> None:
    maker, face = Edited(toy(0)), face_set(size=64).faces[:1].float() / 127.5 - 1
    asked = maker.editor.conditions[:1]
    assert (maker.strangers[0].network(face, asked) - maker.editor.network(face, asked)).abs().mean() > 0.1


def test_relatives_differ_from_their_generator_a_little() -> None:
    maker = Edited(toy(0))
    assert len(maker.relatives) == RELATIVES and maker.relatives[0] is maker.editor
    weights = [next(other.network.parameters()) for other in maker.relatives]
    assert all(0 < ((other - weights[0]) / weights[0]).abs().mean() < 0.05 for other in weights[1:])


@pytest.fixture(scope="module")
def face(portrait: NDArray[np.uint8], portrait_face: Face) -> Tensor:
    """The example's, (1, 3, 128, 128) in [-1, 1]."""
    return 2 * warp(to_tensor(portrait), portrait_face, 128) - 1


@pytest.fixture(scope="module", params=sorted(makers.registered()))
def maker(request: pytest.FixtureRequest) -> Maker:
    return makers[request.param](face_set(size=128))


def test_a_maker_makes_faces_of_a_seed_and_says_what_they_compare_with(maker: Maker, face: Tensor) -> None:
    made = maker.made(face, Generator().manual_seed(1))
    again, *others = (maker.made(face, Generator().manual_seed(seed)) for seed in (1, 5, 6, 7, 8))
    assert made.shape == maker.partner(face).shape == face.shape and not made.requires_grad
    assert made.min() > -1.01 and made.max() < 1.01 and (made - maker.partner(face)).abs().mean() > 0.005
    assert torch.equal(made, again) and not all(torch.equal(made, other) for other in others)
    pair = maker.pair(face, Generator().manual_seed(1))
    assert [part.shape for part in pair] == [face.shape] * 2
    assert (pair[0] - maker.partner(face)).abs().max() < 0.1  # at most protected first


def test_a_swap_changes_the_face_alone(face: Tensor) -> None:
    made = makers["swap"](face_set(size=128)).made(face, Generator().manual_seed(1))
    change = (made - face).abs().mean((0, 1))
    assert change[:8].max() == 0 and change[:, :8].max() == 0 and change[50:90, 45:85].mean() > 0.02


def test_what_a_small_generator_makes_is_compared_with_faces_as_small(face: Tensor) -> None:
    maker = makers["biggan"](face_set(size=128))
    for shown in (maker.partner(face), maker.made(face, Generator().manual_seed(1))):
        small = F.interpolate(shown, size=64, mode="area")
        coarse = F.interpolate(small, size=(128, 128), mode="bilinear", align_corners=False)
        assert (shown - coarse).abs().mean() < 0.02


def test_the_stylegan_is_that_of_the_archives() -> None:
    data = face_set(size=128)
    made = makers[STYLEGAN](data).made(data.faces[:1].float(), Generator().manual_seed(1))
    assert any(torch.equal(made[0], one / 127.5 - 1) for one in data.faces[data.source == SYNTHETIC])


def test_a_pair_shares_its_history() -> None:
    """Were one of the two blurred or compressed by itself, that would tell them apart."""
    face = torch.rand(1, 3, 64, 64, generator=Generator().manual_seed(0))
    for seed in range(12):
        pair = with_history(face.expand(2, -1, -1, -1).clone(), Generator().manual_seed(seed))
        assert torch.equal(pair[0], pair[1])
        assert pair.min() >= 0 and pair.max() <= 1
        assert pair.shape == (2, 3, 64, 64)


def test_without_a_history_pictures_stay_or_are_mirrored() -> None:
    face = torch.rand(1, 3, 32, 32, generator=Generator().manual_seed(0))
    seen = [with_history(face, Generator().manual_seed(seed), share=0) for seed in range(8)]
    assert all(torch.equal(one, face) or torch.equal(one, face.flip(3)) for one in seen)
    assert any(torch.equal(one, face) for one in seen) and any(torch.equal(one, face.flip(3)) for one in seen)


# The command's half


class Counting:
    """A training that does nothing but count."""

    steps = 2

    def __init__(self) -> None:
        self.count = torch.zeros(())

    def step(self, number: int) -> dict[str, float]:
        self.count += 1
        return {"loss": 0.0}

    def set_rate(self, factor: float) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]

    def sheet(self, faces: Tensor) -> Tensor:
        return faces[:, None]

    def export(self) -> dict[str, Tensor]:
        return {"count": self.count}


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes._parts, "counting", lambda data, device: Counting())


@pytest.mark.usefixtures("counting")
def test_a_recipe_is_trained_by_name(archives: Path) -> None:
    out = archives / "out"
    assert train_model("counting", archives, out) == 2
    assert load_file(out / "weights.safetensors")["count"] == 2
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.size == (128, 128)  # the one test face


@pytest.mark.usefixtures("counting")
def test_a_checkpoint_is_never_overwritten_unasked(archives: Path) -> None:
    train_model("counting", archives, archives / "out")
    with pytest.raises(InputError, match="holds a checkpoint already"):
        train_model("counting", archives, archives / "out")
    assert train_model("counting", archives, archives / "out", resume=True) == 2


@pytest.mark.usefixtures("counting")
def test_a_checkpoint_that_does_not_fit_is_refused(archives: Path) -> None:
    out = archives / "out"
    train_model("counting", archives, out)
    torch.save({"training": {"other": torch.ones(3)}, "step": 1}, out / "checkpoint.pt")
    with pytest.raises(InputError, match="checkpoint"):
        train_model("counting", archives, out, resume=True)
    (out / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="checkpoint"):
        train_model("counting", archives, out, resume=True)


@pytest.mark.usefixtures("counting")
def test_a_recipe_is_hardened_where_it_can_be(archives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"no training recipe named 'counting-hardened-g'.*stargan-hardened-g"):
        train_model("counting", archives, archives / "out", hardening="g")
    monkeypatch.setitem(recipes._parts, "counting-hardened-g", lambda data, device: Counting())
    call = ["train", "counting", "--data", str(archives), "--out", str(archives / "out"), "--adversarial", "g"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    assert load_file(archives / "out" / "weights.safetensors")["count"] == 2
    assert CliRunner().invoke(app, [*call[:-1], "x"]).exit_code == 2


def test_an_unknown_recipe_is_refused(archives: Path) -> None:
    with pytest.raises(RecipeError, match=r"no training recipe named 'nothing'.*stargan"):
        train_model("nothing", archives, archives / "out")


def test_what_cannot_train_on_another_device_says_so() -> None:
    for name in ("stargan", "attributes", "universal"):
        with pytest.raises(RecipeError, match="trains on the processor alone, not on meta; leave --device out"):
            recipes[name](face_set(size=64), torch.device("meta"))
