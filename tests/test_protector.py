"""The protector: what it makes obeys, bends, follows the face, is learnt, and needs no search."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Generator

import shield
from shield import disruption
from shield.bounds.visible import Allowed, Visible
from shield.carriers.flow import Flow, bent
from shield.faces import PORTRAIT, detect, whole_picture
from shield.lpips import load_lpips
from shield.recipe import BALANCED
from shield.region import region_of
from shield.starts.network import SIZE, Protector
from shield.starts.protector import protector_change
from shield.surrogates.generator import StarGANGenerator
from shield.surrogates.published import Editor
from shield.surrogates.stargan import EDITS
from shield.training.data import FaceSet
from shield.training.loop import train
from shield.training.protector import ProtectorRecipe, ProtectorTraining

CPU = torch.device("cpu")
WIDTHS = (8, 8, 8, 8)
TINY = ProtectorRecipe(batch=2, steps=3, warm_up=1, widths=WIDTHS, asked=1)


def training(**changes: Any) -> ProtectorTraining:
    faces = torch.randint(0, 256, (6, 3, 64, 64), generator=Generator().manual_seed(0), dtype=torch.uint8)
    data = FaceSet(faces, torch.zeros(6, 1), torch.zeros(6, dtype=torch.long), ("Smiling",))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        toy = Editor("toy", "none", PORTRAIT, StarGANGenerator(4, 5, 1), EDITS, 64)
    return ProtectorTraining(replace(TINY, **changes), data, [toy], CPU, sides=(256,))


def test_its_network_gives_a_change_and_a_flow_in_shares() -> None:
    change, flow = Protector(WIDTHS)(torch.rand(2, 3, SIZE, SIZE))
    assert change.shape == (2, 3, SIZE, SIZE) and flow.shape == (2, 2, 16, 16)
    assert max(change.abs().max(), flow.abs().max()) <= 1


def test_a_training_moves_the_network_and_resumes_to_the_very_same_weights(tmp_path: Path) -> None:
    whole, shown = training(), torch.zeros(1, 3, 64, 64)
    before = {key: value.clone() for key, value in whole.network.state_dict().items()}
    assert train(whole, tmp_path, shown) == 3
    assert all(not torch.equal(value, before[key]) for key, value in whole.network.state_dict().items())
    first = training()
    first.step(0)
    again = training(seed=9)
    again.load_state_dict(deepcopy(first.state_dict()))
    first.step(1)
    again.step(1)
    for net in ("network", "average"):
        states = getattr(first, net).state_dict(), getattr(again, net).state_dict()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    Protector(WIDTHS).load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert whole.sheet(shown).shape == (1, 3, 3, 64, 64)


def test_what_is_worn_is_within_what_may_be_seen() -> None:
    """However loud the network is; and what is left of the change says by how much it had to shrink."""
    run = training()
    with torch.no_grad():
        run.network.change.weight.mul_(50)
        faces = torch.rand(1, 3, 32, 32, generator=Generator().manual_seed(0))
        faces = torch.nn.functional.interpolate(faces, size=(256, 256), mode="bicubic").clamp(0, 1)
        worn, left = run.worn(run.network, faces, run.landmarks[:1])
        distance = run.lpips(faces, worn)
    assert float(left) < 0.9
    assert float(distance) <= 1.2 * run.recipe.strength.face_lpips
    assert (worn - faces).abs().max() > 2 / 255


def test_nothing_but_lpips_sees_a_warp() -> None:
    """Otherwise a flow that is learned is pushed by what is no fault of its own."""
    faces = torch.rand(1, 3, 16, 16, generator=Generator().manual_seed(0))
    faces = torch.nn.functional.interpolate(faces, size=(128, 128), mode="bicubic").clamp(0, 1)
    rows = torch.linspace(0, 3, 128)
    field = (0.004 * rows.sin())[None, None, :, None].expand(1, 2, 128, 128).clone().requires_grad_()
    moved = bent(faces, Flow(field), 128)
    whole = (moved + 4 / 255 * rows.cos()).clamp(0, 1)
    strength = BALANCED
    limits = Allowed(strength.face_lpips, strength.flip, strength.loudest, strength.skin, strength.stains)
    shares = Visible(moved, whole_picture(128, 128), limits, load_lpips(CPU), faces).shares(whole)
    slopes = [torch.autograd.grad(share.sum(), field, retain_graph=True)[0].norm() for share in shares]
    lpips, others = slopes[0], slopes[-4:]
    assert lpips > 0 and max(others[:2] + others[3:]) < 0.2 * lpips  # of skin it may: its ratio goes by what is skin


def test_it_follows_the_face(portrait: NDArray[np.uint8]) -> None:
    """Of a photo turned by a quarter it makes the same, turned."""
    sides = portrait.shape[:2]
    upright, turned = portrait, np.ascontiguousarray(np.rot90(portrait, -1))
    face = detect(upright)[0]
    matrix = np.array([(0.0, -1.0, sides[0]), (1.0, 0.0, 0.0)])
    regions = region_of(face, *sides[::-1]), region_of(face.mapped(matrix), *sides)
    made = [
        protector_change(region, region.working_copy(region.crop(pixels, CPU)))
        for region, pixels in zip(regions, (upright, turned), strict=True)
    ]
    back = torch.rot90(made[1].pixels, 1, (2, 3))
    assert float(torch.corrcoef(torch.stack([made[0].pixels.flatten(), back.flatten()]))[0, 1]) > 0.9
    assert made[0].flow is not None and made[1].flow is not None
    right, down = torch.rot90(made[1].flow.field, 1, (2, 3)).unbind(1)
    expected = torch.stack([down, -right], dim=1)
    assert float(torch.corrcoef(torch.stack([made[0].flow.field.flatten(), expected.flatten()]))[0, 1]) > 0.9


def test_it_needs_no_search_and_says_whom_it_was_made_against(
    small: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, brief: shield.Plan
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(disruption, "warp_frames", asked)
    protection = shield.protect(small, shield.Recipe(attack="instant", format="png"), plan=brief)
    report, recipe = protection.report, shield.Recipe()
    assert report.face_lpips <= recipe.face_lpips
    assert {effect.surrogate: effect.seen for effect in report.effects} == {"stargan": True, "dlib": True}
    assert report.faces[0].flow is not None
    assert not np.array_equal(small, protection.photo.pixels)


def test_a_search_that_begins_with_it_searches_no_warp(small: NDArray[np.uint8], brief: shield.Plan) -> None:
    steps: list[int] = []
    recipe = shield.Recipe(start="protector", steps=5, surrogates=("dlib",), transforms=shield.PLAIN, format="png")
    protection = shield.protect(small, recipe, lambda step, total, best: steps.append(total), plan=brief)
    assert {*steps} == {5}
    assert protection.report.faces[0].flow is not None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"attack": "instant", "edits": ("blond hair",)}, "is no search and takes neither edits nor a person"),
        ({"attack": "universal", "person": "Ada"}, "is no search and takes neither edits nor a person"),
        ({"attack": "instant", "carriers": ("warp",)}, "Without pixels there is nothing to begin with"),
        ({"start": "protector", "carriers": ("warp",)}, "Without pixels there is nothing to begin with"),
    ],
)
def test_settings_that_would_protect_nothing_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(shield.RecipeError, match=words):
        shield.Recipe(**settings)
