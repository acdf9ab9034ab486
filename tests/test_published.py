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
from shield.errors import InputError, ShieldError, WeightsError
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


def imported(content: Any, family: str, folder: Path, size: int = SIZE, attributes: str = "") -> Editor:
    """What becomes of a file with this content."""
    entry = shield.import_model(saved(content, folder), family, size=size, attributes=attributes)
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
        network = family.build(empty(shapes)).network
    dropped = ["num_batches_tracked", "weight_u", "weight_v"]
    dropped += [] if family.statistics else ["running_mean", "running_var"]
    wanted = {
        key.removesuffix("_orig"): shape
        for key, shape in shapes.items()
        if not key.startswith("debug") and not key.endswith(tuple(dropped))
    }
    calls = {"img_reg.0.weight": "im_reg.0.weight", "attetion_reg.0.weight": "im_att.0.weight"}
    assert shapes_of(network) == {calls.get(key, key): shape for key, shape in wanted.items()}


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
    surrogate = imported(tensors, published.family, tmp_path, published.size)
    faces = noise(size=published.size)
    assert furthest(surrogate(faces), expected(published, tensors, surrogate, faces)) < 1e-4


@every_layout
def test_float16_costs_next_to_nothing(published: Published, home: Path, tmp_path: Path) -> None:
    exact = {
        key: 1.0001 * value if value.is_floating_point() else value
        for key, value in random_weights(published.layout(WIDTH)).items()
    }
    surrogate = imported(exact, published.family, tmp_path, published.size)
    faces = noise(size=published.size)
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


def edits_of(shapes: Shapes, family: str, attributes: str = "") -> dict[str, list[float]]:
    edits = fit(families[family], random_weights(shapes), "a file", attributes).edits
    return {name: list(vector) for name, vector in edits.items()}


@pytest.mark.parametrize("name", ["stargan", "aggan"])
def test_the_authors_own_conditions_are_celebas_rafds_or_both_where_that_is_said(name: str) -> None:
    def edits(count: int) -> dict[str, list[float]]:
        return edits_of(getattr(layouts, name)(2, count), name, "published")

    assert edits(5) == {name: list(vector) for name, vector in CELEBA.items()}
    assert list(edits(8)) == list(RAFD) == sorted(RAFD)
    assert list(edits(8).values()) == torch.eye(8).tolist()
    assert list(edits(15)) == [*CELEBA, *RAFD]
    with pytest.raises(InputError, match=r"has 6 conditions, the published ones have 5 or 8 or 15; name"):
        edits(6)


def test_a_network_of_two_data_sets_gets_both_masks_right() -> None:
    """The solver of the authors puts the attributes of the first before those of the second, and behind them
    (1, 0) where the first is meant and (0, 1) where the second is; the attributes of the other are 0 then."""
    for attributes in ("", "published", "a,b,c,d,e+f,g,h,i,j,k,l,m"):
        edits = edits_of(layouts.stargan(2, 15), "stargan", attributes)
        for name, vector in edits.items():
            first, second, mask = vector[:5], vector[5:13], vector[13:]
            of_first = name in CELEBA or name in {f"condition {n}" for n in range(1, 6)} or name in set("abcde")
            assert mask == ([1, 0] if of_first else [0, 1])
            assert any(first) == of_first
            assert sum(second) == (not of_first)
        assert len(edits) == (14 if attributes == "published" else 13)
    uneven = edits_of(layouts.stargan(2, 5), "stargan", "Smiling,Young+happy")
    assert uneven == {"Smiling": [1, 0, 0, 1, 0], "Young": [0, 1, 0, 1, 0], "happy": [0, 0, 1, 0, 1]}


def test_a_network_of_two_data_sets_computes_what_its_authors_does(home: Path, tmp_path: Path) -> None:
    tensors = random_weights(layouts.stargan(WIDTH, 15))
    surrogate = imported(tensors, "stargan", tmp_path, attributes="a,b,c,d,e+f,g,h,i,j,k,l,m")
    faces = noise()
    rows = [[*one, *[0] * 8, 1, 0] for one in torch.eye(5).tolist()]
    rows += [[*[0] * 5, *one, 0, 1] for one in torch.eye(8).tolist()]
    results = [layouts.stargan_results(tensors, 2 * faces - 1, torch.tensor([row, row])) for row in rows]
    assert furthest(surrogate(faces), torch.stack(results, dim=1)) < 1e-4


@pytest.mark.parametrize("name", ["stargan", "aggan", "attgan"])
def test_attributes_that_are_named_are_the_edits_in_their_order(name: str, home: Path, tmp_path: Path) -> None:
    names = ["Black_Hair", "Eyeglasses", "Smiling", "Young", "Wearing_Hat"]
    tensors = random_weights(getattr(layouts, name)(WIDTH, 5))
    surrogate = imported(tensors, name, tmp_path, attributes=" Black_Hair,Eyeglasses, Smiling,Young,Wearing_Hat")
    assert surrogate.edits == tuple(names)
    faces = noise()
    for number in range(5):
        row = torch.full((2, 5), -0.5 if name == "attgan" else 0.0)
        row[:, number] = 1
        right = PUBLISHED[name].results(tensors, 2 * faces - 1, row)
        assert furthest(surrogate(faces)[:, number], right) < 1e-4


@pytest.mark.parametrize(
    ("name", "count"), [("stargan", 2), ("stargan", 5), ("stargan", 8), ("aggan", 5), ("attgan", 13), ("attgan", 2)]
)
def test_conditions_that_nobody_names_are_numbered_whatever_their_number(name: str, count: int) -> None:
    edits = edits_of(getattr(layouts, name)(2, count), name)
    absent = -0.5 if name == "attgan" else 0
    one = torch.full((count, count), absent).fill_diagonal_(1)
    assert edits == {f"condition {number + 1}": row for number, row in enumerate(one.tolist())}


def test_seventeen_action_units_need_no_names_and_others_do() -> None:
    assert list(edits_of(layouts.ganimation(2), "ganimation")) == list(ganimation.EXPRESSIONS)
    assert edits_of(layouts.ganimation(2, 3), "ganimation")["condition 3"] == [0, 0, 1]
    assert list(edits_of(layouts.ganimation(2, 2), "ganimation", "AU1,AU2")) == ["AU1", "AU2"]


@pytest.mark.parametrize(
    ("family", "attributes", "words"),
    [
        ("stargan", "a,b,c", "has 5 conditions, where 3 attributes are named; name every one"),
        ("stargan", "a,b,c,d,e,f", "has 5 conditions, where 6 attributes are named"),
        ("stargan", "a,b,c,d+e", "5 conditions, and 2 of them are the mask of 2 data sets, where 5 attributes"),
        ("stargan", "a,b,c,d,A", "attribute 'a' is named twice"),
        ("stargan", "a,b,,d,e", "has no name"),
        ("stargan", "a,b,c,d,\x1b[2J", "cannot be printed"),
        ("attgan", "a,b+c", "two data sets; networks of this family know one"),
        ("cyclegan", "a", "has no conditions, where 1 attributes are named"),
    ],
)
def test_names_that_do_not_suit_the_network_are_refused(
    family: str, attributes: str, words: str, home: Path, tmp_path: Path
) -> None:
    layout = {"stargan": layouts.stargan, "attgan": layouts.attgan, "cyclegan": layouts.resnet}[family]
    with pytest.raises(InputError, match=words) as caught:
        imported(random_weights(layout(2)), family, tmp_path, attributes=attributes)
    assert "\x1b" not in str(caught.value)
    assert not home.exists()


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
    edits = attgan.EDITS
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


Parts = Mapping[str, Any]
OTHER = {"main.0.weight": torch.ones(1), "main.1.bias": torch.zeros(3)}  # of the networks beside the generator


def before(prefix: str, tensors: Parts) -> dict[str, Any]:
    return {f"{prefix}.{key}": value for key, value in tensors.items()}


def optimiser() -> dict[str, Any]:
    return {"state": {0: {"step": torch.ones(())}}, "param_groups": [{"lr": 1e-4}]}


# How a file with these tensors may look: as its authors save it, and as whoever trains anew does.
WAYS: dict[str, Callable[[Parts], Any]] = {
    "bare": dict,
    "parallel": lambda tensors: before("module", tensors),
    "parallel twice": lambda tensors: before("module.module", tensors),
    "compiled": lambda tensors: before("_orig_mod", tensors),
    "compiled, parallel": lambda tensors: before("module._orig_mod", tensors),
    "parallel, compiled": lambda tensors: before("_orig_mod.module", tensors),
    "compiled within": lambda tensors: {key.replace(".", "._orig_mod.", 1): value for key, value in tensors.items()},
    "G": lambda tensors: {"G": tensors, "D": OTHER, "optim_G": optimiser()},
    "G, parallel": lambda tensors: {"G": before("module", tensors)},
    "netG": lambda tensors: {"netG": tensors, "netD": OTHER, "opt": {"name": "x"}},
    "generator": lambda tensors: {"epoch": 7, "generator": tensors, "discriminator": OTHER},
    "gen_test": lambda tensors: {"gen": OTHER, "gen_test": tensors},
    "g_ema": lambda tensors: {"g": OTHER, "g_ema": tensors, "latent_avg": torch.ones(1)},
    "state_dict": lambda tensors: {"state_dict": tensors, "epoch": 3},
    "model_state_dict": lambda tensors: {"model_state_dict": tensors, "optimizer_state_dict": optimiser()},
    "generator_state_dict": lambda tensors: {"generator_state_dict": tensors, "discriminator_state_dict": OTHER},
    "model": lambda tensors: {"model": tensors},
    "state_dict, G": lambda tensors: {"state_dict": {"G": tensors}},
    "Lightning": lambda tensors: {
        "epoch": 3,
        "pytorch-lightning_version": "2.5",
        "state_dict": before("generator", tensors) | before("discriminator", OTHER) | {"loss.weight": torch.ones(2)},
        "optimizer_states": [optimiser()],
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.ones(())}},
    },
    "Lightning, compiled": lambda tensors: {"state_dict": before("generator._orig_mod", tensors)},
    "Lightning, model": lambda tensors: {"state_dict": before("model", tensors)},
    "prefix netG": lambda tensors: before("netG", tensors) | before("netD", OTHER),
    "prefix generator": lambda tensors: before("generator", tensors),
    "preprocessing": lambda tensors: {
        **tensors,
        "preprocessing.mean": torch.ones(3),
        "preprocessing_std": torch.ones(3),
    },
    "half": lambda tensors: {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()},
    "parameters": lambda tensors: {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in tensors.items()},
    "averaged": lambda tensors: {"n_averaged": torch.tensor(9), **before("module", tensors)},
}


@pytest.mark.parametrize("published", ["stargan", "cyclegan"])  # whose keys begin with "model" by themselves
@pytest.mark.parametrize("way", WAYS)
def test_every_published_wrapper_and_prefix_is_taken_off(way: str, published: str, tmp_path: Path) -> None:
    family, tensors = families[published], random_weights(PUBLISHED[published].layout(2))
    checkpoint = read_checkpoint(saved(WAYS[way](tensors), tmp_path))
    weights = fit(family, checkpoint.tensors, "x").network.state_dict()
    assert all(torch.equal(value, tensors[key]) for key, value in weights.items())
    assert {value.dtype for value in weights.values()} == {torch.float32}


SMOOTHED: dict[str, Callable[[Parts, Parts], Any]] = {
    "g_ema": lambda plain, smooth: {"g": plain, "d": OTHER, "g_ema": smooth},
    "G_ema": lambda plain, smooth: {"G_ema": smooth, "G": plain},
    "netG_ema": lambda plain, smooth: {"netG": plain, "netG_ema": smooth},
    "gen_test": lambda plain, smooth: {"gen": plain, "gen_test": smooth},
    "params_ema": lambda plain, smooth: {"params": plain, "params_ema": before("module", smooth)},
    "G_ema_state_dict": lambda plain, smooth: {"G_state_dict": plain, "G_ema_state_dict": smooth},
    "state_dict.generator_ema": lambda plain, smooth: {
        "state_dict": before("generator", plain) | before("generator_ema", smooth)
    },
    "ema.ema_model": lambda plain, smooth: {
        "model": plain,
        "ema": before("online_model", plain) | before("ema_model.module", smooth) | {"step": torch.ones(())},
    },
}


@pytest.mark.parametrize("part", SMOOTHED)
def test_smoothed_weights_are_preferred_and_it_is_said(part: str, home: Path, tmp_path: Path) -> None:
    plain, smooth = (random_weights(layouts.stargan(2), seed) for seed in (1, 2))
    path = saved(SMOOTHED[part](plain, smooth), tmp_path)
    checkpoint = read_checkpoint(path)
    assert (checkpoint.part, checkpoint.smoothed) == (part, True)
    assert all(torch.equal(value, smooth[key]) for key, value in checkpoint.tensors.items() if key in smooth)
    assert f"float16, from its smoothed weights {part};" in shield.import_model(path, "stargan").training


@pytest.mark.parametrize("nothing", [None, {}, 0.999, {"decay": 0.999, "shadow_params": [torch.ones(1)]}])
def test_smoothing_that_was_off_is_not_preferred(nothing: Any, home: Path, tmp_path: Path) -> None:
    tensors = random_weights(layouts.stargan(2))
    path = saved({"G": tensors, "G_ema": nothing}, tmp_path)
    checkpoint = read_checkpoint(path)
    assert (checkpoint.part, checkpoint.smoothed) == ("G", False)
    assert "smoothed" not in shield.import_model(path, "stargan").training


def test_every_format_is_known_by_what_it_is_whatever_the_ending(tmp_path: Path) -> None:
    tensors = random_weights(layouts.stargan(WIDTH))
    for number, ending in enumerate((".safetensors", ".SAFETENSORS", ".pth", ".ckpt", ".bin", "")):
        old, new, safe = (tmp_path / f"{number}{kind}{ending}" for kind in ("old", "new", "safe"))
        torch.save(tensors, old, _use_new_zipfile_serialization=False)
        torch.save(tensors, new)
        save_file(before("generator", tensors), safe)
        for path in (old, new, safe):
            found = read_checkpoint(path).tensors
            assert found.keys() == tensors.keys()
            assert all(torch.equal(found[key], tensors[key]) for key in tensors)


def test_a_safetensors_file_may_begin_as_a_pickle_does(tmp_path: Path) -> None:
    """By chance: it begins with the length of what follows."""
    path, tensors = tmp_path / "x.pth", {"a.weight": torch.ones(2)}
    for longer in range(400):
        save_file(tensors, path, {"padding": "x" * longer})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    assert torch.equal(read_checkpoint(path).tensors["a.weight"], tensors["a.weight"])


def test_half_a_safetensors_file_is_refused_whatever_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    save_file(STARGAN, path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(WeightsError, match=r"x\.pth is no safetensors file or not a whole one"):
        read_checkpoint(path)


def test_batchnorm_keeps_its_statistics_and_instancenorm_does_not() -> None:
    for name, family in families.items():
        kept = family.cleaned(empty(layouts.attgan(2) if family.statistics else layouts.stargan(2)))
        assert any(key.endswith("running_mean") for key in kept) == (name in ("attgan", "spade"))
        assert not any(key.endswith("num_batches_tracked") for key in kept)


# The promises of every surrogate, kept by every family


@pytest.fixture(params=sorted(families))
def surrogate(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Surrogate:
    tensors = random_weights(PUBLISHED[request.param].layout(WIDTH))
    size = max(64, PUBLISHED[request.param].size)  # at 32 px pix2pixHD normalises over four numbers
    return imported(tensors, request.param, tmp_path, size)


pair = test_surrogates.pair  # a fixture of theirs
for _name, _promise in vars(test_surrogates).items():
    if _name.startswith("test_") and "surrogate" in inspect.signature(_promise).parameters:
        globals()[_name] = _promise


def test_the_promises_are_those_of_test_surrogates() -> None:
    assert {"test_the_gradient_reaches_every_channel", "test_describes_itself"} <= globals().keys()


@every_layout
def test_training_mode_changes_nothing(published: Published, home: Path, tmp_path: Path) -> None:
    surrogate = imported(random_weights(published.layout(WIDTH)), published.family, tmp_path, published.size)
    faces = noise(size=published.size)
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


def itself() -> dict[str, Any]:
    """A file that holds itself."""
    content: dict[str, Any] = {}
    content["G"] = content
    return content


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
        (
            {"model.1.weight": (1, 3, 7, 7), "model.1.bias": (1,), "model.40.conv_block.1.weight": (1,)},
            "pix2pixhd",
            "its pictures are halved 12 times, expected once at least, and up to 1024 px",
        ),
        (layouts.stargan(WIDTH), "pix2pixhd", r"has no model\.1\.weight; it fits StarGAN"),
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
        ({"G": {}}, "stargan", "holds 'G', a dict, where only tensors are expected"),
        ({}, "stargan", "holds a dict, where tensors by name are expected"),
        ([1, 2], "stargan", "holds a list, where tensors by name are expected"),
        (torch.ones(3), "stargan", "holds a Tensor, where tensors by name are expected"),
        ({"artist": dict(STARGAN)}, "stargan", "holds 'artist', a dict.*state_dict alone, or under one of the keys G,"),
        ({**STARGAN, "module.main.0.weight": torch.ones(1)}, "stargan", "holds 'main.0.weight' twice, once as 'module"),
        ({**STARGAN, "epoch": 3}, "stargan", "holds 'epoch', a int"),
        ({3: torch.ones(1)}, "stargan", "holds 3, a Tensor"),
        (itself(), "stargan", "holds 'G', a dict"),
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
