"""Generators of faces of nothing: ProGAN grows as its share of the steps says, BigGAN knows its classes, both learn."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Generator, Tensor

from shield.errors import RecipeError
from shield.generators import generators, load_generator
from shield.generators.biggan import CLASSES, BigGANGenerator
from shield.generators.biggan import drawn as inputs
from shield.generators.generator import AT_ONCE, Seeded
from shield.generators.progan import ProGANGenerator
from shield.training.biggan import BigGANRecipe, BigGANTraining, classes_of
from shield.training.data import FaceSet
from shield.training.loop import train
from shield.training.progan import ProGANRecipe, ProGANTraining, stage
from shield.training.sampling import COLUMNS, spread
from shield.training.stargan import ATTRIBUTES
from shield.weights import load_network

CPU = torch.device("cpu")
CHANNELS = (8, 6, 4)
GROWING = ProGANRecipe(batches=(4, 4), steps=6, channels=CHANNELS, code=8, lazy=2)
BY_CLASS = BigGANRecipe(batch=4, steps=4, width=4, critic_width=8)
NAMES = ("progan", "biggan")


def face_set(count: int = 12) -> FaceSet:
    faces = torch.randint(0, 256, (count, 3, 64, 64), generator=Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.zeros(count, len(ATTRIBUTES))
    for row in range(count):
        labels[row, row % 3], labels[row, 3], labels[row, 4] = 1, row // 3 % 2, row // 6 % 2
    return FaceSet(faces, labels, torch.zeros(count, dtype=torch.long), ATTRIBUTES)


def training(name: str, **changes: Any) -> ProGANTraining | BigGANTraining:
    if name == "progan":
        return ProGANTraining(replace(GROWING, **changes), face_set(), CPU)
    return BigGANTraining(replace(BY_CLASS, **changes), face_set(), CPU)


def codes(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=Generator().manual_seed(seed))


def test_progan_has_the_published_layout() -> None:
    shapes = {key: tuple(value.shape) for key, value in ProGANGenerator(CHANNELS, 8).state_dict().items()}
    layers = {"formatLayer": (128, 8), "groupScale0.0": (8, 8, 3, 3)}
    layers |= {"scaleLayers.0.0": (6, 8, 3, 3), "scaleLayers.0.1": (6, 6, 3, 3)}
    layers |= {"scaleLayers.1.0": (4, 6, 3, 3), "scaleLayers.1.1": (4, 4, 3, 3)}
    layers |= {f"toRGBLayers.{level}": (3, width, 1, 1) for level, width in enumerate(CHANNELS)}
    expected = {f"{key}.module.weight": shape for key, shape in layers.items()}
    assert shapes == expected | {f"{key}.module.bias": shape[:1] for key, shape in layers.items()}


def test_biggan_has_the_published_layout() -> None:
    shapes = {key: tuple(value.shape) for key, value in BigGANGenerator(4, 3, shared=5, slots=2).state_dict().items()}
    expected: dict[str, tuple[int, ...]] = {"shared.weight": (3, 5), "linear.weight": (1024, 2), "linear.bias": (1024,)}
    for block, (wide, narrow) in enumerate(((64, 64), (64, 32), (32, 16), (16, 8))):
        layers = {"conv1": (narrow, wide, 3, 3), "conv2": (narrow, narrow, 3, 3), "conv_sc": (narrow, wide, 1, 1)}
        for layer, shape in layers.items():
            expected |= {f"blocks.{block}.0.{layer}.weight": shape, f"blocks.{block}.0.{layer}.bias": shape[:1]}
        for norm, channels in {"bn1": wide, "bn2": narrow}.items():
            parts = {"gain.weight": (channels, 7), "bias.weight": (channels, 7)}
            parts |= {"stored_mean": (channels,), "stored_var": (channels,)}
            expected |= {f"blocks.{block}.0.{norm}.{part}": shape for part, shape in parts.items()}
    seen = {"theta": (2, 16), "phi": (2, 16), "g": (8, 16), "o": (16, 8)}
    expected |= {f"blocks.2.1.{layer}.weight": (*shape, 1, 1) for layer, shape in seen.items()}
    expected |= {"blocks.2.1.gamma": (), "output_layer.2.weight": (3, 8, 3, 3), "output_layer.2.bias": (3,)}
    expected |= {f"output_layer.0.{part}": (8,) for part in ("gain", "bias", "stored_mean", "stored_var")}
    assert shapes == expected


def test_a_seed_makes_the_same_faces_and_all_of_them_are_made() -> None:
    def draw(count: int, random: Generator) -> tuple[Tensor, ...]:
        return torch.randn(count, 8, generator=random), torch.randint(3, (count,), generator=random)

    network = ProGANGenerator(CHANNELS, 8)
    faces = Seeded("some", 16, "none", lambda code, shade: network(code) + shade[:, None, None, None], draw, CPU)
    made = faces.sample(AT_ONCE + 3, 5)
    assert made.shape == (AT_ONCE + 3, 3, 16, 16) and made.min() >= 0 and made.max() <= 1 and not made.requires_grad
    assert torch.equal(made, faces.sample(AT_ONCE + 3, 5)) and not torch.equal(made, faces.sample(AT_ONCE + 3, 6))
    code, shade = draw(AT_ONCE + 3, Generator().manual_seed(5))
    whole = (network(code) + shade[:, None, None, None]) / 2 + 0.5
    assert torch.allclose(made, whole.clamp(0, 1), atol=1e-5)


@pytest.mark.parametrize("name", sorted(generators))
def test_every_generator_makes_faces_of_a_seed(name: str) -> None:
    generator = load_generator(name, CPU)
    faces = generator.sample(2, 3)
    assert (generator.name, generator.licence) == (name, "Apache-2.0")
    assert faces.shape == (2, 3, generator.size, generator.size) and faces.min() >= 0 and faces.max() <= 1
    assert torch.equal(faces, generator.sample(2, 3)) and not torch.equal(faces, generator.sample(2, 4))


def test_an_unknown_generator_is_named() -> None:
    with pytest.raises(RecipeError, match="no generator named 'dcgan'"):
        load_generator("dcgan", CPU)


def test_biggan_is_asked_for_every_class() -> None:
    numbers, classes = inputs(7, len(CLASSES), 400, Generator().manual_seed(0))
    assert numbers.shape == (400, 7) and {*classes.tolist()} == {*range(len(CLASSES))}


def test_a_level_that_is_not_faded_in_yet_shows_the_one_before() -> None:
    network, drawn = ProGANGenerator(CHANNELS, 8), codes(2, 8)
    for level in (1, 2):
        before = network(drawn, level - 1)
        begun, half, own = (network(drawn, level, alpha) for alpha in (0.0, 0.5, 1.0))
        assert begun.shape == (2, 3, 4 * 2**level, 4 * 2**level)
        assert torch.allclose(begun, before.repeat_interleave(2, 2).repeat_interleave(2, 3), atol=1e-6)
        assert torch.allclose(half, (begun + own) / 2, atol=1e-6) and not torch.allclose(begun, own)


def test_the_stages_follow_the_share_of_the_steps() -> None:
    assert stage(0.0, 4) == (1, 1.0)
    assert stage(0.1, 4)[0] == 2 and stage(0.1, 4)[1] == pytest.approx(0)
    assert stage(0.13, 4)[1] == pytest.approx(0.5)
    assert stage(0.29, 4) == (2, 1.0) and stage(0.31, 4)[0] == 3
    assert stage(0.999, 4) == (4, 1.0)
    deeper = [stage(number / 100, 6)[0] for number in range(100)]
    assert deeper == sorted(deeper) and {*deeper} == {*range(1, 7)}
    assert deeper.index(4) == 10
    levels = [stage(number / 100, 2)[0] for number in range(100)]
    assert levels == sorted(levels) and {*levels} == {1, 2}


def test_biggan_knows_its_classes_and_one_face_does_not_depend_on_the_others() -> None:
    network = BigGANGenerator(width=4).eval()
    drawn, one, other = codes(2, network.code), torch.tensor([0, 0]), torch.tensor([0, 5])
    faces = network(drawn, one)
    assert faces.shape == (2, 3, 64, 64) and faces.abs().max() <= 1
    assert torch.allclose(faces[0], network(drawn, other)[0], atol=1e-5)
    assert not torch.allclose(faces[1], network(drawn, other)[1], atol=1e-3)


def test_a_face_has_the_class_of_its_labels_or_none() -> None:
    labels = torch.tensor([[1.0, 0, 0, 0, 0], [0, 0, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1]])
    data = FaceSet(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), labels, torch.zeros(4), ATTRIBUTES)
    found = classes_of(data)
    assert [CLASSES[number] for number in found[:2]] == ["black hair, female, old", "brown hair, male, young"]
    assert found[2:].tolist() == [-1, -1]


def test_what_differs_in_a_batch_is_seen() -> None:
    alike = torch.ones(4, 2, 4, 4)
    assert spread(alike)[:, 2].max() < 1e-3
    alike[0] = 5
    assert spread(alike)[:, 2].min() > 1


@pytest.mark.parametrize("name", NAMES)
def test_a_training_moves_everything_and_resumes_to_the_very_same_weights(name: str, tmp_path: Path) -> None:
    whole = training(name)
    before = [
        {key: value.clone() for key, value in net.state_dict().items()} for net in (whole.generator, whole.critic)
    ]
    shown = torch.zeros(2, 3, 64, 64)
    assert train(whole, tmp_path / "whole", shown) == whole.steps
    for net, old in zip((whole.generator, whole.critic), before, strict=True):
        assert any(not torch.equal(value, old[key]) for key, value in net.state_dict().items())
    first = training(name)
    for number in range(2):
        first.step(number)
    again = training(name, seed=9)
    again.load_state_dict(deepcopy(first.state_dict()))
    for number in range(2, 4):
        first.step(number)
        again.step(number)
    for net in ("generator", "critic", "average"):
        states = getattr(first, net).state_dict(), getattr(again, net).state_dict()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert whole.sheet(shown).shape[:2] == (2, COLUMNS)
    own = ProGANGenerator(CHANNELS, 8) if name == "progan" else BigGANGenerator(width=4)
    own.load_state_dict(load_file(tmp_path / "whole" / "weights.safetensors"))


def test_the_biggan_of_models_makes_faces_of_its_classes() -> None:
    """Faces as colourful as photographs, and blond hair is lighter than black, whoever wears it."""
    network = load_network(BigGANGenerator, "biggan", "BigGAN")
    drawn = codes(24, network.code)
    black, blond = (network(drawn, torch.full((24,), CLASSES.index(name))) for name in (CLASSES[1], CLASSES[5]))
    assert 0.3 < black.std() < 0.8
    assert blond[:, :, :14, 16:48].mean() > black[:, :, :14, 16:48].mean()
