"""StyleGAN2 is the published network and learns, its encoder finds styles, and directions say what was labelled."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from shield.generators.stylegan2 import ModulatedConv, StyleGAN2Generator
from shield.generators.stylegan2_encoder import EDITS, StyleEncoder
from shield.training.data import FaceSet
from shield.training.loop import Training, train
from shield.training.sampling import COLUMNS
from shield.training.stylegan2 import StyleGAN2Recipe, StyleGAN2Training
from shield.training.stylegan2_encoder import EncoderRecipe, EncoderTraining, directions

CPU = torch.device("cpu")
CHANNELS, STYLE, DEPTH = (8, 6, 4), 8, 2  # a generator of 16 px
LAYERS, SIDE = 6, 16
TINY = StyleGAN2Recipe(batch=4, steps=3, channels=CHANNELS, style=STYLE, depth=DEPTH, seed=3)
TINY_ENCODER = EncoderRecipe(batch=4, steps=3, widths=(8, 8, 16), seed=3)


def published(size: int, style: int, depth: int, channels: dict[int, int]) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the published file of a generator of ``size`` px."""
    shapes: dict[str, tuple[int, ...]] = {"input.input": (1, channels[4], 4, 4)}

    def modulated(key: str, inputs: int, outputs: int, kernel: int) -> None:
        shapes[f"{key}.weight"] = (1, outputs, inputs, kernel, kernel)
        shapes[f"{key}.modulation.weight"], shapes[f"{key}.modulation.bias"] = (inputs, style), (inputs,)

    def styled(key: str, inputs: int, outputs: int) -> None:
        modulated(f"{key}.conv", inputs, outputs, 3)
        shapes[f"{key}.noise.weight"], shapes[f"{key}.activate.bias"] = (1,), (outputs,)

    def to_rgb(key: str, inputs: int) -> None:
        modulated(f"{key}.conv", inputs, 3, 1)
        shapes[f"{key}.bias"] = (1, 3, 1, 1)

    for layer in range(1, depth + 1):
        shapes[f"style.{layer}.weight"], shapes[f"style.{layer}.bias"] = (style, style), (style,)
    styled("conv1", channels[4], channels[4])
    to_rgb("to_rgb1", channels[4])
    shapes["noises.noise_0"] = (1, 1, 4, 4)
    side, number = 8, 0
    while side <= size:
        styled(f"convs.{2 * number}", channels[side // 2], channels[side])
        shapes[f"convs.{2 * number}.conv.blur.kernel"] = (4, 4)
        styled(f"convs.{2 * number + 1}", channels[side], channels[side])
        to_rgb(f"to_rgbs.{number}", channels[side])
        shapes[f"to_rgbs.{number}.upsample.kernel"] = (4, 4)
        shapes[f"noises.noise_{2 * number + 1}"] = shapes[f"noises.noise_{2 * number + 2}"] = (1, 1, side, side)
        side, number = 2 * side, number + 1
    return shapes


def smooth(count: int, size: int = 32, seed: int = 0) -> Tensor:
    """Pictures in [0, 1] whose colours change slowly."""
    noise = torch.rand(count, 3, 4, 4, generator=Generator().manual_seed(seed))
    return F.interpolate(noise, size=(size, size), mode="bilinear", align_corners=False)


def face_set(count: int = 8, labels: Tensor | None = None) -> FaceSet:
    names = tuple(name.capitalize() for name in EDITS)
    given = torch.zeros(count, len(names)) if labels is None else labels
    return FaceSet((255 * smooth(count)).byte(), given, torch.zeros(count, dtype=torch.long), names)


def generator(seed: int = 0) -> StyleGAN2Generator:
    """With noise that shows, which a new one takes nothing of."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = StyleGAN2Generator(CHANNELS, STYLE, DEPTH)
    for name, value in network.named_parameters():
        if name.endswith("noise.weight"):
            nn.init.constant_(value, 0.5)
    return network.eval().requires_grad_(False)


def gan(**changes: int) -> Training:
    return StyleGAN2Training(replace(TINY, **changes), face_set(), CPU)


def encoder(**changes: int) -> Training:
    return EncoderTraining(replace(TINY_ENCODER, **changes), face_set(), generator(), CPU)


def codes(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, STYLE, generator=Generator().manual_seed(seed))


# The generator


def test_keys_and_shapes_are_those_of_published_files() -> None:
    own = {name: tuple(value.shape) for name, value in generator().state_dict().items()}
    assert own == published(SIDE, STYLE, DEPTH, {4: 8, 8: 6, 16: 4})
    full = StyleGAN2Generator((12, 10, 8, 6, 4, 4, 4), 16, 8).state_dict()
    widths = {4: 12, 8: 10, 16: 8, 32: 6, 64: 4, 128: 4, 256: 4}
    assert {name: tuple(value.shape) for name, value in full.items()} == published(256, 16, 8, widths)


def test_the_kernels_are_those_of_published_files() -> None:
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernels = [value for name, value in generator().state_dict().items() if name.endswith("kernel")]
    assert len(kernels) == 4 and all(torch.allclose(kernel, 4 * torch.outer(line, line)) for kernel in kernels)


def test_codes_become_pictures_the_same_every_time() -> None:
    network = generator()
    made = network(codes(3))
    assert made.shape == (3, 3, SIDE, SIDE) and torch.equal(made, network(codes(3)))
    styles = network.styles(codes(3))
    assert styles.shape == (3, STYLE) and network.layers == LAYERS
    assert torch.equal(made, network.synthesis(styles[:, None].expand(-1, LAYERS, -1)))


def test_fresh_noise_makes_other_pictures_and_comes_from_its_seed() -> None:
    network = generator()
    styles = network.styles(codes(2))[:, None].expand(-1, LAYERS, -1)
    drawn = [network.noises.fresh(2, Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert [noise.shape for noise in drawn[0]] == [(2, 1, *noise.shape[2:]) for noise in network.noises.all()]
    one, same, other = (network.synthesis(styles, noises) for noises in drawn)
    assert torch.equal(one, same)
    assert not torch.allclose(one, other) and not torch.allclose(one, network.synthesis(styles))


def test_every_layer_has_its_own_style() -> None:
    network = generator()
    styles = network.styles(codes(1))[:, None].repeat(1, LAYERS, 1)
    made = network.synthesis(styles)
    for layer in range(LAYERS):
        other = styles.clone()
        other[:, layer] += 1
        assert not torch.allclose(made, network.synthesis(other))


def by_its_own_weights(conv: ModulatedConv, x: Tensor, style: Tensor) -> Tensor:
    """What the paper says, row by row: a style scales the weights, which are then scaled to length 1."""
    made = []
    for row, scales in zip(x, conv.modulation(style), strict=True):
        weight = conv.scale * conv.weight[0] * scales[None, :, None, None]
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        if conv.doubled:
            made.append(conv.blur(F.conv_transpose2d(row[None], weight.transpose(0, 1), stride=2)))
        else:
            made.append(F.conv2d(row[None], weight, padding=1))
    return torch.cat(made)


@pytest.mark.parametrize("doubled", [False, True])
@torch.no_grad()
def test_scaling_before_and_after_is_what_scaling_the_weights_is(doubled: bool) -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(5, 7, 3, STYLE, doubled=doubled)
    x, style = torch.randn(3, 5, 6, 6), torch.randn(3, STYLE)
    assert torch.allclose(conv(x, style), by_its_own_weights(conv, x, style), atol=1e-5)


@torch.no_grad()
def test_what_comes_out_has_variance_one_whatever_the_style() -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(64, 64, 3, STYLE)
    made = conv(torch.randn(4, 64, 24, 24), 5 * torch.randn(4, STYLE))[:, :, 1:-1, 1:-1]
    assert torch.allclose(made.var(dim=(1, 2, 3)), torch.ones(4), atol=0.1)


@torch.no_grad()
def test_doubling_keeps_a_plain_picture_and_stays_in_place() -> None:
    upsample = generator().to_rgbs[0].upsample
    plain = upsample(torch.full((1, 3, 8, 8), 0.7))
    assert torch.allclose(plain[..., 2:-2, 2:-2], torch.tensor(0.7))
    slope = torch.arange(8.0).expand(1, 3, 8, 8)
    expected = (torch.arange(16.0) - 0.5) / 2  # a doubled picture's pixels lie a quarter beside its own
    assert torch.allclose(upsample(slope)[0, 0, 8, 2:-2], expected[2:-2])


# The trainings

each_training = pytest.mark.parametrize("build", [gan, encoder])


@each_training
def test_training_goes_on_after_an_interruption_as_if_there_had_been_none(
    build: Callable[..., Training], tmp_path: Path
) -> None:
    samples = 2 * smooth(2) - 1
    train(build(), tmp_path / "whole", samples)
    train(build(steps=1), tmp_path / "parts", samples)
    # The rate depends on the steps of the whole: the same as without the interruption in its first two thirds.
    assert train(build(seed=5), tmp_path / "parts", samples, resume=True) == TINY.steps
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert all((tmp_path / name / "sheet.png").is_file() for name in ("whole", "parts"))


def test_a_step_teaches_generator_and_critic_and_the_average_follows() -> None:
    training = StyleGAN2Training(TINY, face_set(), CPU)
    networks: list[nn.Module] = [training.generator, training.critic, training.average]
    before = [[value.detach().clone() for value in network.parameters()] for network in networks]
    losses = training.step(0)
    assert set(losses) == {"real", "made", "steep", "fool"} and all(np.isfinite(list(losses.values())))
    for network, old in zip(networks, before, strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(old, network.parameters(), strict=True))
    assert all(value.requires_grad for value in training.critic.parameters())


def test_the_penalty_is_asked_for_every_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def penalty(critic: nn.Module, real: Tensor) -> Tensor:
        asked.append(real.shape)
        return (critic(real) ** 2).mean()

    monkeypatch.setattr("shield.training.stylegan2.gradient_penalty", penalty)
    training = StyleGAN2Training(replace(TINY, lazy=2), face_set(), CPU)
    for number in range(4):
        training.step(number)
    assert asked == [(4, 3, SIDE, SIDE)] * 2


def test_the_critic_never_sees_photos_and_made_faces_in_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    training, seen = StyleGAN2Training(TINY, face_set(), CPU), []
    monkeypatch.setattr(training.critic, "forward", lambda x: (seen.append(len(x)), x.mean((1, 2, 3)))[1])
    monkeypatch.setattr(training, "_descend", lambda name, losses: None)
    training.step(1)
    assert seen == [TINY.batch] * 3


def test_some_pictures_have_two_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    for mixed, least in ((0.0, 1), (1.0, 2)):
        training, given = StyleGAN2Training(replace(TINY, mixed=mixed), face_set(), CPU), []
        monkeypatch.setattr(training.generator, "synthesis", lambda styles, noises, to=given: to.append(styles))
        training._made()
        assert [len(row.unique(dim=0)) for row in given[0].detach()] == [least] * TINY.batch


def test_the_sheet_shows_samples_that_are_the_same_every_time() -> None:
    training = StyleGAN2Training(TINY, face_set(), CPU)
    sheet = training.sheet(torch.zeros(2, 3, 32, 32))
    assert sheet.shape == (2, COLUMNS, 3, SIDE, SIDE) and torch.equal(sheet, training.sheet(torch.zeros(2, 3, 32, 32)))


def test_the_exported_generator_loads_and_is_the_average() -> None:
    training = StyleGAN2Training(TINY, face_set(), CPU)
    training.step(0)
    weights, network = training.export(), generator(1)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    network.load_state_dict(weights)
    assert torch.allclose(network(codes(2)), training.average(codes(2)), atol=0.02)


# The encoder


def test_the_encoder_gives_a_style_per_layer_and_says_the_mean_at_first() -> None:
    training = EncoderTraining(TINY_ENCODER, face_set(), generator(), CPU)
    styles = training.network(2 * smooth(3, SIDE) - 1)
    assert styles.shape == (3, LAYERS, STYLE)
    mean = generator().styles(codes(4_096)).mean(0)
    assert torch.allclose(training.average.mean, mean, atol=0.15)


def test_the_encoder_learns_and_the_generator_stays() -> None:
    network = generator()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    recipe = replace(TINY_ENCODER, learning_rate=1e-2, perceptual=0.0, identity=0.0)
    training = EncoderTraining(recipe, face_set(2), network, CPU)
    losses = []
    for number in range(6):
        training._told = {}  # to be told the losses of every step
        losses.append(training.step(number))
    assert set(losses[0]) == {"pixels", "seen", "identity", "together"}
    assert losses[-1]["pixels"] < 0.9 * losses[0]["pixels"]
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_exported_encoder_loads_with_its_directions() -> None:
    training = EncoderTraining(
        TINY_ENCODER, face_set(8, (torch.arange(24).view(8, 3) % 5 < 2).float()), generator(), CPU
    )
    training.step(0)
    weights, network = training.export(), StyleEncoder(LAYERS, STYLE, TINY_ENCODER.widths)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    network.load_state_dict(weights)
    for name in EDITS:
        assert weights[f"directions.{name}"].shape == (LAYERS, STYLE) and weights[f"directions.{name}"].any()
    assert EncoderTraining(TINY_ENCODER, face_set(), generator(), CPU).begin_with(weights) == 0
    faces = 2 * smooth(2, SIDE) - 1
    assert torch.allclose(network(faces), training.average(faces), atol=0.02)


def test_the_encoders_sheet_shows_the_face_and_what_is_made_of_it() -> None:
    training = EncoderTraining(TINY_ENCODER, face_set(), generator(), CPU)
    sheet = training.sheet(2 * smooth(2) - 1)
    assert sheet.shape == (2, 2, 3, SIDE, SIDE) and sheet.abs().max() <= 1


class Plain(nn.Module):
    """An encoder whose styles are the means of the three colours, which the labels below decide."""

    trunk = range(2)

    def forward(self, faces: Tensor) -> Tensor:
        return faces.mean((2, 3))[:, None].expand(-1, LAYERS, -1)


def coloured(labels: Tensor) -> FaceSet:
    """Faces as bright in each colour as their labels (N, 3) say."""
    faces = (100 + 100 * labels[:, :, None, None]).byte().expand(-1, -1, 32, 32)
    return replace(face_set(len(labels)), faces=faces, labels=labels)


def test_directions_are_as_long_as_the_classes_are_apart_and_tell_attributes_that_go_together_apart() -> None:
    drawn = torch.rand(400, 3, generator=Generator().manual_seed(0))
    drawn[:, 1] = (drawn[:, 0] + drawn[:, 1]) / 2  # who is young is often male here
    ways = directions(Plain(), coloured((drawn > 0.5).float()), CPU)
    assert list(ways) == list(EDITS)
    for colour, way in enumerate(ways.values()):
        expected = torch.zeros(LAYERS, 3)
        expected[:, colour] = 100 / 127.5
        assert torch.allclose(way, expected, atol=0.01)


def test_an_attribute_that_all_faces_have_or_none_has_no_direction() -> None:
    labels = torch.zeros(8, 3)
    labels[::2, 0], labels[:, 1] = 1, 1
    ways = directions(Plain(), coloured(labels), CPU)
    assert all(way.isfinite().all() for way in ways.values())
    assert ways["young"].abs().max() > 0.7 and ways["smiling"].abs().max() < 1e-3
