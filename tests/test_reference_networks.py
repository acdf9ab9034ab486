"""The recogniser and the landmark network return what their published originals do, and pass gradients."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from shield import weights
from shield.errors import WeightsError
from shield.faces.landmarks import LandmarkNet, load_landmarks
from shield.surrogates.recognisers.dlib import RecogniserNet
from shield.weights import load_network

# The reference is written with five decimals: rounding alone costs 0.5e-5.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Case:
    name: str
    load: Callable[[], nn.Module]
    size: int
    output: tuple[int, ...]
    picture: str
    values: str


def load_dlib() -> RecogniserNet:
    return load_network(RecogniserNet, "dlib", "the recogniser")


RECOGNISER = Case("dlib", load_dlib, 150, (128,), "face150.png", "identity_face150_png")
LANDMARKS = Case("landmarks68", load_landmarks, 112, (68, 2), "face112.png", "landmarks_face112_png_xy_fraction")

both = pytest.mark.parametrize("case", [RECOGNISER, LANDMARKS], ids=lambda case: case.name)


def reference_file(name: str) -> Path:
    path = Path(__file__).resolve().parents[2] / "shared" / "weights" / "reference" / name
    if not path.is_file():
        pytest.skip(f"the reference {path} is not on this machine")
    return path


def ramps(size: int) -> Tensor:
    """(1, 3, size, size) in [0, 1]: red grows rightwards, green downwards, blue towards the corner."""
    line = torch.linspace(0, 1, size)
    x, y = line.expand(size, size), line[:, None].expand(size, size)
    return torch.stack([x, y, x * y])[None]


def noise(count: int, size: int) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def largest_difference(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).abs().max())


@both
def test_equals_the_published_network_on_a_face(case: Case) -> None:
    expected = json.loads(reference_file("values.json").read_text(encoding="utf-8"))[case.values]
    pixels = np.array(Image.open(reference_file(case.picture)).convert("RGB"))
    face = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    assert largest_difference(case.load()(face)[0], torch.tensor(expected)) < TOLERANCE


def test_recogniser_on_ramps_as_recorded() -> None:
    embedding = load_dlib()(ramps(150))[0]
    expected = torch.tensor([-0.049926, -0.148333, -0.105876, 0.058646, 0.167788, -0.090303, -0.089712, 0.260162])
    assert largest_difference(embedding[::16], expected) < TOLERANCE


def test_landmarks_on_ramps_as_recorded() -> None:
    points = load_landmarks()(ramps(112))[0]
    expected = torch.tensor(
        [
            [0.426456, 0.589180],
            [0.784815, 0.384890],
            [0.466649, 0.566999],
            [0.483092, 0.632219],
            [0.453728, 0.499706],
            [0.636376, 0.380078],
        ]
    )
    assert largest_difference(points[[0, 8, 30, 36, 45, 67]], expected) < TOLERANCE


@both
def test_output_is_finite_float32_of_the_promised_shape(case: Case) -> None:
    result = case.load()(noise(2, case.size))
    assert result.shape == (2, *case.output)
    assert result.dtype == torch.float32
    assert result.isfinite().all()


@both
def test_gradient_reaches_every_channel(case: Case) -> None:
    faces = noise(2, case.size).requires_grad_()
    case.load()(faces).square().sum().backward()
    assert faces.grad is not None
    assert faces.grad.isfinite().all()
    assert (faces.grad.abs().amax(dim=(2, 3)) > 0).all()


@both
def test_leaves_its_input_alone(case: Case) -> None:
    faces = noise(1, case.size)
    before = faces.clone()
    case.load()(faces)
    assert torch.equal(faces, before)


@both
def test_a_face_does_not_depend_on_its_batch(case: Case) -> None:
    net, faces = case.load(), noise(3, case.size)
    alone = torch.cat([net(face[None]) for face in faces])
    assert largest_difference(net(faces), alone) < TOLERANCE


@both
def test_is_frozen_and_in_evaluation_mode(case: Case) -> None:
    net = case.load()
    assert not net.training
    assert not any(weight.requires_grad for weight in net.parameters())
    assert {weight.dtype for weight in net.state_dict().values()} == {torch.float32}


@both
@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 64, 64), (1, 1, None, None), (3, None, None)])
def test_faces_of_another_shape_raise(case: Case, shape: tuple[int | None, ...]) -> None:
    net = RecogniserNet() if case is RECOGNISER else LandmarkNet()
    with pytest.raises(ValueError, match="faces must be"):
        net(torch.zeros([case.size if side is None else side for side in shape]))


def without_one(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if key != "fc.weight"}


def with_one_more(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**tensors, "stray": torch.zeros(1)}


def with_one_renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.replace("fc.weight", "head.weight"): tensor for key, tensor in tensors.items()}


def with_one_reshaped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**tensors, "fc.weight": tensors["fc.weight"][:-1]}


@both
@pytest.mark.parametrize("alter", [without_one, with_one_more, with_one_renamed, with_one_reshaped])
def test_weights_of_another_architecture_raise(
    case: Case, alter: Callable[[dict[str, Tensor]], dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = alter(weights.load_tensors(case.name))
    monkeypatch.setattr(weights, "load_tensors", lambda name: altered)
    with pytest.raises(WeightsError, match=case.name):
        case.load()
