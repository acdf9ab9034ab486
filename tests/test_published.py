"""The published networks have the published layouts and compute what their authors' do, whatever way they are saved."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import published_layouts as layouts
import pytest
import test_surrogates
import torch
from published_layouts import PUBLISHED, Published, Shapes, Tensors, random_weights
from safetensors.torch import save_file
from torch import Tensor, nn

import shield
from shield.errors import ShieldError, WeightsError
from shield.faces import PORTRAIT
from shield.surrogates import Surrogate, families, load_surrogate, surrogates
from shield.surrogates.published import attgan, fit, ganimation, read_checkpoint
from shield.surrogates.published.family import Editor
from shield.surrogates.published.trunk import RAFD
from shield.surrogates.stargan import EDITS as CELEBA

WIDTH, SIZE = 4, 32
# Of CelebA, as AttGAN's authors list them.
ATTRIBUTES = ("Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Eyeglasses", "Male")
ATTRIBUTES += ("Mouth_Slightly_Open", "Mustache", "No_Beard", "Pale_Skin", "Young")

every_layout = pytest.mark.parametrize("published", PUBLISHED.values(), ids=PUBLISHED)


def noise(count: int = 2, size: int = SIZE, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def saved(content: Any, folder: Path, name: str = "weights.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def imported(content: Any, family: str, folder: Path, size: int = SIZE) -> Editor:
    """What becomes of a file with this content."""
    entry = shield.import_model(saved(content, folder), family, size=size)
    surrogate = load_surrogate(entry.name, torch.device("cpu"))
    assert isinstance(surrogate, Editor)
    return surrogate


def expected(published: Published, tensors: Tensors, surrogate: Editor, faces: Tensor) -> Tensor:
    """(N, E, 3, h, w) by the bare arithmetic: an edit of all faces at a time."""
    rows = [published.results(tensors, 2 * faces - 1, row.repeat(len(faces), 1)) for row in surrogate.conditions]
    return torch.stack(rows, dim=1)


def furthest(found: Tensor, right: Tensor) -> float:
    assert found.shape == right.shape
    return float((found - right).abs().max())


# Layouts, at the published width


def shapes_of(network: nn.Module) -> Mapping[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def empty(shapes: Shapes) -> dict[str, Tensor]:
    """Tensors of these shapes that take no memory."""
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}


@every_layout
def test_the_network_has_the_published_keys_and_shapes(published: Published) -> None:
    family = families[published.family]
    shapes = published.layout(64)
    with torch.device("meta"):
        network, _ = family.build(empty(shapes))
    dropped = ("num_batches_tracked",) if family.statistics else ("num_batches_tracked", "running_mean", "running_var")
    wanted = {key: s for key, s in shapes.items() if not key.startswith("debug") and not key.endswith(dropped)}
    assert shapes_of(network) == wanted


@pytest.mark.parametrize(
    ("shapes", "keys", "millions"),
    [
        (layouts.stargan(), 103, 8.43),
        (layouts.ganimation(), 320, None),
        (layouts.resnet(), 48, 11.38),
        (layouts.resnet(affine=True), 94, None),
        (layouts.resnet(downs=4, inputs=36), 56, 182.55),
        (layouts.attgan(), None, 43.4),
    ],
    ids=["stargan", "ganimation", "cyclegan", "cyclegan, affine", "pix2pixhd", "attgan"],
)
def test_the_layouts_have_the_numbers_that_are_known(shapes: Shapes, keys: int | None, millions: float | None) -> None:
    assert keys in (None, len(shapes))
    if millions is not None:
        count = sum(torch.Size(s).numel() for key, s in shapes.items() if key.endswith(("weight", "bias")))
        assert count / 1e6 == pytest.approx(millions, abs=0.05 if millions == 43.4 else 0.006)


def test_attgans_decoder_sees_the_channels_that_its_docstring_says() -> None:
    with torch.device("meta"):
        network = attgan.AttGANGenerator(64, 13, shortcuts=1, injections=1)
    shapes = shapes_of(network)
    assert [shapes[f"dec_layers.{i}.layers.0.weight"][0] for i in range(5)] == [1037, 1549, 512, 256, 128]


# Results


@every_layout
def test_an_imported_file_computes_what_its_authors_do(published: Published, home: Path, tmp_path: Path) -> None:
    tensors = random_weights(published.layout(WIDTH))
    surrogate = imported(tensors, published.family, tmp_path)
    faces = noise()
    assert furthest(surrogate(faces), expected(published, tensors, surrogate, faces)) < 1e-4


@every_layout
def test_float16_costs_next_to_nothing(published: Published, home: Path, tmp_path: Path) -> None:
    exact = {
        key: 1.0001 * value if value.is_floating_point() else value
        for key, value in random_weights(published.layout(WIDTH)).items()
    }
    surrogate = imported(exact, published.family, tmp_path)
    faces = noise()
    assert furthest(surrogate(faces), expected(published, exact, surrogate, faces)) < 0.02


@pytest.mark.parametrize("size", [32, 64, 96])
def test_other_sizes_compute_the_same(size: int, home: Path, tmp_path: Path) -> None:
    published = PUBLISHED["attgan, injected"]
    tensors = random_weights(published.layout(WIDTH))
    surrogate = imported(tensors, "attgan", tmp_path, size)
    faces = noise(size=size)
    assert furthest(surrogate(faces), expected(published, tensors, surrogate, faces)) < 1e-4


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("stargan", lambda right, tensors, faces, row: right(tensors, faces, row)),
        ("stargan", lambda right, tensors, faces, row: right(tensors, 2 * faces - 1, row.flip(1))),
        ("aggan", lambda right, tensors, faces, row: right(swapped(tensors), 2 * faces - 1, row)),
        ("ganimation", lambda right, tensors, faces, row: right(swapped(tensors), 2 * faces - 1, row)),
        ("ganimation", lambda right, tensors, faces, row: right(tensors, 2 * faces - 1, 5 * row)),
        ("attgan", lambda right, tensors, faces, row: right(tensors, 2 * faces - 1, (row + 1) / 2)),
        ("attgan", lambda right, tensors, faces, row: right(tensors, 2 * faces - 1, row.flip(1))),
    ],
    ids=["[0, 1]", "order", "attention", "attention", "not divided by 5", "0 and 1", "order"],
)
def test_the_comparison_sees_a_fault(
    name: str, fault: Callable[[Any, Tensors, Tensor, Tensor], Tensor], home: Path, tmp_path: Path
) -> None:
    published = PUBLISHED[name]
    tensors = random_weights(published.layout(WIDTH))
    surrogate = imported(tensors, published.family, tmp_path)
    faces, row = noise(), surrogate.conditions[:1].repeat(2, 1)
    assert furthest(surrogate(faces)[:, 0], fault(published.results, tensors, faces, row)) > 0.02


def swapped(tensors: Tensors) -> dict[str, Tensor]:
    """The sign of attention turned: a becomes 1 - a."""
    changed = dict(tensors)
    if "im_att.0.weight" in changed:
        changed["im_att.0.weight"] = -changed["im_att.0.weight"]
    else:
        changed["main.21.weight"] = torch.cat([-changed["main.21.weight"][:1], changed["main.21.weight"][1:]])
    return changed


# Edits


def test_stargan_and_aggan_take_celebas_attributes_or_rafds_expressions() -> None:
    for name in ("stargan", "aggan"):
        assert families[name].build(empty(layouts.stargan(8) | layouts.aggan(8)))[1] == CELEBA
    edits = families["stargan"].build(empty(layouts.stargan(8, 8)))[1]
    assert list(edits) == list(RAFD) == sorted(RAFD)
    assert torch.equal(torch.tensor(list(edits.values())), torch.eye(8))


def test_conditions_of_which_nothing_is_known_are_numbered() -> None:
    edits = families["stargan"].build(empty(layouts.stargan(8, 2)))[1]
    assert edits == {"condition 1": (1, 0), "condition 2": (0, 1)}
    edits = families["ganimation"].build(empty(layouts.ganimation(8, 3)))[1]
    assert edits["condition 3"] == (0, 0, 1)
    edits = families["attgan"].build(empty(layouts.attgan(8, 2)))[1]
    assert edits == {"condition 1": (1, -0.5), "condition 2": (-0.5, 1)}


def test_ganimations_action_units_are_fifths_in_openfaces_order() -> None:
    assert ganimation.ACTION_UNITS == (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
    smile = ganimation.EDITS["smile"]
    assert (smile[4], smile[8], smile[14]) == (3 / 5, 4 / 5, 2 / 5)  # cheek raiser, lip corner puller, lips part
    assert sum(smile) == pytest.approx(9 / 5)
    for vector in ganimation.EDITS.values():
        assert len(vector) == 17
        assert 0 <= min(vector) < max(vector) <= 1


def test_attgans_attributes_are_halves_and_the_edited_one_is_whole() -> None:
    words = {"Mouth_Slightly_Open": "mouth open", "Mustache": "moustache", "Pale_Skin": "pale"}
    names = [words.get(attribute, attribute.lower().replace("_", " ")) for attribute in ATTRIBUTES]
    assert list(attgan.ATTRIBUTES) == names
    edits = attgan.edits_for(13)
    assert len(edits) == 6
    for edit, vector in edits.items():
        edited, sex, age = edit.split(", ")
        values = dict(zip(names, vector, strict=True))
        assert values.pop(edited) == 1
        assert set(values.values()) == {0.5, -0.5}
        assert (values["male"] > 0, values["young"] > 0) == (sex == "male", age == "young")
        assert not (values.get("moustache") == 0.5 and values.get("no beard") == 0.5)
        assert [n for n in names if "hair" in n and vector[names.index(n)] > 0][1:] == []


def test_framing_is_the_portraits_which_is_close_to_celebas_centre_crop() -> None:
    for name, family in families.items():
        assert family.framing.down == 0
        assert family.framing.side == (pytest.approx(170 / 178) if name == "attgan" else PORTRAIT.side)


# Ways to save


def wrapped(tensors: Tensors, way: str) -> Any:
    return {
        "bare": tensors,
        "parallel": {f"module.{key}": value for key, value in tensors.items()},
        "G": {"G": tensors, "D": {"main.0.weight": torch.ones(1)}, "optim_G": {"state": {}, "param_groups": []}},
        "G, parallel": {"G": {f"module.{key}": value for key, value in tensors.items()}},
        "gen_test": {"gen_test": tensors},
        "g_ema": {"g_ema": tensors, "latent_avg": torch.ones(1)},
        "state_dict": {"state_dict": tensors, "epoch": 3},
        "model": {"model": tensors},
        "state_dict, G": {"state_dict": {"G": tensors}},
        "preprocessing": {**tensors, "preprocessing.mean": torch.ones(3), "preprocessing_std": torch.ones(3)},
        "half": {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()},
        "parameters": {
            key: nn.Parameter(value) if value.is_floating_point() else value for key, value in tensors.items()
        },
    }[way]


WAYS = (
    "bare",
    "parallel",
    "G",
    "G, parallel",
    "gen_test",
    "g_ema",
    "state_dict",
    "model",
    "state_dict, G",
    "preprocessing",
    "half",
    "parameters",
)


@pytest.mark.parametrize("way", WAYS)
def test_every_published_wrapper_and_prefix_is_taken_off(way: str, tmp_path: Path) -> None:
    family, tensors = families["stargan"], random_weights(layouts.stargan(WIDTH))
    checkpoint = read_checkpoint(saved(wrapped(tensors, way), tmp_path))
    network, _ = fit(family, checkpoint.tensors, "x")
    assert all(torch.equal(value, tensors[key]) for key, value in network.state_dict().items())
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


def test_the_old_format_of_torch_and_safetensors_are_read_too(tmp_path: Path) -> None:
    tensors = random_weights(layouts.stargan(WIDTH))
    old, new = tmp_path / "200000-G.ckpt", tmp_path / "G.safetensors"
    torch.save(tensors, old, _use_new_zipfile_serialization=False)
    save_file(tensors, new)
    for path in (old, new):
        found = read_checkpoint(path).tensors
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[key], tensors[key]) for key in tensors)


def test_batchnorm_keeps_its_statistics_and_instancenorm_does_not() -> None:
    for name, family in families.items():
        kept = family.cleaned(empty(layouts.attgan(2) if name == "attgan" else layouts.stargan(2)))
        assert any(key.endswith("running_mean") for key in kept) == (name == "attgan")
        assert not any(key.endswith("num_batches_tracked") for key in kept)


# The promises of every surrogate, kept by every family


@pytest.fixture(params=sorted(families))
def surrogate(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Surrogate:
    tensors = random_weights(PUBLISHED[request.param].layout(WIDTH))
    return imported(tensors, request.param, tmp_path, size=64)  # at 32 px pix2pixHD normalises over four numbers


for _name, _promise in vars(test_surrogates).items():
    if _name.startswith("test_") and "surrogate" in inspect.signature(_promise).parameters:
        globals()[_name] = _promise


def test_the_promises_are_those_of_test_surrogates() -> None:
    assert {"test_the_gradient_reaches_every_channel", "test_describes_itself"} <= globals().keys()


@every_layout
def test_training_mode_changes_nothing(published: Published, home: Path, tmp_path: Path) -> None:
    surrogate = imported(random_weights(published.layout(WIDTH)), published.family, tmp_path)
    faces = noise()
    evaluated = surrogate(faces)
    assert torch.equal(surrogate.train()(faces), evaluated)


@pytest.mark.parametrize("name", ["stargan", "cyclegan, affine, statistics"])
def test_a_brighter_batch_mate_changes_nothing(name: str, home: Path, tmp_path: Path) -> None:
    published = PUBLISHED[name]
    surrogate = imported(random_weights(published.layout(WIDTH)), published.family, tmp_path)
    face = noise(1)
    both = surrogate(torch.cat([face, torch.ones_like(face)]))
    assert furthest(both[:1], surrogate(face)) < 1e-4


# Refusals


def refused(content: Any, family: str, folder: Path, words: str, error: type[ShieldError] = WeightsError) -> None:
    before = dict(surrogates)
    with pytest.raises(error, match=words) as caught:
        imported(content, family, folder)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 600
    assert surrogates.keys() == before.keys()


STARGAN = random_weights(layouts.stargan(WIDTH))


@pytest.mark.parametrize(
    ("content", "family", "words"),
    [
        ({k: v for k, v in STARGAN.items() if k != "main.19.bias"}, "stargan", r"has no main\.19\.bias"),
        ({k: v for k, v in STARGAN.items() if k != "main.0.weight"}, "stargan", r"has no main\.0\.weight"),
        ({**STARGAN, "stray.weight": torch.ones(1)}, "stargan", r"has stray\.weight, which is not expected"),
        ({**STARGAN, "main.3.weight": torch.ones(8, 4, 3, 3)}, "stargan", r"is 8 x 4 x 3 x 3, expected 8 x 4 x 4 x 4"),
        ({**STARGAN, "main.0.weight": torch.ones(4)}, "stargan", r"main\.0\.weight is 4, expected 4 dimensions"),
        ({**STARGAN, "main.0.weight": torch.ones(4, 3, 7, 7)}, "stargan", "3 channels, expected 3 and at least one"),
        (
            {**STARGAN, "main.1.bias": torch.full((4,), torch.nan)},
            "stargan",
            r"main\.1\.bias holds values that are not",
        ),
        ({**STARGAN, "main.1.bias": torch.ones(4, dtype=torch.int64)}, "stargan", "holds int64, expected floats"),
        (STARGAN, "aggan", r"expected 4 x 4 x 7 x 7; it fits StarGAN, so import it as stargan"),
        (STARGAN, "cyclegan", r"not a generator of CycleGAN: it has no model\.1\.weight; it fits StarGAN"),
        (layouts.aggan(WIDTH), "stargan", "it fits AGGAN .* so import it as aggan"),
        (layouts.ganimation(WIDTH), "stargan", "it fits GANimation, so import it as ganimation"),
        (layouts.resnet(WIDTH, downs=4), "cyclegan", "it fits pix2pixHD, so import it as pix2pixhd"),
        (layouts.resnet(WIDTH), "pix2pixhd", "it fits CycleGAN, so import it as cyclegan"),
        (layouts.attgan(WIDTH), "stargan", "it fits AttGAN, so import it as attgan"),
        (layouts.resnet(WIDTH, downs=4, inputs=36), "pix2pixhd", "label maps of 36 channels, expected an editor"),
        (layouts.resnet(WIDTH, inputs=1), "cyclegan", "takes 1 channels, expected the 3 of a photo"),
        (
            {**layouts.resnet(WIDTH, downs=4), "model1_1.1.weight": (2, 3, 7, 7), "model1_2.0.weight": (1,)},
            "pix2pixhd",
            "model1_1 and model1_2 of the local enhancer, expected the global generator",
        ),
        (
            {k: s for k, s in layouts.resnet(WIDTH).items() if not k.endswith("bias")},
            "cyclegan",
            "no model.1.bias, as with BatchNorm",
        ),
        (
            {k: s for k, s in layouts.attgan(WIDTH).items() if "running_" not in k},
            "attgan",
            r"has no enc_layers\.0\.layers\.1\.running_mean \(and 17 more\)",
        ),
        (
            {"enc_layers.0.layers.0.weight": (4, 3, 4, 4), "dec_layers.0.layers.0.weight": (9, 64, 4, 4)},
            "attgan",
            "-55",
        ),
        ({"G": {}}, "stargan", "where tensors by name are expected"),
        ([1, 2], "stargan", "holds a list, where tensors by name are expected"),
        (torch.ones(3), "stargan", "holds a Tensor, where tensors by name are expected"),
        ({"netG": dict(STARGAN)}, "stargan", "holds 'netG', a dict.*state_dict alone, or under one of the keys G, "),
        ({**STARGAN, "epoch": 3}, "stargan", "holds 'epoch', a int"),
        ({3: torch.ones(1)}, "stargan", "holds 3, a Tensor"),
    ],
)
def test_what_is_not_the_network_is_refused(content: Any, family: str, words: str, home: Path, tmp_path: Path) -> None:
    if isinstance(content, dict) and content and all(isinstance(value, tuple) for value in content.values()):
        content = random_weights(content)
    refused(content, family, tmp_path, words)
    assert not home.exists()


def test_a_pickled_module_is_refused_and_never_run(home: Path, tmp_path: Path) -> None:
    refused(
        nn.Conv2d(3, 3, 3), "stargan", tmp_path, r"pickled Python object torch\.nn\.modules\.conv\.Conv2d, .*import"
    )
    refused({"G": nn.Conv2d(3, 3, 3)}, "stargan", tmp_path, r"torch\.save\(network\.state_dict\(\), 'weights\.pth'\)")
    refused(Bomb(tmp_path / "ran"), "stargan", tmp_path, "pickled Python object .*mkdir")
    assert not (tmp_path / "ran").exists()


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__("os").mkdir, (str(self.path),)


def test_torchscript_is_refused(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is on its way out
        torch.jit.save(torch.jit.trace(nn.Conv2d(3, 3, 3), torch.ones(1, 3, 5, 5)), path)
    with pytest.raises(WeightsError, match="holds a TorchScript program"):
        shield.import_model(path, "stargan")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_half_a_file_is_refused(old: bool, share: float, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(STARGAN, path, _use_new_zipfile_serialization=not old)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsError, match=r"x\.pth ends too early, is damaged"):
        shield.import_model(path, "stargan")
    assert not home.exists()


@pytest.mark.parametrize("data", [b"", b"<!DOCTYPE html>", b"version https://git-lfs", b"hello world", b"\xff\xd8\xff"])
def test_a_file_of_another_kind_is_refused(data: bytes, home: Path, tmp_path: Path) -> None:
    for name, words in (
        ("x.pth", "no checkpoint of PyTorch: it begins with"),
        ("x.safetensors", "no safetensors file"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(WeightsError, match=words):
            shield.import_model(tmp_path / name, "stargan")
    assert not home.exists()
