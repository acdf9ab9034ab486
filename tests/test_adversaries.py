"""The other side: cleaning, hardened manipulators, and what a report and its sentence make of them."""

import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save
from typer.testing import CliRunner

import shield
from shield import weights
from shield.channels import AS_SAVED
from shield.cli import app
from shield.errors import RecipeError
from shield.faces import PORTRAIT, Face, detect
from shield.photo import Photo
from shield.region import Region, region_of
from shield.surrogates import hardened, load_surrogate, surrogate
from shield.surrogates.generator import StarGANGenerator
from shield.surrogates.published import Editor
from shield.surrogates.stargan import EDITS
from shield.training.hardening import HARDENINGS, changed
from shield.verify import HELD, Plan, verification
from shield.verify import adversaries as room
from shield.verify.adversaries import adversaries, cleaned, on_regions
from shield.verify.effects import face_crop
from shield.weights import manifest, models_folder, sha256_of

Pixels = NDArray[np.uint8]
CPU = torch.device("cpu")
NAME = "stargan-hardened-tiny"
FEW = (AS_SAVED, "jpeg75")

every_adversary = pytest.mark.parametrize("name", adversaries)


@pytest.fixture(scope="module")
def small(portrait_photo: Photo) -> Pixels:
    return np.asarray(Image.fromarray(portrait_photo.pixels).resize((320, 320), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def region(small: Pixels) -> Region:
    """Of the one face, 200 px wide or so: its corner on no grid."""
    found = region_of(detect(small)[0], 320, 320)
    moved = dataclasses.replace(found, left=found.left + 3, top=found.top + 5, right=found.left + 150)
    assert (moved.left % room.GRID, moved.top % room.GRID) != (0, 0)
    return moved


# Cleaning


@every_adversary
def test_an_adversary_gives_pixels_near_the_picture_and_leaves_it_alone(small: Pixels, name: str) -> None:
    before = small.copy()
    result = adversaries[name](small)
    assert result.dtype == np.uint8
    assert result.shape == small.shape
    assert (small == before).all()
    assert 0.1 < np.abs(result.astype(int) - small).mean() < 10


@every_adversary
def test_cleaning_the_region_alone_gives_what_cleaning_the_photo_does(
    small: Pixels, region: Region, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "noise_of", lambda picture: 0.02)  # the one thing that looks at all it is given
    corner = Region(region.face, 0, 0, 90, 77)
    result, expected = cleaned(small, [region, corner], adversaries[name]), adversaries[name](small)
    outside = np.ones(small.shape[:2], bool)
    for part in (region, corner):
        difference = np.abs(result[part.box].astype(int) - expected[part.box])
        # The non-local means sum floats in another order; everything else is the same to the last bit.
        allowed = 1 if name == "non-local means" else 0
        assert difference.max() <= allowed
        assert (difference > 0).mean() < 1e-3
        outside[part.box] = False
    assert (result[outside] == small[outside]).all()
    assert (result != small).any()


def test_what_is_far_from_every_face_is_not_even_looked_at(region: Region) -> None:
    seen: list[tuple[int, ...]] = []

    def watch(pixels: Pixels) -> Pixels:
        seen.append(pixels.shape)
        return pixels

    large = np.zeros((2000, 3000, 3), np.uint8)
    assert (cleaned(large, [region], watch) == large).all()
    ((height, width, _),) = seen
    most = 2 * room.MARGIN + room.GRID
    assert region.height < height <= region.height + most
    assert region.width < width <= region.width + most


@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_blur_has_its_sigma(sigma: float) -> None:
    line = np.zeros((61, 61, 3), np.uint8)
    line[:, 30] = 255
    profile = adversaries[f"blur {sigma:g}"](line)[30, :, 0].astype(float)
    found = np.sqrt((profile * (np.arange(61) - 30) ** 2).sum() / profile.sum())
    assert found == pytest.approx(sigma, rel=0.1)


def test_medians_remove_specks_up_to_their_size() -> None:
    picture = np.full((40, 40, 3), 90, np.uint8)
    picture[10, 10], picture[20:23, 20:23] = 255, 255
    three, five = adversaries["median 3"](picture), adversaries["median 5"](picture)
    assert (three[5:15, 5:15] == 90).all()
    assert three[21, 21, 0] == 255
    assert (five == 90).all()


@pytest.mark.parametrize("quality", [50, 30])
def test_jpeg_is_the_real_codec(small: Pixels, quality: int) -> None:
    file = io.BytesIO()
    Image.fromarray(small).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    assert (adversaries[f"JPEG {quality}"](small) == np.asarray(Image.open(file))).all()


def test_four_bits_are_the_nearest_of_sixteen_levels() -> None:
    ramp = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, 2)
    found = adversaries["4 bits"](ramp)[:, 0, 0].astype(int)
    assert sorted(set(found.tolist())) == list(range(0, 256, 17))
    assert np.abs(found - np.arange(256)).max() == 8


def test_non_local_means_take_noise_away_and_leave_edges() -> None:
    step = np.full((64, 64, 3), 80, np.uint8)
    step[:, 32:] = 170
    noisy = (step + np.random.default_rng(0).integers(-12, 13, step.shape)).astype(np.uint8)
    result = adversaries["non-local means"](noisy).astype(int)
    assert np.abs(result - step).mean() < 0.4 * np.abs(noisy.astype(int) - step).mean()
    assert (np.abs(result[:, 33:35] - 170) < 12).all()
    assert (np.abs(result[:, 29:31] - 80) < 12).all()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_non_local_means_of_a_flat_picture_are_the_picture(value: int) -> None:
    flat = np.full((48, 48, 3), value, np.uint8)
    flat[..., 2] = 0
    assert (adversaries["non-local means"](flat) == flat).all()


def test_noise_is_estimated() -> None:
    noise = np.random.default_rng(0).normal(0, 0.03, (128, 128, 3)).astype(np.float32)
    assert room.noise_of(0.5 + noise) == pytest.approx(0.03, rel=0.1)


def test_an_adversary_cleans_the_regions(small: Pixels, region: Region) -> None:
    ways = on_regions([region])
    assert list(ways) == list(adversaries)
    for name, way in ways.items():
        assert (way(small) == cleaned(small, [region], adversaries[name])).all()


# Verification


@pytest.fixture(scope="module")
def changed_photo(small: Pixels) -> Pixels:
    noise = np.random.default_rng(0).choice([-10, 10], small.shape)
    return np.clip(small.astype(int) + noise, 0, 255).astype(np.uint8)


def only(*names: str) -> Plan:
    """These surrogates, after two of the channels, in few frames: it takes long enough."""
    return Plan(surrogates=names, channels=FEW, held=2, few=1, found=())


def narrow_stargan() -> Editor:
    """Of random weights, and cheap: it stands where the arithmetic matters and not what an edit looks like."""
    torch.manual_seed(0)
    editor = Editor("stargan", "", PORTRAIT, StarGANGenerator(4, 5, 1), EDITS, size=128)
    editor.threshold = 1e-4
    return editor


@pytest.fixture(scope="module")
def report(small: Pixels, changed_photo: Pixels) -> shield.Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surrogate, "_loaded", surrogate._loaded | {("stargan", str(CPU)): narrow_stargan()})
        patch.setattr(verification, "load_hardened", lambda device: [])
        return shield.verify_photo(small, changed_photo, adversaries=True, plan=only("dlib", "stargan")).report


def test_adversaries_have_rows_of_their_own(report: shield.Report) -> None:
    assert report.schema == 6
    assert report.channels() == FEW
    keys = {(e.face, e.surrogate, e.edit, e.picture, e.channel) for e in report.adversaries}
    edits = len(report.select())
    assert len(keys) == len(report.adversaries) == edits * (1 + len(adversaries)) * 2
    assert {e.picture for e in report.adversaries} == {"protected", "resaved"}
    assert report.other_side.channels() == (AS_SAVED, *adversaries)


def test_adversaries_are_measured_in_held_frames(report: shield.Report) -> None:
    assert {(e.frame, e.frames) for e in report.adversaries} == {(HELD, 1)}


def test_rows_of_the_control_as_saved_are_those_of_the_channels(report: shield.Report) -> None:
    saved = report.other_side.select("resaved")
    assert saved == report.select("resaved")
    assert {row.edit for row in saved} == {row.edit for row in report.select()}


def test_the_original_is_cleaned_as_control(report: shield.Report, small: Pixels) -> None:
    """It is held against the clean result, so that what is measured is what the cleaning itself does."""
    side = report.other_side
    assert all(effect.distance < 1e-6 for effect in side.select("resaved"))
    (face,), (effect,) = detect(small), side.select("resaved", "blur 3", "dlib")
    clean = cleaned(small, [region_of(face, 320, 320)], adversaries["blur 3"])
    alone = shield.verify_photo(small, clean, plan=dataclasses.replace(only("dlib"), held=1)).report
    assert effect.distance == pytest.approx(alone.select()[0].distance, abs=1e-6)


def test_without_being_asked_no_adversary_is_tried(
    report: shield.Report, small: Pixels, changed_photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "on_regions", None)
    monkeypatch.setattr(surrogate, "_loaded", surrogate._loaded | {("stargan", str(CPU)): narrow_stargan()})
    plain = shield.verify_photo(small, changed_photo, plan=only("stargan")).report
    assert plain.adversaries == ()
    assert plain.effects == tuple(effect for effect in report.effects if effect.surrogate == "stargan")


def told(report: shield.Report, undone: dict[str, int], harm: dict[str, int], hard: int | None = None) -> str:
    """The sentence of a report in which all six edits of stargan break, less those ``undone`` by each adversary."""
    rows = []
    for effect in report.adversaries:
        number = list(EDITS).index(effect.edit) if effect.surrogate == "stargan" else -1
        if effect.picture == "resaved":
            disrupted = 0 <= number < harm.get(effect.channel, 0)
        else:
            disrupted = number >= undone.get(effect.channel, 0)
        rows.append(dataclasses.replace(effect, disrupted=disrupted))
    if hard is not None:
        plain = [row for row in rows if (row.surrogate, row.picture) == ("stargan", "protected")]
        rows += [
            dataclasses.replace(row, surrogate=NAME, seen=False, disrupted=list(EDITS).index(row.edit) < hard)
            for row in plain
        ]
    seen = [dataclasses.replace(effect, seen=effect.surrogate == "stargan") for effect in report.effects]
    return dataclasses.replace(report, effects=tuple(seen), adversaries=tuple(rows)).adversary_sentence()


def test_the_sentence_says_what_is_undone_by_whom(report: shield.Report) -> None:
    assert told(report, {}, {}) == (
        "Of 6 broken manipulations an adversary undoes none by blur 1.5, blur 3, median 3, median 5, JPEG 50, "
        "JPEG 30, 4 bits and non-local means."
    )
    assert told(report, {"median 5": 2, "non-local means": 6, "blur 3": 2}, {"4 bits": 1}) == (
        "Of 6 broken manipulations an adversary undoes none by blur 1.5, median 3, JPEG 50, JPEG 30 and 4 bits, "
        "2 by blur 3 and median 5, 6 by non-local means; the same done to the original breaks 1 by 4 bits."
    )
    assert told(report, {}, {}, hard=4).endswith(f"; 4 of 6 break of the hardened {NAME}.")
    assert told(report, dict.fromkeys(["none", *adversaries], 6), {}) == (
        "No manipulation breaks on the saved file, so that an adversary has nothing to undo."
    )


def test_what_did_not_break_cannot_be_undone(report: shield.Report) -> None:
    """Cleaning may even break an edit that the change did not; that is none of its merits."""
    assert "Of 4 broken" in told(report, {"none": 2}, {"blur 3": 2})
    assert "original" not in told(report, {"none": 2}, {"blur 3": 2})
    assert "1 by median 5" in told(report, {"none": 2, "median 5": 3}, {})


def test_the_command_prints_a_second_table_and_a_sentence_only_where_asked(
    report: shield.Report, small: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify_photo(*photos: Path, adversaries: bool, **settings: object) -> shield.Verification:
        found = report if adversaries else dataclasses.replace(report, adversaries=())
        return shield.Verification(found, small, small, ())

    monkeypatch.setattr(shield, "verify_photo", verify_photo)
    monkeypatch.setattr("shield.cli.console.width", 120)
    plain, asked, data = (
        CliRunner().invoke(app, ["verify", "me.png", "me.shield.png", *options])
        for options in ([], ["--adversaries"], ["--adversaries", "--json"])
    )
    assert asked.exit_code == plain.exit_code == 1
    assert "non-local means" not in plain.stdout
    assert asked.stdout.startswith(plain.stdout)
    (row,) = [line for line in asked.stdout.splitlines() if line.startswith(" non-local means, held")]
    assert row.split() == ["non-local", "means,", "held", *(f"{share:.0%}" for share in shares(report))]
    assert report.adversary_sentence() in " ".join(asked.stdout.split())
    rows = json.loads(data.stdout)
    assert {row["channel"] for row in rows["adversaries"]} == {AS_SAVED, *adversaries}
    assert {row["channel"] for row in rows["effects"]} == set(FEW)


def shares(report: shield.Report) -> list[float]:
    """What the row of the non-local means holds."""
    pictures = ("protected", "dlib"), ("protected", "stargan"), ("resaved", None)
    rows = [report.other_side.select(picture, "non-local means", surrogate) for picture, surrogate in pictures]
    return [float(np.mean([effect.share for effect in own])) for own in rows]


# Hardened manipulators


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A models/ in which the only hardened StarGAN has a few thousand random weights."""
    torch.manual_seed(0)
    data = save({key: value.half() for key, value in StarGANGenerator(4, 5, 1).state_dict().items()})
    for path in models_folder().iterdir():
        if path.name != "manifest.toml":
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / f"{NAME}.safetensors").write_bytes(data)
    entry = {"file": f"{NAME}.safetensors", "sha256": sha256_of(data), "licence": "Apache-2.0", "source": "a test"}
    rows = "".join(f'{key} = "{value}"\n' for key, value in (entry | {"what": "Tiny.", "training": "None."}).items())
    table = (models_folder() / "manifest.toml").read_text(encoding="utf-8")
    table = re.sub(r"(?ms)^\[stargan-hardened-.*?(?=^\[|\Z)", "", table)
    (tmp_path / "manifest.toml").write_text(f"{table}\n[{NAME}]\nsize = 128\n{rows}", encoding="utf-8")
    monkeypatch.setattr(weights, "models_folder", lambda: tmp_path)
    monkeypatch.setattr(surrogate, "_loaded", {})
    return NAME


def test_hardened_manipulators_are_those_of_the_manifest(tiny: str) -> None:
    assert list(hardened) == [tiny]
    loaded = load_surrogate(tiny, CPU)
    assert loaded.name == tiny
    assert loaded.edits == tuple(EDITS)


def test_without_weights_there_is_no_hardened_manipulator() -> None:
    assert set(hardened) == {name for name in manifest() if "-hardened-" in name}
    with pytest.raises(RecipeError, match="no hardened manipulator named"):
        hardened[NAME]


def test_no_search_works_on_a_hardened_manipulator(tiny: str) -> None:
    assert tiny not in shield.SURROGATES
    with pytest.raises(RecipeError, match="no surrogate named"):
        shield.Recipe(surrogates=(tiny,))


def test_hardened_manipulators_run_only_with_adversaries(tiny: str, small: Pixels, changed_photo: Pixels) -> None:
    found = shield.verify_photo(small, changed_photo, adversaries=True, plan=only("dlib"))
    assert tiny not in found.report.surrogates()
    assert tiny in found.report.other_side.surrogates()
    assert {e.channel for e in found.report.adversaries if e.surrogate == tiny} == {AS_SAVED, *adversaries}
    assert not any(e.seen for e in found.report.adversaries if e.surrogate == tiny)
    assert tiny not in {m.surrogate for m in found.manipulations}
    assert f"of {len(EDITS)} break of the hardened {tiny}" in found.report.adversary_sentence()


@pytest.mark.parametrize("way", HARDENINGS)
def test_a_shipped_hardened_stargan_withstands_what_breaks_the_plain_one(
    way: str, portrait: Pixels, portrait_face: Face
) -> None:
    """Every third edit, each attacked with the model's own gradients."""
    name = f"stargan-hardened-{way}"
    if name not in manifest():
        pytest.skip(f"models/ holds no {name} yet: train it with shield train stargan --adversarial {way}")
    conditions = torch.tensor(list(EDITS.values())[::3], dtype=torch.float32)
    reached = []
    for model in ("stargan", name):
        editor = load_surrogate(model, CPU)
        faces = 2 * face_crop(portrait, portrait_face, editor, CPU).repeat(len(conditions), 1, 1, 1) - 1
        network = editor.network  # type: ignore[attr-defined,unused-ignore]
        broken = changed(network, faces, conditions, HARDENINGS[way], torch.Generator().manual_seed(0))
        with torch.no_grad():
            reached.append(float((network(broken, conditions) - network(faces, conditions)).square().mean()))
    assert reached[1] < 0.5 * reached[0]
