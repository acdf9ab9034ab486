"""Published generators: files in their authors' layouts become generators of shield's, and nothing else does."""

import math
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Generator, Tensor
from torch.nn import functional as F
from typer.testing import CliRunner

import shield
from shield.cli import app
from shield.errors import InputError, WeightsError
from shield.generators import generators, layouts, load_generator
from shield.generators.biggan import BigGANGenerator
from shield.generators.progan import ProGANGenerator
from shield.generators.stylegan2 import StyleGAN2Generator
from shield.surrogates import families, judges, surrogates
from shield.training.data import FaceSet
from shield.training.loop import recipes
from shield.training.makers import makers

CPU = torch.device("cpu")
State = dict[str, Tensor]
run = CliRunner().invoke


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Networks begin with the same numbers always, such that float16 costs ProGAN less than is asked for."""
    torch.manual_seed(3)


def random_state(network: torch.nn.Module, seed: int = 0) -> State:
    """Other numbers than a network begins with, of about the same size."""
    random = Generator().manual_seed(seed)
    moved = {
        key: value + 0.1 * torch.randn(value.shape, generator=random) for key, value in network.state_dict().items()
    }
    return {key: value.abs() if key.endswith("_var") else value for key, value in moved.items()}


def stylegan2() -> tuple[object, Callable[[int, int], Tensor]]:
    """As rosinality's training writes it: discriminator and average beside it."""
    network = StyleGAN2Generator((12, 10, 8), 16, 3)
    state = random_state(network)
    network.load_state_dict(state)

    def sampled(count: int, seed: int) -> Tensor:
        return network(torch.randn(count, 16, generator=Generator().manual_seed(seed)))

    content = {"g": random_state(network, 1), "g_ema": state, "d": {"w": torch.ones(1)}, "latent_avg": torch.zeros(16)}
    return content, sampled


def progan() -> tuple[object, Callable[[int, int], Tensor]]:
    """As pytorch_GAN_zoo writes it, whose layers scale what they give, bias and all."""
    state = random_state(ProGANGenerator((8, 6, 4), 16))

    def layer(x: Tensor, name: str) -> Tensor:
        weight, bias = state[f"{name}.module.weight"], state[f"{name}.module.bias"]
        given = (
            F.linear(x, weight, bias) if weight.dim() == 2 else F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        )
        return given * math.sqrt(2 / math.prod(weight.shape[1:]))

    def normal(x: Tensor) -> Tensor:
        return x * torch.rsqrt((x**2).mean(1, keepdim=True) + 1e-8)

    def sampled(count: int, seed: int) -> Tensor:
        x = layer(normal(torch.randn(count, 16, generator=Generator().manual_seed(seed))), "formatLayer")
        x = normal(F.leaky_relu(x, 0.2).view(count, 8, 4, 4))
        x = normal(F.leaky_relu(layer(x, "groupScale0.0"), 0.2))
        for number in range(2):
            x = F.interpolate(x, scale_factor=2.0)
            for part in range(2):
                x = normal(F.leaky_relu(layer(x, f"scaleLayers.{number}.{part}"), 0.2))
        return layer(x, "toRGBLayers.2")

    return {"config": {"depth": 2}, "netG": state, "netD": {"w": torch.ones(1)}}, sampled


def biggan() -> tuple[object, Callable[[int, int], Tensor]]:
    """As BigGAN-PyTorch writes it: weights under spectral norm, of which u0 is the first left singular vector."""
    network = BigGANGenerator(1, 5, 6, 4, (32, 16, 16, 8), (1,))
    state = random_state(network)
    divided, published = dict(state), dict(state)
    for key, value in state.items():
        if key.endswith(".weight") and value.dim() > 1 and not key.startswith("shared"):
            left, lengths, _ = np.linalg.svd(value.flatten(1).numpy(), full_matrices=False)
            divided[key] = value / float(lengths[0])
            published[key.replace(".weight", ".u0")] = torch.from_numpy(left[:, :1].T.copy())
            published[key.replace(".weight", ".sv0")] = torch.ones(1)
    network.load_state_dict(divided)
    network.eval()

    def sampled(count: int, seed: int) -> Tensor:
        random = Generator().manual_seed(seed)
        codes = torch.randn(count, network.code, generator=random)
        return network(codes, torch.randint(5, (count,), generator=random))

    return published, sampled


PUBLISHED = {"stylegan2": stylegan2, "progan": progan, "biggan": biggan}
SIZES = {"stylegan2": 16, "progan": 16, "biggan": 32}
KEYS = {
    "stylegan2": "conv1.conv.weight",
    "progan": "groupScale0.0.module.weight",
    "biggan": "blocks.0.0.conv2.weight",
}
each = pytest.mark.parametrize("layout", PUBLISHED)


def test_every_layout_is_tested_and_none_is_an_editors() -> None:
    assert {*PUBLISHED} == {*layouts} and not {*layouts} & {*families}


@each
def test_a_published_file_makes_the_pictures_of_its_network(layout: str, home: Path, tmp_path: Path) -> None:
    content, sampled = PUBLISHED[layout]()
    torch.save(content, tmp_path / "weights.pt")
    entry = shield.import_generator(tmp_path / "weights.pt", layout)
    assert (entry.name, entry.size, entry.family) == (f"{layout}-weights", SIZES[layout], f"generator:{layout}")
    assert ("smoothed weights g_ema" in entry.training) == (layout == "stylegan2")
    generator = load_generator(entry.name, CPU)
    with torch.no_grad():
        expected = (sampled(3, 7) / 2 + 0.5).clamp(0, 1)
    faces = generator.sample(3, 7)
    assert faces.shape == (3, 3, SIZES[layout], SIZES[layout]) and expected.std() > 0.01
    assert torch.allclose(faces, expected, atol=0.01)  # float16
    assert entry.name in generators and entry.name not in {*surrogates, *judges, *generators.registered()}
    shield.remove_model(entry.name)
    assert entry.name not in generators


@each
def test_what_is_no_generator_of_the_layout_is_refused(layout: str, home: Path, tmp_path: Path) -> None:
    content, _ = PUBLISHED[layout]()
    whole = next((content[key] for key in ("g_ema", "netG") if key in content), content)  # type: ignore[operator,index]
    key = KEYS[layout]
    path = tmp_path / "weights.safetensors"
    faults = {
        "expected": whole | {key: whole[key][..., :-1].contiguous()},
        "not finite": whole | {key: torch.full_like(whole[key], torch.nan)},
        "is not expected": whole | {"other.weight": torch.ones(2)},
        "it has no": {name: value for name, value in whole.items() if name != key},
    }
    for words, tensors in faults.items():
        save_file({name: value.contiguous() for name, value in tensors.items()}, path)
        with pytest.raises(WeightsError, match=words):
            shield.import_generator(path, layout)
    assert not [*home.glob("*.safetensors")]


def test_a_taken_name_is_refused(home: Path, tmp_path: Path) -> None:
    torch.save(progan()[0], tmp_path / "a.pt")
    for taken in ("biggan", "stargan"):
        with pytest.raises(InputError, match="a model named"):
            shield.import_generator(tmp_path / "a.pt", "progan", taken)
    shield.import_generator(tmp_path / "a.pt", "progan", "mine")
    with pytest.raises(InputError, match="a model named 'mine'"):
        shield.import_generator(tmp_path / "a.pt", "progan", "mine")


def test_an_official_pickle_is_refused_with_what_to_do(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("dnnlib")
    module.Network = type("Network", (), {"__module__": "dnnlib"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dnnlib", module)
    (tmp_path / "ffhq.pkl").write_bytes(pickle.dumps({"G_ema": module.Network()}, protocol=2))
    with pytest.raises(WeightsError, match=r"NVIDIA's pickles .*convert_weight\.py"):
        shield.import_generator(tmp_path / "ffhq.pkl", "stylegan2")


def test_the_command_line_imports_and_lists_it(home: Path, tmp_path: Path) -> None:
    torch.save(stylegan2()[0], tmp_path / "face.pt")
    call = ["models", "import", str(tmp_path / "face.pt"), "--as", "stylegan2"]
    refused = run(app, [*call, "--size", "64"])
    assert refused.exit_code == 2 and "not for generators" in refused.stderr
    done = run(app, call)
    assert done.exit_code == 0 and "shield bench run wang" in " ".join(done.stdout.split())
    assert "stylegan2-face" in run(app, ["models"]).stdout


@pytest.mark.parametrize("larger", [False, True])
def test_it_tests_detectors_and_teaches_none(larger: bool, home: Path, tmp_path: Path) -> None:
    torch.save(progan()[0], tmp_path / "a.pt")
    shield.import_generator(tmp_path / "a.pt", "progan", "mine")
    faces = torch.zeros(1, 3, 8 if larger else 24, 8 if larger else 24)
    data = FaceSet(faces.byte(), torch.zeros(1, 0), torch.zeros(1), ())
    maker = makers["mine"](data)
    noise = torch.randn(faces.shape, generator=Generator().manual_seed(0))
    assert maker.made(noise, Generator().manual_seed(0)).shape == faces.shape
    assert torch.equal(maker.partner(noise), noise) == larger  # what is larger loses nothing that photographs keep
    assert "mine" in makers and "mine" not in makers.registered()
    assert "detector-without-mine" not in recipes
