"""Every registered surrogate keeps the same promises; StarGAN has the published layout and really edits a face."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from shield import weights
from shield.errors import RecipeError, WeightsError
from shield.faces import Face, detect, warp
from shield.photo import read, to_tensor
from shield.surrogates import Surrogate, chosen, hardened, load_surrogate, surrogates
from shield.surrogates import surrogate as room
from shield.surrogates.generator import StarGANGenerator, with_conditions
from shield.surrogates.published import Editor, fit
from shield.surrogates.published.stargan import STARGAN
from shield.surrogates.recognisers.dlib import RecogniserNet
from shield.surrogates.stargan import EDITS
from shield.weights import load_network, manifest, models_folder

Pixels = NDArray[np.uint8]


EVERY = sorted([*surrogates, *hardened])


@pytest.fixture(params=EVERY)
def surrogate(request: pytest.FixtureRequest, device: torch.device) -> Surrogate:
    return load_surrogate(request.param, device)


@pytest.fixture
def pair(surrogate: Surrogate) -> Tensor:
    """What the surrogate makes of ``noise(2, size)``, computed once for all tests."""
    return _pair(surrogate)


@cache
def _pair(surrogate: Surrogate) -> Tensor:
    faces = noise(2, surrogate.size)
    results = surrogate(faces)
    assert torch.equal(faces, noise(2, surrogate.size))
    return results


def noise(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


# The contract


def test_describes_itself(surrogate: Surrogate) -> None:
    assert (surrogate.name in surrogates) != (surrogate.name in hardened)
    assert surrogate.size > 0
    assert 0.1 < surrogate.framing.eye_distance < 0.5
    assert surrogate.edits
    assert len(set(surrogate.edits)) == len(surrogate.edits)
    assert all(surrogate.edits)
    assert surrogate.licence
    assert surrogate.threshold > 0


def test_gives_one_result_per_face_and_edit_and_leaves_the_faces_alone(surrogate: Surrogate, pair: Tensor) -> None:
    results = pair
    assert results.dtype == torch.float32
    assert results.isfinite().all()
    assert results.shape[:2] == (2, len(surrogate.edits))
    if surrogate.makes_pictures:
        assert results.shape[2:] == (3, surrogate.size, surrogate.size)
        assert results.min() >= -1
        assert results.max() <= 1
        assert results.min() < -0.3  # a picture in [0, 1] would not
    else:
        assert results.ndim == 3


def test_a_face_does_not_depend_on_its_batch(surrogate: Surrogate, pair: Tensor) -> None:
    alone = torch.cat([surrogate(face[None]) for face in noise(2, surrogate.size)])
    assert float((pair - alone).abs().max()) < 1e-4
    assert float((alone[0] - alone[1]).abs().max()) > 1e-3


def test_the_gradient_reaches_every_channel(surrogate: Surrogate, pair: Tensor) -> None:
    faces, clean = noise(2, surrogate.size)[:1], pair[:1]
    faces = (faces + 0.05 * noise(1, surrogate.size, seed=1)).requires_grad_(True)
    surrogate.distance(surrogate(faces), clean).sum().backward()
    assert faces.grad is not None
    assert faces.grad.isfinite().all()
    reached = (faces.grad != 0).float().mean(dim=(0, 2, 3))
    assert (reached > 0.95).all()


def test_is_frozen_in_evaluation_mode_and_in_full_precision(surrogate: Surrogate) -> None:
    assert isinstance(surrogate, nn.Module)
    assert not any(module.training for module in surrogate.modules())
    assert not any(weight.requires_grad for weight in surrogate.parameters())
    numbers = [
        weight for weight in surrogate.state_dict().values() if weight.is_floating_point()
    ]  # the rest are shapes
    assert {weight.dtype for weight in numbers} == {torch.float32}


def test_is_loaded_once(surrogate: Surrogate, device: torch.device) -> None:
    assert load_surrogate(surrogate.name, device) is surrogate


def test_normalisation_keeps_no_statistics_of_other_pictures(surrogate: Surrogate) -> None:
    """The published StarGAN is never switched to evaluation: InstanceNorm works on the picture's own statistics."""
    assert isinstance(surrogate, nn.Module)
    layers = [module for module in surrogate.modules() if isinstance(module, nn.InstanceNorm2d)]
    if not layers:
        pytest.skip(f"{surrogate.name} has no InstanceNorm")
    assert not any(layer.track_running_stats for layer in layers)
    faces = noise(1, surrogate.size)
    evaluated = surrogate(faces)
    try:
        trained = surrogate.train()(faces)
    finally:
        surrogate.eval()
    assert torch.equal(trained, evaluated)


def test_distances_are_zero_for_equal_positive_and_symmetric(surrogate: Surrogate, pair: Tensor) -> None:
    one, other = pair, pair.flip(0)  # the two faces, either way
    distances = surrogate.distance(one, other)
    assert distances.shape == (2, len(surrogate.edits))
    assert surrogate.distance(one, one).count_nonzero() == 0
    assert (distances > 1e-4).all()
    assert torch.allclose(distances, surrogate.distance(other, one))


@pytest.mark.parametrize("name", EVERY)
def test_altered_weights_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (models_folder() / "manifest.toml").read_text(encoding="utf-8")
    (tmp_path / "manifest.toml").write_text(text, encoding="utf-8")
    file = manifest()[name].file
    data = (models_folder() / file).read_bytes()
    (tmp_path / file).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    monkeypatch.setattr(weights, "models_folder", lambda: tmp_path)
    monkeypatch.setattr(room, "_loaded", {})
    with pytest.raises(WeightsError, match="not the ones shield was tested with"):
        load_surrogate(name, torch.device("cpu"))


@pytest.mark.parametrize("name", EVERY)
def test_two_loads_from_the_file_are_equal(name: str, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a surrogate is random."""
    first = load_surrogate(name, device)
    monkeypatch.setattr(room, "_loaded", {})
    second = load_surrogate(name, device)
    assert isinstance(first, nn.Module)
    assert isinstance(second, nn.Module)
    assert second is not first
    ours, theirs = first.state_dict(), second.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_an_unknown_surrogate_is_refused(device: torch.device) -> None:
    with pytest.raises(RecipeError, match=r"no surrogate named 'nobody'.*stargan"):
        load_surrogate("nobody", device)


# StarGAN's layout


def published_layout(width: int, conditions: int) -> Mapping[str, tuple[int, ...]]:
    """Keys and shapes of yunjey/stargan's generator, six residual blocks, without InstanceNorm's running statistics."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(key: str, outputs: int, inputs: int, kernel: int) -> None:
        shapes[f"{key}.weight"] = (outputs, inputs, kernel, kernel)

    def norm(key: str, channels: int) -> None:
        shapes[f"{key}.weight"] = shapes[f"{key}.bias"] = (channels,)

    convolution("main.0", width, 3 + conditions, 7)
    norm("main.1", width)
    convolution("main.3", 2 * width, width, 4)
    norm("main.4", 2 * width)
    convolution("main.6", 4 * width, 2 * width, 4)
    norm("main.7", 4 * width)
    for block in range(9, 15):
        for place in (0, 3):
            convolution(f"main.{block}.main.{place}", 4 * width, 4 * width, 3)
            norm(f"main.{block}.main.{place + 1}", 4 * width)
    convolution("main.15", 4 * width, 2 * width, 4)  # transposed: inputs come first
    norm("main.16", 2 * width)
    convolution("main.18", 2 * width, width, 4)
    norm("main.19", width)
    convolution("main.21", 3, width, 7)
    return shapes


@pytest.mark.parametrize(("width", "conditions"), [(64, 5), (8, 2)])
def test_the_generator_has_the_published_layout(width: int, conditions: int) -> None:
    generator = StarGANGenerator(width, conditions, blocks=6)
    shapes = {key: tuple(value.shape) for key, value in generator.state_dict().items()}
    assert shapes == published_layout(width, conditions)


def test_the_published_generator_has_8_430_000_parameters_in_103_keys() -> None:
    generator = StarGANGenerator()
    norms = sum(isinstance(module, nn.InstanceNorm2d) for module in generator.modules())
    assert sum(weight.numel() for weight in generator.parameters()) == pytest.approx(8.43e6, abs=5e3)
    assert len(generator.state_dict()) + 3 * norms == 103  # a published file adds three running statistics each


def test_conditions_are_tiled_behind_the_colours() -> None:
    faces, conditions = noise(2, 4), torch.tensor([(0.0, 1.0), (0.5, -1.0)])
    stacked = with_conditions(faces, conditions)
    assert stacked.shape == (2, 5, 4, 4)
    assert torch.equal(stacked[:, :3], faces)
    assert torch.equal(stacked[:, 3:].amin(dim=(2, 3)), conditions)
    assert torch.equal(stacked[:, 3:].amax(dim=(2, 3)), conditions)


def small_generator(width: int = 4, conditions: int = 5, blocks: int = 2) -> StarGANGenerator:
    torch.manual_seed(0)
    return StarGANGenerator(width, conditions, blocks)


@pytest.mark.parametrize(("width", "conditions", "blocks"), [(4, 5, 2), (6, 17, 1), (3, 1, 3)])
def test_widths_and_blocks_are_read_off_the_tensors(width: int, conditions: int, blocks: int) -> None:
    generator = small_generator(width, conditions, blocks)
    loaded = fit(STARGAN, generator.state_dict(), "a file").network
    faces, vector = 2 * noise(1, 16) - 1, torch.ones(1, conditions)
    assert torch.equal(loaded(faces, vector), generator(faces, vector))


def test_half_precision_weights_load_in_full_precision() -> None:
    halves = {key: value.half() for key, value in small_generator().state_dict().items()}
    loaded = fit(STARGAN, halves, "a file").network.state_dict()
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    assert all(torch.equal(loaded[key], halves[key].float()) for key in halves)


KEYS = sorted(small_generator().state_dict())


@pytest.mark.parametrize("key", [KEYS[0], "main.0.weight", "main.9.main.4.bias", KEYS[-1]])
def test_a_missing_tensor_is_refused(key: str) -> None:
    tensors = small_generator().state_dict()
    del tensors[key]
    with pytest.raises(WeightsError, match="a file is not a generator of StarGAN"):
        fit(STARGAN, tensors, "a file")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stray", torch.zeros(1)),
        ("main.3.weight", torch.zeros(8, 4, 3, 3)),
        ("main.0.weight", torch.zeros(5, 8, 7, 7)),
        ("main.0.weight", torch.zeros(4)),
        ("main.0.weight", torch.zeros(4, 1, 7, 7)),
    ],
    ids=["left over", "another shape", "another width", "no convolution", "no colours"],
)
def test_a_tensor_that_does_not_fit_is_refused(key: str, value: Tensor) -> None:
    with pytest.raises(WeightsError, match="a file is not a generator of StarGAN"):
        fit(STARGAN, {**small_generator().state_dict(), key: value}, "a file")


# StarGAN's edits


def test_every_hair_colour_meets_both_sexes_and_both_ages() -> None:
    for hair in range(3):
        vectors = [vector for vector in EDITS.values() if vector[hair]]
        assert {vector[3] for vector in vectors} == {0, 1}
        assert {vector[4] for vector in vectors} == {0, 1}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_what_its_name_says(edit: str) -> None:
    hair, sex, age = edit.split(", ")
    colours = [int(hair == f"{colour} hair") for colour in ("black", "blond", "brown")]
    assert sum(colours) == 1
    assert EDITS[edit] == (*colours, {"male": 1, "female": 0}[sex], {"young": 1, "old": 0}[age])


def test_the_results_are_the_generators_for_each_face_and_edit(stargan: Editor) -> None:
    """Bare arithmetic beside the batch of every edit of every face: a mix-up of rows or channels would show."""
    faces = noise(2, 32)
    results = stargan(faces)
    assert stargan.edits == tuple(EDITS)
    for row, face in enumerate(faces):
        for column, vector in enumerate(EDITS.values()):
            expected = stargan.network(2 * face[None] - 1, torch.tensor([vector], dtype=torch.float32))
            assert float((results[row, column] - expected[0]).abs().max()) < 1e-4


@pytest.fixture(scope="module")
def edited(stargan: Editor, portrait: Pixels, portrait_face: Face) -> tuple[Tensor, Tensor]:
    """The portrait's face in [-1, 1], (3, s, s), and its edits, (E, 3, s, s)."""
    face = warp(to_tensor(portrait), portrait_face, stargan.size, stargan.framing)
    with torch.no_grad():
        return 2 * face[0] - 1, stargan(face)[0]


def test_every_edit_visibly_changes_the_portrait_but_leaves_it_the_same_picture(edited: tuple[Tensor, Tensor]) -> None:
    face, results = edited
    changes = (results - face).abs().mean(dim=(1, 2, 3))
    assert changes[1:].min() > 0.08
    assert 0.02 < changes[0] < changes[1:].min()  # black hair, male, young: what the man on the portrait is already
    assert changes.max() < 0.4
    swapped = (results - face.flip(0)).abs().mean(dim=(1, 2, 3))  # BGR
    assert (swapped > 1.2 * changes).all()


def test_every_edit_differs_from_every_other(edited: tuple[Tensor, Tensor]) -> None:
    _, results = edited
    apart = torch.cdist(results.flatten(1), results.flatten(1), p=1) / results[0].numel()
    assert apart[~torch.eye(len(results), dtype=torch.bool)].min() > 0.05


def test_blond_hair_is_lighter_than_black(edited: tuple[Tensor, Tensor]) -> None:
    """Above the face, where the hair is."""
    _, results = edited
    hair = {name: float(result[:, 20:36, 40:88].mean()) for name, result in zip(EDITS, results, strict=True)}
    blond = [value for name, value in hair.items() if name.startswith("blond")]
    black = [value for name, value in hair.items() if name.startswith("black")]
    assert min(blond) > max(black) + 0.1


# The recogniser


def test_the_recogniser_hands_faces_to_its_network_as_they_are(device: torch.device) -> None:
    surrogate = load_surrogate("dlib", device)
    faces, network = noise(1, surrogate.size), load_network(RecogniserNet, "dlib", "the recogniser")
    assert torch.equal(surrogate(faces)[:, 0], network(faces))


def embedding_of(pixels: Pixels, device: torch.device) -> Tensor:
    surrogate = load_surrogate("dlib", device)
    with torch.no_grad():
        return surrogate(warp(to_tensor(pixels), detect(pixels)[0], surrogate.size, surrogate.framing))


def test_the_recogniser_knows_a_person_again_and_tells_others_apart(
    shared: Path, portrait: Pixels, device: torch.device
) -> None:
    surrogate = load_surrogate("dlib", device)
    one = embedding_of(portrait, device)
    smaller = np.asarray(Image.fromarray(portrait).resize((400, 400), Image.Resampling.LANCZOS))
    assert float(surrogate.distance(embedding_of(smaller[:, ::-1], device), one)) < 0.5 * surrogate.threshold
    for number in (0, 1, 2):
        other = read(shared / "data" / "portraits" / f"portrait_{number:02}.jpg").pixels
        assert float(surrogate.distance(embedding_of(other, device), one)) > 1.5 * surrogate.threshold


# Some of the edits


@pytest.mark.parametrize("name", sorted(surrogates))
def test_chosen_edits_are_those_rows_of_all(name: str, device: torch.device) -> None:
    surrogate = load_surrogate(name, device)
    edits = surrogate.edits[::-2]
    part = chosen(surrogate, edits)
    whole, some = _pair(surrogate), part(noise(2, surrogate.size))
    assert part.edits == edits
    assert part.name == name and part.threshold == surrogate.threshold and part.framing == surrogate.framing
    rows = [surrogate.edits.index(edit) for edit in edits]
    assert torch.allclose(some, whole[:, rows], atol=1e-5)
    assert torch.equal(part.distance(some, some), torch.zeros(2, len(edits)))


def test_all_edits_are_the_surrogate_itself(stargan: Editor) -> None:
    assert chosen(stargan, stargan.edits) is stargan


class Own:
    name, size, framing, edits, licence, threshold, makes_pictures = "own", 4, None, ("a", "b", "c"), "", 0.05, True

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        return torch.stack([faces, 2 * faces, 3 * faces], 1)

    def distance(self, results: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        return (results - clean).abs().flatten(2).amax(2)


def test_a_surrogate_of_ones_own_computes_all_and_gives_some() -> None:
    part = chosen(Own(), ["c", "a"])  # type: ignore[arg-type]
    ones = torch.ones(1, 3, 4, 4)
    assert part(ones)[0, :, 0, 0, 0].tolist() == [3, 1]
    assert part.distance(part(ones), part(0 * ones)).tolist() == [[3, 1]]


def test_one_of_ones_own_that_can_computes_no_others() -> None:
    class Selecting(Own):
        def only(self, edits: Sequence[str]) -> tuple[str, ...]:
            return ("asked for", *edits)

    assert chosen(Selecting(), ["c", "a"]) == ("asked for", "c", "a")  # type: ignore[arg-type]
