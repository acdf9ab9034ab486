"""The judges of manipulators: what they ask, whom they count, and that they see what is there."""

import csv
import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import shield
from shield import quality
from shield.cli import app
from shield.errors import InputError, RecipeError
from shield.faces import PORTRAIT, Face, warp
from shield.faces.attributes import ATTRIBUTES, SIZE, AttributeNet, load_attributes
from shield.photo import to_tensor
from shield.quality import BATCH, COLOURS, MALE, YOUNG, Question, evaluate_models, frechet
from shield.surrogates import cyclegan, ganimation, spade, stargan
from shield.surrogates.published import Editor

COLUMNS = {"stargan": stargan.EDITS, "ganimation": ganimation.EDITS, "cyclegan": cyclegan.EDITS}


@pytest.fixture(scope="module")
def face(portrait: np.ndarray, portrait_face: Face) -> Tensor:
    """The portrait's face, (1, 3, 128, 128) in [0, 1]."""
    return warp(to_tensor(portrait), portrait_face, quality.SIZE)


def labels(*positive: str) -> Tensor:
    """Of one face, (1, 8)."""
    return torch.tensor([[float(name in positive) for name in ATTRIBUTES]])


def questions(edits: object, faces: Tensor, table: Tensor) -> dict[str, Question]:
    """By name; the conditions asked for, instead of functions that ask for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "_conditioned", lambda model, vectors: vectors)
        return {question.name: question for question in quality.QUESTIONS[tuple(edits)](None, faces, table)}  # type: ignore[arg-type]


# What is asked


def test_stargan_is_asked_for_what_the_face_is_not_and_else_for_what_it_is(face: Tensor) -> None:
    asked = questions(stargan.EDITS, face, labels("Brown_Hair", "Male"))
    assert list(asked) == ["black hair", "blond hair", "brown hair", "female", "male", "old", "young"]
    counts = {name: len(question.faces) for name, question in asked.items()}
    assert counts == {"black hair": 1, "blond hair": 1, "brown hair": 0, "female": 1, "male": 0, "old": 0, "young": 1}
    vectors = {name: question.edited[0].tolist() for name, question in asked.items() if len(question.faces)}
    assert vectors == {
        "black hair": [1, 0, 0, 1, 0],
        "blond hair": [0, 1, 0, 1, 0],
        "female": [0, 0, 1, 0, 0],
        "young": [0, 0, 1, 1, 1],
    }
    for name in vectors:
        assert asked[name].returned.tolist() == [[0, 0, 1, 1, 0]]


def test_cyclegan_is_asked_for_the_other_sex_and_back(face: Tensor) -> None:
    table = torch.cat([labels("Male"), labels(), labels()])
    asked = questions(cyclegan.EDITS, face.expand(3, -1, -1, -1), table)
    assert {name: len(question.faces) for name, question in asked.items()} == {"female": 1, "male": 2}
    assert asked["female"].edited.tolist() == [[1, 0]]
    assert asked["female"].returned.tolist() == [[0, 1]]
    assert asked["male"].edited.tolist() == [[0, 1]] * 2


def test_ganimation_is_asked_for_every_expression_and_back_to_the_faces_own(face: Tensor) -> None:
    asked = questions(ganimation.EDITS, face, labels())
    assert list(asked) == list(ganimation.EDITS)
    for name, question in asked.items():
        assert question.edited[0].tolist() == pytest.approx(ganimation.EDITS[name])
        assert torch.equal(question.returned, quality._measured(face))


# How it is judged


@dataclass(eq=False)
class Reader(nn.Module):
    """Reads the mean of a face's channels as its hair, and the mean of everything as male and young."""

    def __post_init__(self) -> None:
        super().__init__()

    def forward(self, faces: Tensor) -> Tensor:
        logits = torch.zeros(len(faces), len(ATTRIBUTES))
        logits[:, COLOURS] = faces.mean((2, 3))
        logits[:, MALE] = faces.mean((1, 2, 3)) - 0.5
        logits[:, YOUNG] = 0.5 - faces.mean((1, 2, 3))
        return logits


def test_answers_come_from_the_edited_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "load_attributes", Reader)
    red, green = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    red[:, 0], green[:, 1] = 1, 1
    dark, bright = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    asked = questions(stargan.EDITS, torch.cat([red, red]), torch.cat([labels("Male"), labels("Young")]))
    assert asked["black hair"].fulfilled(green, red).tolist() == [True]  # the first channel stands for black
    assert asked["black hair"].fulfilled(red, green).tolist() == [False]
    assert asked["blond hair"].fulfilled(red, green).tolist() == [True]
    for name, wanted in (("male", bright), ("female", dark), ("young", dark), ("old", bright)):
        other = dark if wanted is bright else bright
        assert asked[name].fulfilled(other, wanted).tolist() == [True], name
        assert asked[name].fulfilled(wanted, other).tolist() == [False], name


def test_only_measures_that_were_asked_to_move_noticeably_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {0.0: [0.0, 0.0, 0.2, 0.0], 1.0: [0.6, -0.1, 0.9, 0.0]}  # by a face's first value
    monkeypatch.setattr(quality, "_measured", lambda faces: torch.tensor([table[float(f[0, 0, 0])] for f in faces]))
    before, after = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    answers = quality._moved(torch.tensor([1.0, 0.5, 0.1, -0.4]))(before, after)
    assert answers.tolist() == [True, False]  # the mouth opened; the smile, which was to widen, shrank
    assert quality._moved(torch.tensor([1.0, 0.5, 0.1, -0.4]))(before, before).tolist() == [False, False]


@dataclass(eq=False)
class Turned(nn.Module):
    """Adds the first condition to every picture; keeps what it was given."""

    seen: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def forward(self, faces: Tensor, conditions: Tensor) -> Tensor:
        self.seen.append((faces, conditions))
        return (faces + conditions[:, :1, None, None]).clamp(-1, 1)


def test_faces_are_edited_in_minus_one_to_one_at_the_models_size() -> None:
    network = Turned()
    editor = Editor("turned", "none", PORTRAIT, network, {"more": (1.0,)}, 32)
    faces = torch.full((BATCH + 1, 3, 128, 128), 0.25)
    edited = quality._conditioned(editor, torch.full((len(faces), 1), 0.5))(faces)
    assert [len(part) for part, _ in network.seen] == [BATCH, 1]
    assert network.seen[0][0].shape[-1] == 32
    assert torch.allclose(network.seen[0][0], torch.tensor(-0.5))
    assert edited.shape == faces.shape
    assert torch.allclose(edited, torch.tensor(0.5))


def test_the_recogniser_finds_a_face_like_itself(face: Tensor) -> None:
    others = torch.cat([face, face.flip(3), torch.rand(face.shape, generator=torch.Generator().manual_seed(0))])
    distances = quality._embedded(face.expand(3, -1, -1, -1), others)
    assert distances[0] == 0
    assert distances[1] < 0.6 < distances[2]


# Frechet distance


def test_the_frechet_distance_is_that_of_gaussians() -> None:
    """Of diagonal covariances it is the squared distance of the means and of the deviations."""
    random = torch.Generator().manual_seed(0)
    one = torch.randn(4000, 3, generator=random, dtype=torch.float64)
    one = (one - one.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(one.T.cov()).T)  # white
    other = one * torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64) + torch.tensor([3.0, 0.0, 0.0])
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet(one, other) == pytest.approx(9 + 1 + 0.25, rel=1e-6)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=random, dtype=torch.float64)).Q
    assert frechet(one @ turn, other @ turn) == pytest.approx(frechet(one, other), rel=1e-6)


# The attribute network


def test_the_attribute_network_sees_faces_of_any_size_and_knows_the_portrait(face: Tensor) -> None:
    network = load_attributes()
    assert isinstance(network, AttributeNet)
    logits = network(face)[0]
    read = {name for name, logit in zip(ATTRIBUTES, logits.tolist(), strict=True) if logit > 0}
    assert read >= {"Young"}
    assert not read & {"Eyeglasses", "Gray_Hair"}
    smaller = torch.nn.functional.adaptive_avg_pool2d(face, SIZE)
    assert torch.allclose(network(smaller)[0], logits, atol=1e-4)


def test_the_attribute_network_is_right_on_test_faces(shared: Path) -> None:
    figures = {(f.faces, f.what): f.value for f in evaluate_models(["attributes"], shared / "data" / "faces")}
    assert figures["celeba", "Male right"] > 0.95
    assert figures["lfw", "Male right"] > 0.93
    assert figures["celeba", "Black_Hair right"] > 0.89
    assert figures["celeba", "Young right"] > 0.84


# From files


@pytest.fixture
def archives(tmp_path: Path, portrait: np.ndarray) -> Path:
    """Six test faces in two archives: patches of the portrait."""
    folder = tmp_path / "faces"
    folder.mkdir()
    head = ["source", "file", "split", "person", "labels_are", "detection_score", "crop_scale", *ATTRIBUTES]
    kinds = {"celeba": labels("Male", "Black_Hair"), "lfw": labels("Young", "Blond_Hair")}
    rows = [
        [source, f"{number}.png", "test", "", "own", 1, 1, *table[0].int().tolist()]
        for source, table in kinds.items()
        for number in range(3)
    ]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    for source in kinds:
        with tarfile.open(folder / f"{source}.tar", "w") as archive:
            for number in range(3):
                data = io.BytesIO()
                Image.fromarray(portrait[200:700:4, 100 * number : 100 * number + 500 : 4]).save(data, "PNG")
                member = tarfile.TarInfo(f"{number}.png")
                member.size = data.tell()
                data.seek(0)
                archive.addfile(member, data)
    return folder


def test_models_are_judged_side_by_side_on_the_same_faces(archives: Path, checkout: Path) -> None:
    figures = evaluate_models(["stargan", "attributes"], archives, checkout / "examples", count=4)
    kinds = {(f.model, f.faces) for f in figures}
    assert kinds == {("attributes", "celeba"), ("attributes", "lfw"), ("stargan", "test"), ("stargan", "portraits")}
    rows = {f.what: f for f in figures if f.faces == "test" and f.model == "stargan"}
    assert rows["female: read"].count + rows["male: read"].count == 4
    assert 0 < rows["l1 of the way back"].value < 1
    before = rows["black hair: read"].before
    assert before is not None
    again = evaluate_models(["stargan"], archives, count=4)
    assert [f for f in figures if f.faces == "test" and f.model == "stargan"] == pytest.approx(again)


def test_spade_is_judged_by_the_way_that_landmarks_go_and_has_none_back(archives: Path) -> None:
    figures = {figure.what: figure for figure in evaluate_models(["spade"], archives, count=4)}
    assert set(figures) == {
        "Frechet distance",
        *(f"{edit}: {what}" for edit in spade.EDITS for what in ("read", "same person")),
    }
    counts = {edit: figures[f"{edit}: read"].count for edit in spade.EDITS}
    assert counts == {"open mouth": 4, "smile": 4, "raised brows": 4}  # a measure of each face
    assert all(figures[f"{edit}: read"].before == 0 for edit in spade.EDITS)


def test_bad_input_is_refused(archives: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no surrogate named 'nobody'"):
        evaluate_models(["nobody"], archives)
    with pytest.raises(InputError, match="'dlib' cannot be evaluated"):
        evaluate_models(["dlib"], archives)
    with pytest.raises(InputError, match=r"no labels\.csv"):
        evaluate_models(["stargan"], tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        evaluate_models(["stargan"], archives, tmp_path / "none")
    with pytest.raises(InputError, match="no JPEG or PNG photo with a face"):
        evaluate_models(["stargan"], archives, archives)


def test_the_command_line_prints_a_row_per_figure_and_a_column_per_model(archives: Path) -> None:
    call = ["models", "--evaluate", "stargan", "--evaluate", "stargan", "--data", str(archives), "--faces", "4"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0
    assert "Frechet" in result.stdout
    result = CliRunner().invoke(app, ["models", "--evaluate", "stargan"])
    assert result.exit_code == 2
    assert "--data" in result.stderr
    assert shield.Quality.__doc__
