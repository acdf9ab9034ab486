"""Recognisers: what they compute, whom they know, that the judge is never asked, and those that users bring."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save
from torch import Tensor

import shield
from shield import search, weights
from shield.faces import detect, warp
from shield.frames import held
from shield.photo import from_array, read, to_tensor
from shield.region import region_of
from shield.surrogates import RECOGNISERS, judges, load_surrogate, recognisers, surrogates
from shield.surrogates.promises import check_promises
from shield.surrogates.recognisers import student_of
from shield.surrogates.recognisers.facenet import Conv
from shield.surrogates.recognisers.graph import module_of, simplified
from shield.surrogates.recognisers.heads import TEACHERS
from shield.surrogates.recognisers.recogniser import STUDENTS
from shield.verify.plan import Plan
from shield.weights import WeightsEntry, imported_models, manifest, read_weights, sha256_of

CPU = torch.device("cpu")
EVERY = (*RECOGNISERS, *judges)
ONNX = [name for name in EVERY if manifest()[name].file.endswith(".onnx")]
Pixels = NDArray[np.uint8]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("SHIELD_MODELS", str(folder))
    return folder


def noise(count: int, size: int) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


# Those that ship


@pytest.mark.parametrize("name", ONNX)
def test_it_computes_what_the_published_file_does(name: str, shared: Path) -> None:
    """onnxruntime on the file as published, one picture at a time, against torch on shield's, in one batch."""
    given = 255 * noise(3, 112) if name == "sface" else 2 * noise(3, 112) - 1
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    published = onnxruntime.InferenceSession((shared / "weights" / f"{name}.onnx").read_bytes(), options)
    key = published.get_inputs()[0].name
    expected = [published.run(None, {key: face[None].numpy()})[0].ravel() for face in given]
    found = module_of(read_weights(name))(given).flatten(1).numpy()
    assert found == pytest.approx(np.stack(expected), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_it_knows_a_person_in_every_frame_and_nobody_else(name: str, shared: Path, portrait: Pixels) -> None:
    recogniser = load_surrogate(name, CPU)
    (face,) = detect(portrait)

    def embedded(pixels: Pixels, *frames: Any) -> Tensor:
        with torch.no_grad():
            crops = [warp(to_tensor(pixels), frame, recogniser.size, recogniser.framing) for frame in frames]
            return recogniser(torch.cat(crops))

    here = embedded(portrait, face)
    frames = embedded(portrait, *(frame.of(face) for frame in held(4)))
    assert float(recogniser.distance(frames, here).max()) < recogniser.threshold
    for number in (5, 7, 10):
        other = read(shared / "data" / "portraits" / f"portrait_{number:02}.jpg").pixels
        assert float(recogniser.distance(embedded(other, detect(other)[0]), here)) > recogniser.threshold


@pytest.mark.parametrize("name", EVERY)
def test_a_batch_is_its_faces_and_the_length_is_one_where_only_the_direction_counts(name: str) -> None:
    recogniser = load_surrogate(name, CPU)
    assert isinstance(recogniser, recognisers.Recogniser)
    faces = noise(3, recogniser.size)
    together = recogniser(faces)
    alone = torch.cat([recogniser(face[None]) for face in faces])
    assert torch.allclose(together, alone, atol=1e-4)
    lengths = together.norm(dim=2)
    assert recogniser.reading.unit == torch.allclose(lengths, torch.ones_like(lengths), atol=1e-5)


def test_the_order_of_colours_is_kept() -> None:
    """The one that wants blue first is given another picture when red and blue change places."""
    recogniser = load_surrogate("fr_feature", CPU)
    assert isinstance(recogniser, recognisers.Recogniser)
    faces, seen = noise(1, recogniser.size), []
    handle = recogniser.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    recogniser(faces)
    handle.remove()
    assert torch.allclose(seen[0], (255 * faces.flip(1) - 127) / 128, atol=1e-4)


def test_facenet_computes_what_the_published_graph_does() -> None:
    """The first numbers of its embedding in TensorFlow, to what rounding the weights to 8 bits costs."""
    line = torch.linspace(0, 1, 160)
    x, y = line.expand(160, 160), line[:, None].expand(160, 160)
    published = [-0.00562, 0.00439, -0.02865, 0.02546, -0.03451, 0.07071, -0.07396, 0.02055, -0.06509, 0.05629]
    found = load_surrogate("facenet", CPU)(torch.stack([x, y, x * y])[None])[0, 0]
    assert found[: len(published)].tolist() == pytest.approx(published, abs=0.004)


def test_a_convolution_takes_weights_as_they_are_or_as_whole_numbers() -> None:
    one, other = Conv(3, 2, (1, 3)), Conv(3, 2, (1, 3))
    whole, unit = torch.randint(-127, 128, one.weight.shape).to(torch.int8), torch.tensor([0.5, 0.25])
    one.load_state_dict({"stored": whole, "unit": unit, "bias": torch.ones(2)})
    other.load_state_dict({"weight": whole * unit[:, None, None, None], "bias": torch.ones(2)})
    picture = noise(1, 8)
    assert torch.equal(one(picture), other(picture)) and one(picture).shape == (1, 2, 8, 8)


# The judges


def test_every_judge_of_the_manifest_is_one_and_no_surrogate() -> None:
    named = {name for name, entry in manifest().items() if entry.reading is not None and entry.reading.judge}
    assert named == {*judges}
    assert not named & {*surrogates}


@pytest.mark.parametrize("name", sorted(judges))
def test_a_recipe_that_names_a_judge_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(shield.RecipeError, match=f"'{name}' is a judge, which no search may ask"):
        shield.Recipe(surrogates=("stargan", name))


def test_no_search_ever_asks_a_judge(small: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    load = search.load_surrogate
    monkeypatch.setattr(search, "load_surrogate", lambda name, device: (asked.append(name), load(name, device))[1])
    region = region_of(detect(small)[0], *small.shape[1::-1])
    for judge in judges:
        network = load_surrogate(judge, CPU)
        assert isinstance(network, torch.nn.Module)
        network.register_forward_pre_hook(lambda *_: asked.append("a judge"))
    search.search(search.Task(from_array(small), region, region.window(), "png"), shield.Recipe(steps=5))
    assert {*asked} == {*shield.Recipe().surrogates}


# Students


@pytest.mark.parametrize("name", STUDENTS)
def test_a_students_weights_make_a_recogniser_like_those_that_ship(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a training's file, and by the manifest once it is there: the same embeddings, of which directions count."""
    state = STUDENTS[name]().state_dict()
    tensors = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    student = student_of(name, tensors)
    check_promises(name, student, CPU)
    assert student.reading.unit and student.size == 112
    data, file = save(tensors), f"{name}.safetensors"
    assert len(data) < 12e6
    (tmp_path / file).write_bytes(data)
    entry = WeightsEntry(name, file, sha256_of(data), "", "", 112, "", "", reading=student.reading)
    monkeypatch.setattr(weights, "models_folder", lambda: tmp_path)
    monkeypatch.setattr(weights, "manifest", lambda: {name: entry})
    loaded, faces = recognisers.load_recogniser(entry, CPU), noise(3, 112)
    assert torch.equal(loaded(faces), student(faces))
    assert torch.allclose(loaded(faces)[1:2], loaded(faces[1:2]), atol=1e-5)


def test_a_students_cosine_is_the_mean_of_its_teachers() -> None:
    student = student_of("iresnet", STUDENTS["iresnet"]().state_dict())
    with torch.no_grad():
        one, other = student.network(2 * noise(2, 112) - 1)
        both = student(noise(2, 112))[:, 0]
    parts = zip(one.split([*TEACHERS.values()]), other.split([*TEACHERS.values()]), strict=True)
    cosines = [float(torch.cosine_similarity(a, b, dim=0)) for a, b in parts]
    assert float(both[0] @ both[1]) == pytest.approx(np.mean(cosines), abs=1e-5)


def test_other_weights_are_no_students() -> None:
    with pytest.raises(shield.InputError, match="no student named 'dlib'; choose iresnet or transformer"):
        student_of("dlib", {})
    with pytest.raises(shield.InputError, match="not those of the student 'transformer'"):
        student_of("transformer", STUDENTS["iresnet"]().state_dict())


# Those of the user

SIDE, LENGTH = 32, 24


def network(
    batch: int | str = 1, half: bool = False, scaling: bool = False, reshape: bool = False, side: int = SIDE
) -> bytes:
    """A small ONNX recogniser: a convolution, its mean over the picture's quarters, a linear layer."""
    kind = np.float16 if half else np.float32
    source = np.random.default_rng(0)
    weights = {
        "kernel": source.normal(size=(8, 3, 3, 3)) / 5,
        "matrix": source.normal(size=(8 * 4, LENGTH)) / 5,
        "mean": np.array([127.5]),
        "scale": np.array([1 / 127.5]),
    }
    nodes, last = [], "faces"
    if scaling:
        nodes += [helper.make_node("Sub", ["faces", "mean"], ["s"]), helper.make_node("Mul", ["s", "scale"], ["m"])]
        last = "m"
    size = side // 2
    nodes += [
        helper.make_node("Conv", [last, "kernel"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("AveragePool", ["r"], ["p"], kernel_shape=[size, size], strides=[size, size]),
    ]
    tensors = [numpy_helper.from_array(value.astype(kind), name) for name, value in weights.items()]
    if reshape:  # as exporters of a fixed batch write it
        tensors.append(numpy_helper.from_array(np.array([1, -1], np.int64), "shape"))
        nodes.append(helper.make_node("Reshape", ["p", "shape"], ["f"]))
    else:
        nodes.append(helper.make_node("Flatten", ["p"], ["f"]))
    nodes.append(helper.make_node("MatMul", ["f", "matrix"], ["embedding"]))
    element = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info("faces", element, [batch, 3, side, side])]
    outputs = [helper.make_tensor_value_info("embedding", element, [batch, LENGTH])]
    graph = helper.make_graph(nodes, "recogniser", inputs, outputs, tensors)
    data: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()
    return data


def written(tmp_path: Path, data: bytes, name: str = "w600k.onnx") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


SETTINGS: list[dict[str, Any]] = [{}, {"batch": "n"}, {"half": True}, {"reshape": True}, {"scaling": True}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_file_of_the_users_computes_what_onnxruntime_does(
    settings: dict[str, Any], home: Path, tmp_path: Path
) -> None:
    data = network(**settings)
    entry = shield.import_recogniser(written(tmp_path, data))
    recogniser, faces = load_surrogate(entry.name, CPU), noise(2, SIDE)
    given = 255 * faces if settings.get("scaling") else (255 * faces - 127.5) / 127.5
    session = onnxruntime.InferenceSession(data)
    kind = np.float16 if settings.get("half") else np.float32
    expected = np.concatenate([session.run(None, {"faces": face[None].numpy().astype(kind)})[0] for face in given])
    expected = expected / np.linalg.norm(expected.astype(np.float32), axis=1, keepdims=True)
    assert recogniser(faces)[:, 0].numpy() == pytest.approx(expected, abs=5e-3 if settings.get("half") else 1e-5)
    leaf = faces.clone().requires_grad_(True)
    recogniser.distance(recogniser(leaf), recogniser(1 - faces)).sum().backward()
    assert leaf.grad is not None and leaf.grad.abs().sum() > 0


def test_it_is_a_surrogate_or_a_judge_until_it_is_removed(home: Path, tmp_path: Path) -> None:
    path = written(tmp_path, network())
    entry = shield.import_recogniser(path, "mine", cosine=0.4)
    assert entry == imported_models()["mine"]
    assert load_surrogate("mine", CPU).threshold == pytest.approx(2 - 2 * 0.4)
    assert "mine" in shield.SURROGATES and "mine" not in shield.JUDGES
    shield.import_recogniser(path, "other", judge=True, order="bgr", template="ffhq_512")
    assert "other" in shield.JUDGES and "other" not in shield.SURROGATES
    assert "not calibrated" in imported_models()["other"].training
    assert load_surrogate("other", CPU).framing.name == "ffhq_512"
    with pytest.raises(shield.RecipeError, match="judge"):
        shield.Recipe(surrogates=("other",))
    for name in ("mine", "other"):
        shield.remove_model(name)
        assert not (home / f"{name}.onnx").exists()
    assert not imported_models()


def two_inputs() -> bytes:
    model = onnx.load_from_string(network())
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    data: bytes = model.SerializeToString()
    return data


def no_size() -> bytes:
    model = onnx.load_from_string(network())
    for axis in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        axis.Clear()
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.parametrize(
    ("data", "settings", "words"),
    [
        (lambda: b"no network", {}, "no ONNX network"),
        (lambda: network()[:-400], {}, "no ONNX network"),
        (two_inputs, {}, "one square picture"),
        (no_size, {}, "one square picture"),
        (network, {"template": "nose"}, "no template named 'nose'"),
        (network, {"order": "gbr"}, "order of colours"),
        (network, {"cosine": 3.0}, "cosine is 3.0"),
        (network, {"name": "sface"}, "model named 'sface' already"),
        (network, {"name": "a/b"}, "cannot be a model's name"),
    ],
)
def test_what_is_no_recogniser_is_refused_in_a_sentence(
    data: Callable[[], bytes], settings: dict[str, Any], words: str, home: Path, tmp_path: Path
) -> None:
    with pytest.raises(shield.ShieldError, match=words):
        shield.import_recogniser(written(tmp_path, data()), **settings)
    assert not home.exists() or not list(home.glob("*.onnx"))


def test_a_file_that_is_not_there_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(shield.InputError, match="cannot be read"):
        shield.import_recogniser(tmp_path / "none.onnx")


def test_simplifying_twice_changes_nothing(tmp_path: Path) -> None:
    once = simplified(network(reshape=True))
    assert (once.size, once.levels) == (SIDE, False)
    twice = simplified(once.data)
    faces = noise(2, SIDE)
    assert torch.equal(module_of(once.data)(faces), module_of(twice.data)(faces))


def test_the_manifest_of_the_user_says_how_it_is_read(home: Path, tmp_path: Path) -> None:
    shield.import_recogniser(written(tmp_path, network(scaling=True)), "mine")
    reading = imported_models()["mine"].reading
    assert reading is not None
    assert (reading.mean, reading.scale, reading.order, reading.unit, reading.judge) == (0.0, 1.0, "rgb", True, False)
    assert json.loads(json.dumps(vars(reading))) == vars(reading)


def test_students_are_searched_and_their_teachers_word_counts() -> None:

    assert {*STUDENTS} <= {*shield.Recipe().surrogates}
    assert not {*STUDENTS} & {*Plan().asked}
    assert Plan(surrogates=tuple(STUDENTS)).asked == tuple(STUDENTS)
