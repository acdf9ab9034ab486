"""The swap network does what its blocks promise, and its training teaches what it is said to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from shield.faces import PORTRAIT, warp, whole_picture
from shield.faces.templates import templates
from shield.swap.network import IDENTITY, SIZE, TEMPLATE, SwapNet, face_core
from shield.training.data import FaceSet
from shield.training.framing import between, reframed
from shield.training.loop import train
from shield.training.swap import SwapRecipe, SwapTraining, relatives

CPU = torch.device("cpu")
TINY = SwapRecipe(batch=2, same=1, steps=3, widths=(4, 4, 8, 8), blocks=1, critic_width=4)


def smooth_faces(count: int, seed: int = 0) -> Tensor:
    """Pictures (count, 3, 128, 128) in [0, 1] whose colours change slowly."""
    noise = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, size=(SIZE, SIZE), mode="bilinear", align_corners=False)


def face_set(count: int = 4, persons: tuple[str, ...] = ()) -> FaceSet:
    faces = (255 * smooth_faces(count)).byte()
    return FaceSet(faces, torch.zeros(count, 1), torch.zeros(count, dtype=torch.long), ("none",), persons)


def identities(count: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(count, IDENTITY, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=1)


@pytest.fixture(scope="module")
def network() -> SwapNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SwapNet((4, 4, 8, 8), 1).eval()


@torch.no_grad()
def test_the_identity_decides_what_is_painted_and_the_mask_what_stays(network: SwapNet) -> None:
    targets = 2 * smooth_faces(2) - 1
    one, other = network(targets, identities(2)), network(targets, identities(2, seed=1))
    assert one.shape == targets.shape
    assert (one - other).abs().mean() > 1e-3
    painted, kept = network.parts(targets, identities(2))
    assert torch.allclose(one, kept * targets + (1 - kept) * painted)
    assert kept.min() >= 0 and kept.max() < 1 and painted.abs().max() <= 1


@torch.no_grad()
def test_every_face_of_a_batch_becomes_its_own_person(network: SwapNet) -> None:
    targets, wanted = 2 * smooth_faces(3) - 1, identities(3)
    alone = torch.cat([network(targets[i : i + 1], wanted[i : i + 1]) for i in range(3)])
    assert torch.allclose(network(targets, wanted), alone, atol=1e-5)


@pytest.mark.parametrize("name", ["arcface_112", "arcface_128", "dlib_150"])
def test_reframing_a_portrait_is_what_the_aligners_warp_does(name: str) -> None:
    pictures, size = smooth_faces(2), 112
    expected = warp(pictures, whole_picture(SIZE, SIZE), size, templates[name])
    assert torch.allclose(reframed(pictures, between(PORTRAIT, templates[name]), size), expected, atol=0.01)


def test_the_draws_are_the_templates_frame_moved_a_little_and_mirrored_half_the_time() -> None:
    training = SwapTraining(TINY, face_set(1), CPU)
    drawn = torch.cat([training._drawn(torch.zeros(64, dtype=torch.long))])
    straight = 2 * reframed(smooth_faces(1), between(PORTRAIT, TEMPLATE), SIZE) - 1
    apart = (drawn - straight).abs().mean(dim=(1, 2, 3)), (drawn - straight.flip(-1)).abs().mean(dim=(1, 2, 3))
    mirrored = apart[1] < apart[0]
    assert 16 < mirrored.sum() < 48
    assert 0.002 < torch.minimum(*apart).mean() < 0.15
    assert torch.minimum(*apart).mean() < 0.6 * torch.maximum(*apart).mean()


def test_relatives_are_other_pictures_of_the_same_person() -> None:
    assert relatives(("a", "b", "a", "", "", "a")).tolist() == [2, 1, 5, 3, 4, 0]


def test_the_middle_of_the_face_is_always_painted_and_the_corners_may_stay(network: SwapNet) -> None:
    core = face_core()[0, 0]
    for x, y in np.array(TEMPLATE.points) * SIZE:
        assert core[int(y), int(x)] == 1
    assert core[0, 0] == core[-1, -1] == core[0, -1] == core[-1, 0] == 0
    _, kept = network.parts(2 * smooth_faces(1) - 1, identities(1))
    assert kept[0, 0][core == 1].max() == 0
    assert kept[0, 0][core == 0].min() > 0


def test_a_step_teaches_the_generator_and_the_adversary_and_nobody_else() -> None:
    training = SwapTraining(TINY, face_set(), CPU)
    watched = {
        "generator": training.generator,
        "critic": training.critic,
        "reader": training.readers[0],
        "landmarks": training.landmarks,
    }
    before = {name: [p.detach().clone() for p in part.parameters()] for name, part in watched.items()}
    losses = training.step(0)
    assert {"texture", "whole", "fool", "same", "seen", "features", "landmarks", "light", "calm"} < set(losses)
    assert {"sface", "mobilefacenet"} < set(losses) and all(np.isfinite(list(losses.values())))
    moved = {
        name: any(not torch.equal(a, b) for a, b in zip(before[name], part.parameters(), strict=True))
        for name, part in watched.items()
    }
    assert moved == {"generator": True, "critic": True, "reader": False, "landmarks": False}


def test_the_readers_loss_is_zero_for_the_source_itself_and_large_for_another() -> None:
    training = SwapTraining(TINY, face_set(), CPU)
    portraits = training.faces[:2].float() / 127.5 - 1
    shown = reframed(portraits, between(PORTRAIT, TEMPLATE), SIZE)
    own = training._identity(shown, torch.tensor([0, 1]))
    others = training._identity(shown, torch.tensor([2, 3]))
    for name in ("sface", "mobilefacenet"):
        assert own[name] < 0.7 * others[name]


def test_training_goes_on_after_an_interruption_as_if_there_had_been_none(tmp_path: Path) -> None:
    samples = 2 * smooth_faces(2) - 1
    train(SwapTraining(TINY, face_set(), CPU), tmp_path / "whole", samples)
    halted = SwapTraining(replace(TINY), face_set(), CPU)
    halted.steps = 1
    train(halted, tmp_path / "parts", samples)
    again = SwapTraining(replace(TINY, seed=5), face_set(), CPU)
    # The rate depends on the steps of the whole: the same as without the interruption in its first two thirds.
    assert train(again, tmp_path / "parts", samples, resume=True) == TINY.steps
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    SwapNet(TINY.widths, TINY.blocks).load_state_dict({name: value.float() for name, value in one.items()})
