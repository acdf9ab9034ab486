"""Detection: the network's contract, checks that find what was forged, verdicts that people and programs can read."""

import csv
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import resnet50
from typer.testing import CliRunner

import shield
from shield.bench.detector import average_precision, fitted
from shield.bench.forgeries import FORGERIES
from shield.cli import app
from shield.detection import (
    DEFAULT_CHECKS,
    Detector,
    FaceVerdict,
    Reason,
    Shipped,
    Verdict,
    called,
    detectors,
    probability_of,
)
from shield.detection.calibration import FAKE_FROM, FLAW_WEIGHTS, REAL_TO
from shield.detection.detection import face_view
from shield.detection.flaws import flaws
from shield.detection.flaws.flaw import MOST, NOTHING, Measurement
from shield.detection.network import SIZE, DetectorNet, load_detector
from shield.detection.published import MEAN, load_wang
from shield.detection.view import FaceView
from shield.errors import FaceError, InputError, PhotoError, RecipeError, WeightsError
from shield.faces import Face, warp
from shield.photo import to_levels, to_tensor
from shield.surrogates import load_surrogate

every_check = pytest.mark.parametrize("name", sorted(flaws))


@pytest.fixture(scope="module")
def crop(portrait: np.ndarray, portrait_face: Face) -> torch.Tensor:
    """The portrait's face as the network sees it, (1, 3, 128, 128)."""
    return warp(to_tensor(portrait), portrait_face, SIZE)


@pytest.fixture(scope="module")
def view(portrait: np.ndarray, portrait_face: Face) -> FaceView:
    """The same as the checks see it, as if it were all of the photo."""
    whole = face_view(to_levels(portrait), portrait_face)
    return replace(whole, native=whole.pixels)


@pytest.fixture(scope="module")
def verdict(small: np.ndarray) -> Verdict:
    return shield.detect(small)


# The network


def test_the_network_takes_faces_of_any_size() -> None:
    net = DetectorNet().eval()
    for side in (32, 101, 128):
        assert net(torch.rand(2, 3, side, side)).shape == (2,)


def test_a_face_is_judged_by_itself(crop: torch.Tensor) -> None:
    """No batch changes what is said of a face."""
    net = load_detector()
    alone, among = net(crop), net(torch.cat([torch.rand_like(crop), crop]))[1:]
    assert torch.allclose(alone, among, atol=1e-4)


def test_the_first_layers_keep_every_pixel(crop: torch.Tensor) -> None:
    net = load_detector()
    assert not any(isinstance(layer, torch.nn.Conv2d) and layer.stride != (1, 1) for layer in net.stem)
    rows = torch.arange(SIZE)
    chequered = (crop + 0.02 * ((rows[:, None] + rows) % 2 * 2 - 1)).clamp(0, 1)
    assert (net(chequered) - net(crop)).abs() > 0.5


def test_the_shipped_network_tells_manipulated_faces(crop: torch.Tensor, stargan: shield.Surrogate) -> None:
    with torch.no_grad():
        edited = (stargan(crop)[0] + 1) / 2
    odds = Shipped().log_odds(torch.cat([crop, edited]))
    assert (odds[1:] > odds[0]).all()
    assert all(called(probability_of(value)) == "fake" for value in odds[1:].tolist())


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    load_detector.cache_clear()
    monkeypatch.setattr("shield.weights.load_tensors", lambda name: {"fc.weight": torch.ones(1)})
    with pytest.raises(WeightsError, match="do not fit the detector's network"):
        load_detector()


# The checks


def test_every_check_has_its_forgery() -> None:
    assert sorted(FORGERIES) == sorted(flaws)
    assert sorted(FLAW_WEIGHTS) == sorted(DEFAULT_CHECKS)


def test_what_finds_too_little_is_off() -> None:
    assert sorted(DEFAULT_CHECKS) == sorted(name for name, flaw in flaws.items() if flaw.reliable)
    assert "brows" not in DEFAULT_CHECKS


@every_check
def test_a_check_scores_the_strongest_forgery_higher(name: str, view: FaceView) -> None:
    forgery = FORGERIES[name]
    before = flaws[name].measure(view).score
    after = np.mean(
        [
            flaws[name].measure(forgery.forge(view, forgery.strengths[-1], np.random.default_rng(seed))).score
            for seed in range(4)
        ]
    )
    assert after > before + 0.1 * flaws[name].spread


@pytest.mark.parametrize("name", DEFAULT_CHECKS)
def test_a_check_that_is_on_finds_a_strong_forgery(name: str, view: FaceView) -> None:
    forgery = FORGERIES[name]
    forged = forgery.forge(view, forgery.strengths[-1], np.random.default_rng(1))
    assert flaws[name].measure(forged).score > flaws[name].threshold


@every_check
def test_a_check_names_a_place_in_the_view(name: str, view: FaceView) -> None:
    outline = flaws[name].measure(view).outline
    assert outline.ndim == 2 and outline.shape[1] == 2 and len(outline) > 2
    assert outline.min() >= -0.25 * SIZE and outline.max() <= 1.25 * SIZE
    assert flaws[name].sentence.endswith(".")


@every_check
def test_a_check_says_something_of_any_picture(name: str) -> None:
    """A blank picture, landmarks all in one place: no error, no number that is not one."""
    blank = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    for points in (np.full((68, 2), 64.0, np.float32), np.full((68, 2), -30.0, np.float32)):
        score = flaws[name].measure(FaceView(blank, points, blank)).score
        assert not np.isnan(score)
        assert flaws[name].excess(score) == 0


@pytest.mark.parametrize("forgery", sorted(FORGERIES))
def test_a_forgery_is_of_its_seed_and_in_range(forgery: str, view: FaceView) -> None:
    made = [FORGERIES[forgery].forge(view, FORGERIES[forgery].strengths[0], np.random.default_rng(2)) for _ in "ab"]
    assert np.array_equal(made[0].pixels, made[1].pixels)
    assert made[0].pixels.dtype == np.float32
    assert made[0].pixels.min() >= 0 and made[0].pixels.max() <= 1
    assert np.abs(made[0].pixels - view.pixels).max() > 2 / 255


def test_eyes_that_do_not_match_are_told(view: FaceView) -> None:
    left, right = view.middle(slice(36, 42)), view.middle(slice(42, 48))
    pixels = view.pixels.copy()
    x, y = right.astype(int)
    pixels[y - 7 : y + 7, x - 10 : x + 10] = pixels[y - 32 : y - 18, x - 10 : x + 10]  # skin where an eye was
    assert np.abs(left - right).max() > 20
    assert flaws["eyes"].measure(replace(view, pixels=pixels)).score > flaws["eyes"].measure(view).score + 0.05


def test_excess_counts_steps_above_the_threshold() -> None:
    flaw = replace(flaws["blur"], threshold=1.0, spread=0.5)
    assert [flaw.excess(score) for score in (NOTHING, 0.9, 1.0, 1.5, 2.0, 99)] == [0, 0, 0, 1, 2, MOST]


def test_a_place_in_the_view_is_the_same_place_in_the_photo(portrait: np.ndarray, portrait_face: Face) -> None:
    blurred = portrait.copy()
    x0, y0, x1, y1 = map(int, portrait_face.box)
    face = Image.fromarray(portrait[y0:y1, x0:x1])
    small = face.resize((face.width // 24, face.height // 24), Image.Resampling.BOX)
    blurred[y0:y1, x0:x1] = np.asarray(small.resize(face.size, Image.Resampling.BICUBIC))
    reasons = {reason.name: reason for reason in shield.detect(blurred, checks=["blur"]).reasons}
    corners = np.array(reasons["blur"].region)
    middle, box = corners.mean(0), ((x0 + x1) / 2, (y0 + y1) / 2)
    assert np.abs(middle - box).max() < 0.15 * (y1 - y0)
    assert 0.6 * (x1 - x0) < np.ptp(corners[:, 0]) < 1.5 * (x1 - x0)


# The verdict


def face_verdict(log_odds: float, *reasons: Reason) -> FaceVerdict:
    return FaceVerdict((10, 10, 50, 60), log_odds, reasons)


def reason(name: str, weight: float) -> Reason:
    return Reason(name, f"Something about {name}.", 1.0, weight, ((10, 10), (50, 10), (50, 60)))


def test_the_lines_between_the_verdicts() -> None:
    assert 0 < REAL_TO < FAKE_FROM < 1
    middle = (REAL_TO + FAKE_FROM) / 2
    assert [called(p) for p in (0, REAL_TO, middle, FAKE_FROM, 1)] == ["real", "real", "unsure", "fake", "fake"]


def test_probabilities_of_log_odds() -> None:
    assert probability_of(0) == 0.5
    assert probability_of(np.log(3)) == pytest.approx(0.75)
    assert probability_of(-1e9) >= 0 and probability_of(1e9) <= 1


def test_a_photo_without_checks_has_the_probability_of_the_network(
    small: np.ndarray,
) -> None:
    """One calibration, in whatever way a face gets there, and 1 / (1 + e^-x) of it."""
    (face,) = shield.find_faces(small)
    odds = float(Shipped().log_odds(warp(to_tensor(small), face, SIZE)))
    found = shield.detect(small, checks=[])
    assert found.faces[0].log_odds == pytest.approx(odds, abs=1e-3)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-3)
    assert len(found.reasons) == (odds > 0)


@pytest.mark.parametrize("name", [*sorted(FLAW_WEIGHTS), "brows"])
def test_a_check_adds_its_weight_for_every_step_above_its_threshold(
    name: str, small: np.ndarray, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    flaw, weight = flaws[name], {"blur": 3.9, "grid": 1.6, "seam": 4.2, "skin": 1.55, "brows": 0.5}[name]
    measured = Measurement(flaw.threshold + 1.5 * flaw.spread, np.zeros((3, 2), np.float32))
    monkeypatch.setattr("shield.detection.detection.flaws", {name: replace(flaw, measure=lambda view: measured)})
    alone, found = (shield.detect(small, checks=checks).faces[0].log_odds for checks in ([], [name]))
    assert found == pytest.approx(alone + 1.5 * weight, abs=1e-4)


@torch.no_grad()
def test_test_faces_are_called_what_they_are_as_recorded(shared: Path) -> None:
    """Photographs are called real. Of what GANimation makes of them two thirds are called fake."""
    faces = photographs(shared / "data" / "faces", count=48)
    odds = Shipped().log_odds(faces)
    assert all(called(probability_of(value)) == "real" for value in odds.tolist())
    assert [odds.mean().item(), odds.max().item()] == pytest.approx([-3.421, -1.026], abs=0.05)
    made, faint = (
        Shipped().log_odds((load_surrogate(name, faces.device)(faces[:8]).flatten(0, 1) + 1) / 2)
        for name in ("stargan", "ganimation")
    )
    assert made.mean().item() == pytest.approx(6.221, abs=0.05)
    words = [called(probability_of(value)) for value in faint.tolist()]
    assert (words.count("fake"), words.count("real")) == (27, 3)


def photographs(folder: Path, count: int) -> torch.Tensor:
    """Test faces of LFW, evenly spread over the list: (count, 3, 128, 128) in [0, 1]."""
    with (folder / "labels.csv").open(newline="") as table:
        names = [row["file"] for row in csv.DictReader(table) if (row["source"], row["split"]) == ("lfw", "test")]
    wanted = set(names[:: len(names) // count][:count])
    faces = []
    with tarfile.open(folder / "lfw.tar") as archive:
        for member in archive:
            if member.name in wanted and (packed := archive.extractfile(member)):
                faces.append(to_tensor(np.asarray(Image.open(packed).convert("RGB"))))
    return torch.cat(faces)


def test_the_worst_face_counts() -> None:
    pixels = np.zeros((80, 80, 3), np.uint8)
    found = Verdict((face_verdict(-5), face_verdict(5, reason("b", 3), reason("a", 2))), pixels, None, "shield")
    assert found.probability == pytest.approx(probability_of(5))
    assert found.verdict == "fake"
    assert [one.name for one in found.reasons] == ["b", "a"]
    assert found.sentence().endswith("something about b; something about a. A verdict can be wrong.")


def test_a_photo_that_shows_nothing_gets_a_whole_sentence() -> None:
    found = Verdict((face_verdict(-5),), np.zeros((80, 80, 3), np.uint8), None, "shield")
    assert found.sentence() == (
        "Nothing on this photo says that it was generated or manipulated (probability 1%). What diffusion models and "
        "StyleGAN make is not found, so that this is no proof of a real photo."
    )


def test_reasons_speak_for_a_fake_in_order_of_weight(verdict: Verdict) -> None:
    weights = [one.weight for one in verdict.reasons]
    assert weights == sorted(weights, reverse=True)
    assert all(weight > 0 for weight in weights)


def test_a_verdict_as_json(verdict: Verdict) -> None:
    written = json.loads(verdict.to_json())
    assert written["probability"] == verdict.probability
    assert 0 <= written["probability"] <= 1
    assert written["verdict"] in ("real", "fake", "unsure")
    assert {"name", "sentence", "score", "weight", "region"} >= {key for one in written["reasons"] for key in one}
    assert written["threshold"] == FAKE_FROM


def test_the_overlay_draws_the_regions_and_leaves_the_photo_alone() -> None:
    pixels = np.zeros((80, 80, 3), np.uint8)
    found = Verdict((face_verdict(5, reason("a", 2)),), pixels, None, "shield")
    drawn = np.asarray(found.overlay())
    assert drawn.shape == pixels.shape
    assert drawn[10, 10:50].max() > 100
    assert drawn[70:].max() == 0
    assert pixels.max() == 0


def test_array_file_and_picture_get_the_same_verdict(tmp_path: Path, small: np.ndarray, verdict: Verdict) -> None:
    Image.fromarray(small).save(tmp_path / "a.png")
    assert shield.detect(tmp_path / "a.png").probability == verdict.probability
    assert shield.detect(Image.fromarray(small)).probability == verdict.probability


def test_every_detector_keeps_the_contract(small: np.ndarray) -> None:
    for name, make in detectors.items():
        detector: Detector = make()
        assert detector.name == name
        assert detector.slope > 0 and np.isfinite(detector.offset)
        assert np.isfinite(detector(to_levels(small), Face((50, 50, 200, 250), POINTS)))


POINTS = ((120.0, 150.0), (190.0, 150.0), (155.0, 190.0), (126.0, 225.0), (184.0, 225.0))


def test_bad_input_is_refused(tmp_path: Path, small: np.ndarray) -> None:
    with pytest.raises(FaceError, match="shows no face"):
        shield.detect(np.zeros((200, 200, 3), np.uint8))
    with pytest.raises(PhotoError, match="does not exist"):
        shield.detect(tmp_path / "none.jpg")
    with pytest.raises(RecipeError, match="no check named 'ears'"):
        shield.detect(small, checks=["ears"])
    with pytest.raises(RecipeError, match="no detector named 'other'"):
        shield.detect(small, detector="other")


# The published networks


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as Wang et al. publish it, with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("wang") / "blur_jpg_prob0.5.pth"
    torch.save({"model": resnet50(weights=None, num_classes=1).state_dict(), "total_steps": 1}, path)
    return path


def test_a_published_network_does_what_its_authors_do(published: Path, crop: torch.Tensor) -> None:
    theirs = resnet50(weights=None, num_classes=1).eval()
    theirs.load_state_dict(torch.load(published, weights_only=True)["model"])
    mean, deviation = torch.tensor(MEAN).view(3, 1, 1), torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
    with torch.no_grad():
        assert torch.allclose(load_wang(published)(crop), theirs((crop - mean) / deviation)[:, 0], atol=1e-5)


def test_a_published_network_judges_photos(published: Path, small: np.ndarray) -> None:
    found = shield.detect(small, detector=published, checks=["skin"])
    assert found.detector == "blur_jpg_prob0.5.pth"
    assert 0 <= found.probability <= 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop("fc.weight"), "fc.weight is missing"),
        (lambda tensors: tensors.update({"fc.bias": torch.ones(1000)}), "fc.bias is missing, left over or of another"),
        (lambda tensors: tensors.update({"extra": torch.ones(1)}), "extra is missing, left over"),
    ],
)
def test_files_of_other_networks_are_refused(published: Path, tmp_path: Path, change: Any, words: str) -> None:
    tensors = torch.load(published, weights_only=True)["model"]
    change(tensors)
    torch.save(tensors, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=words):
        load_wang(tmp_path / "other.pth")
    with pytest.raises(InputError, match="cannot be read"):
        load_wang(tmp_path / "none.pth")


# The command


def test_the_command_prints_a_list_of_verdicts(photo: Path) -> None:
    result = CliRunner().invoke(app, ["detect", str(photo), str(photo), "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["photo"] for row in rows] == ["me.jpg", "me.jpg"]
    assert all({"probability", "verdict", "reasons"} <= row.keys() for row in rows)


def test_the_command_says_a_sentence_and_draws(photo: Path) -> None:
    target = photo.with_name("drawn.png")
    result = CliRunner().invoke(app, ["detect", str(photo), "--overlay", str(target), "--check", "skin"])
    assert result.exit_code == 0, result.output
    assert "probability" in result.stdout
    with Image.open(target) as drawn:
        assert drawn.size == (320, 320)


@pytest.mark.parametrize(
    "arguments",
    [["none.jpg"], ["--check", "ears"], ["--detector", "other"], ["--detector", "none.pth"], ["--overlay", "PHOTO"]],
)
def test_bad_input_ends_in_a_sentence_and_code_2(photo: Path, arguments: list[str]) -> None:
    before = photo.read_bytes()
    given = [str(photo) if word == "PHOTO" else word for word in arguments]
    result = CliRunner().invoke(app, ["detect", str(photo), *given])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert photo.read_bytes() == before


def test_several_photos_are_drawn_into_a_folder(photo: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["detect", str(photo), str(photo), "--overlay", str(tmp_path / "one.png")])
    assert result.exit_code == 2
    assert "not a folder" in result.output


# The benchmark's arithmetic


def test_average_precision() -> None:
    assert average_precision(np.array([0.0, 1]), np.array([2.0, 3])) == 1
    assert average_precision(np.array([1.0]), np.array([2.0, 0])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([1.0]), np.array([1.0])) == 0.5


def test_the_fit_finds_what_counts_and_never_counts_against() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(400, 3))
    answers = (2 * inputs[:, 0] - inputs[:, 1] + random.logistic(size=400) > 0).astype(float)
    weights = fitted(inputs, answers)
    assert weights[0] == pytest.approx(2, abs=0.6)
    assert 0 <= weights[1] < 0.1
    assert (weights[:-1] >= 0).all()
