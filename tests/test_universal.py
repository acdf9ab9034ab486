"""The universal perturbation: it lies over the face, keeps every bound, asks nobody, and says who it was fitted to."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save
from torch import Generator, Tensor
from torch.nn import functional as F
from typer.testing import CliRunner

import shield
from shield import disruption, search, weights
from shield.bounds import Begun
from shield.cli import app
from shield.errors import WeightsError
from shield.faces import Face, detect, warp
from shield.masking import contrast_mask
from shield.photo import from_array
from shield.region import region_of
from shield.starts.universal import FITTED_TO, LEVELS, NAME, SIZE, TENSOR, load_universal, universal_change
from shield.verify.verification import _seen
from shield.weights import WeightsEntry, manifest, models_folder, sha256_of

Write = Callable[[bytes | None], None]
CPU = torch.device("cpu")


def blocks(seed: int = 0) -> Tensor:
    """Patches of 16 px, each up or down in every channel alike: (1, 3, SIZE, SIZE), as a training would export it."""
    signs = 2.0 * torch.randint(2, (1, 1, SIZE // 16, SIZE // 16), generator=Generator().manual_seed(seed)) - 1
    return F.interpolate(signs, size=(SIZE, SIZE)).expand(-1, 3, -1, -1).contiguous().half()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Puts a models/ in place of shield's: the same files, and a universal perturbation of these bytes, or none."""
    entries, real = manifest(), models_folder()
    for entry in entries.values():
        (tmp_path / entry.file).symlink_to(real / entry.file)

    def put(data: bytes | None) -> None:
        (tmp_path / "universal.safetensors").unlink(missing_ok=True)
        rows = {
            name: {k: v for k, v in asdict(entry).items() if k != "reading"}
            for name, entry in entries.items()
            if name != NAME
        }
        if data is not None:
            (tmp_path / "universal.safetensors").write_bytes(data)
            words = dict.fromkeys(("licence", "source", "what", "training"), "made by a test")
            made = WeightsEntry(NAME, "universal.safetensors", sha256_of(data), size=SIZE, **words)
            rows[NAME] = {key: value for key, value in asdict(made).items() if key != "reading"}
        tables = [
            f"[{row.pop('name')}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in row.items())
            for row in rows.values()
        ]
        for name, entry in entries.items():
            if entry.reading is not None:
                values = "".join(f"{k} = {json.dumps(v)}\n" for k, v in vars(entry.reading).items())
                tables.append(f"[{name}.reading]\n{values}")
        (tmp_path / "manifest.toml").write_text("\n".join(tables), encoding="utf-8")
        monkeypatch.setattr(weights, "models_folder", lambda: tmp_path)

    return put


@pytest.fixture
def stencil(write: Write) -> Tensor:
    """The perturbation of models/."""
    write(save({TENSOR: blocks()}))
    return blocks().float()


# The file


def test_the_perturbation_is_read_as_it_was_written(stencil: Tensor) -> None:
    assert torch.equal(load_universal(), stencil)


@pytest.mark.parametrize(
    "tensors",
    [
        {"other": blocks()},
        {TENSOR: blocks()[..., :128]},
        {TENSOR: blocks() * float("nan")},
    ],
    ids=["another name", "another size", "no numbers"],
)
def test_a_file_of_something_else_is_refused(write: Write, tensors: dict[str, Tensor]) -> None:
    write(save({name: value.contiguous() for name, value in tensors.items()}))
    with pytest.raises(WeightsError, match="no universal perturbation; make them with 'shield train universal'"):
        load_universal()


@pytest.mark.parametrize("settings", [["--attack", "universal"], ["--start", "universal"]])
def test_without_a_perturbation_it_cannot_be_asked_for(
    write: Write, tmp_path: Path, small: NDArray[np.uint8], settings: list[str]
) -> None:
    write(None)
    photo = tmp_path / "me.png"
    Image.fromarray(small).save(photo)
    result = CliRunner().invoke(app, ["protect", str(photo), *settings])
    assert result.exit_code == 2
    assert "does not list 'universal'" in result.stderr
    assert not photo.with_name("me.shield.png").exists()


# Over a face


def test_it_lies_over_the_face(stencil: Tensor, portrait: NDArray[np.uint8]) -> None:
    region = region_of(detect(portrait)[0], 1024, 1024)
    change = universal_change(region, torch.zeros(1, 3, *region.working_size)).pixels
    assert change.shape == (1, 3, *region.working_size)
    assert change.abs().max() <= 1
    back = warp(change, region.working_face, SIZE)
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    assert (back.sign() == stencil)[inside].float().mean() > 0.99


def searched(pixels: NDArray[np.uint8], recipe: shield.Recipe) -> Tensor:
    """What the search finds for the only face, with nothing after it: (1, 3, h, w) in levels."""
    region = region_of(detect(pixels)[0], *pixels.shape[1::-1])
    return 255 * search.search(search.Task(from_array(pixels), region, region.window(), "png"), recipe).pixels


def agreement(change: Tensor, face: Face, stencil: Tensor) -> float:
    """How much of the stencil is seen in the inner part of a change: a correlation."""
    inside = (slice(None), slice(48, -48), slice(48, -48))
    pair = [picture.mean(1)[inside].flatten() for picture in (warp(change, face, SIZE), stencil)]
    return float(torch.corrcoef(torch.stack(pair))[0, 1])


# As an attack


ALONE = shield.Recipe(attack="universal", format="png")


def test_alone_it_keeps_the_bounds_and_reports_who_it_was_fitted_to(
    stencil: Tensor, small: NDArray[np.uint8], brief: shield.Plan
) -> None:
    protection = shield.protect(small, ALONE, plan=brief)
    change = np.asarray(Image.open(BytesIO(protection.data))).astype(int) - small
    assert 3 < np.abs(change).max() <= ALONE.levels
    assert protection.report.face_lpips <= ALONE.face_lpips
    placed = torch.from_numpy(change.transpose(2, 0, 1).copy()).float()[None]
    assert agreement(placed, detect(small)[0], stencil) > 0.7
    seen = {effect.surrogate for effect in protection.report.effects if effect.seen}
    assert seen == set(FITTED_TO)


@pytest.mark.usefixtures("stencil")
def test_alone_it_asks_no_surrogate_and_nothing_random(
    small: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> Tensor:
        raise AssertionError

    monkeypatch.setattr(disruption, "warp_frames", asked)
    other = replace(ALONE, seed=5, surrogates=("dlib",), steps=7, steered=False, start="universal")
    assert torch.equal(searched(small, ALONE), searched(small, other))
    with pytest.raises(AssertionError):
        searched(small, replace(other, attack="adam"))


# As a start


def test_a_search_begins_with_it(stencil: Tensor, small: NDArray[np.uint8]) -> None:
    region = region_of(detect(small)[0], 320, 320)
    begun, random = (
        searched(small, shield.Recipe(start=start, attack="adam", steps=1, transforms=shield.PLAIN, levels=LEVELS))
        for start in ("universal", "random")
    )
    assert max(begun.abs().max(), random.abs().max()) <= LEVELS + 0.01
    assert agreement(begun, region.working_face, stencil) > 0.5 > agreement(random, region.working_face, stencil) + 0.3


def test_a_search_begins_within_its_mask_and_is_free_to_leave_it(
    stencil: Tensor, small: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Begun] = []
    monkeypatch.setattr(search, "Begun", lambda *parts: made.append(Begun(*parts)) or made[-1])
    recipe = shield.Recipe(start="universal", surrogates=("stargan",), attack="adam", steps=1, smooth=1, levels=40)
    for masked, most in (False, recipe.levels), (True, recipe.smooth):
        searched(small, replace(recipe, masked=masked, steered=False))
        bound = made[-1]
        share = contrast_mask(bound.original, LEVELS, recipe.smooth)
        smoothest = share <= share.min() + 0.001
        begun, furthest = (255 * bound.step(it, 1.0).abs() for it in (bound.change, torch.ones_like(bound.change)))
        assert 0.5 * LEVELS < float(begun.max()) <= LEVELS + 0.01  # as it was made
        assert float((begun * smoothest).max()) <= 1.5 * recipe.smooth
        assert 0.99 * most <= float((furthest * smoothest).max()) <= 2 * most


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        ({}, {"dlib"}),
        ({"start": "universal"}, {"dlib", *FITTED_TO}),
        ({"attack": "universal"}, set(FITTED_TO)),
    ],
)
def test_whoever_the_change_was_fitted_to_has_been_seen(settings: dict[str, str], seen: set[str]) -> None:
    """Even where the search asked another."""
    recipe = replace(shield.Recipe(surrogates=("dlib",)), **settings)
    assert _seen(recipe) == seen
