"""The benchmarks' arithmetic, on outcomes made by hand; what is no experiment is a command of its own."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

import shield
from shield.bench import app, crops, photos, samples
from shield.bench.experiments import (
    Case,
    Experiment,
    Row,
    Setting,
    ablation,
    cleaning,
    experiments,
    portraits,
    recognisers,
    starts,
    swaps,
)
from shield.bench.statistics import interval, spread
from shield.frames import held
from shield.photo import read
from shield.surrogates import judges, load_surrogates
from shield.surrogates.recognisers.iresnet import IResNet
from shield.swap import donor
from shield.training.data import FaceSet, load_faces
from shield.verify import EXACT, HELD, NOISE, PROTECTED, RESAVED
from shield.verify.swaps import Readers

MANIPULATORS = ("stargan", "cyclegan", "ganimation", "spade")


@pytest.fixture(scope="module")
def report(small, brief) -> shield.Report:
    plan = replace(brief, surrogates=("stargan", "dlib"), unseen=True)
    return shield.protect(small, shield.Recipe(steps=1, surrogates=("cyclegan",)), plan=plan).report


def answering(report: shield.Report, module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a module's protections come out with this report, but for photos that are called like what fits no bound."""

    def protect(photo: Path, *_: object, **__: object) -> SimpleNamespace:
        if photo.stem == "loud":
            raise shield.BoundError("Too visible.")
        return SimpleNamespace(report=report)

    monkeypatch.setattr(module, "protect", protect)


def rows_of(name: str, files: list[Path]) -> list[dict[str, object]]:
    return [dict(row) for case in experiments[name].cases(Setting(files)) for row in case.measure()]


def test_the_interval_holds_the_mean_and_narrows_with_more_photos() -> None:
    values = np.random.default_rng(0).random(400)
    mean, low, high = interval(list(values))
    assert low < mean < high
    assert mean == pytest.approx(values.mean())
    few = interval(list(values[:20]))
    assert few[2] - few[1] > 2 * (high - low)


def test_a_mean_is_printed_with_its_interval() -> None:
    assert spread([]) == ""
    assert spread([0.5, 0.5]) == "0.500 [0.50, 0.50]"


# The photos


def test_photos_are_those_of_a_folder_and_of_the_folders_in_it(tmp_path: Path) -> None:
    names = (
        "b.png",
        "a.png",
        ".hidden/1.png",
        "zoe/1.png",
        "ann/2.jpg",
        "ann/deep/3.png",
        "ann/2.shield.jpg",
        "notes.txt",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [str(path.relative_to(tmp_path)) for path in photos.photos_below(tmp_path)]
    assert found == ["a.png", "b.png", "ann/2.jpg", "zoe/1.png"]


def test_a_scaled_copy_is_smaller_and_keeps_the_name_of_its_folder(tmp_path: Path, photo: Path) -> None:
    before, after = read(photo), read(photos.scaled(photo, tmp_path, 0.5))
    assert (after.width, after.height) == (round(before.width / 2), round(before.height / 2))
    assert photos.scaled(photo, tmp_path, 0.5).parent.name == photo.parent.name
    other = photo.with_suffix(".png")
    Image.open(photo).save(other)
    assert photos.scaled(other, tmp_path, 0.5) != photos.scaled(photo, tmp_path, 0.5)


def test_what_is_no_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(shield.InputError, match="is no folder"):
        photos.photos_below(tmp_path / "none")
    for call in (["crops", str(tmp_path), "out.png"], ["crops", str(tmp_path / "none"), "out.png"]):
        result = CliRunner().invoke(app, call)
        assert result.exit_code == 2 and isinstance(result.exception, SystemExit)


def test_test_faces_come_from_the_test_split(shared: Path) -> None:
    def digest(pixels: np.ndarray) -> str:
        return hashlib.sha256(pixels.tobytes()).hexdigest()

    folder = shared / "data" / "faces"
    faces = [*photos.lfw_faces(folder, 3)]
    split = {digest(face.permute(1, 2, 0).numpy().copy()) for face in load_faces(folder, "test").faces}
    assert {digest(face) for face in faces} <= split
    assert all((face.shape, face.dtype) == ((128, 128, 3), np.uint8) for face in faces)
    assert [digest(face) for face in photos.lfw_faces(folder, 2)] == [digest(face) for face in faces[:2]]


def test_lfw_test_photos_become_files(shared: Path, tmp_path: Path) -> None:
    one, other = photos.lfw_photos(shared / "data" / "faces", 2, tmp_path)
    assert read(one).pixels.shape == read(other).pixels.shape == (128, 128, 3)


def test_a_run_is_of_photos_their_copies_or_faces_of_the_archives(
    tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in ([str(photo.parent), "--lfw", "2"], [str(photo.parent), "--scale", "0"]):
        refused = CliRunner().invoke(app, ["run", "portraits", *words, "--out", str(tmp_path / "none")])
        assert refused.exit_code == 2 and ("--faces" in refused.output or "--scale" in refused.output)
    seen = list[tuple[str, int]]()

    class Looks(Experiment):
        title, paper, published = "Looks", "", ()

        def cases(self, setting: Setting) -> Iterator[Case]:
            seen.extend((it.parent.name, read(it).width) for it in setting.photos)
            return iter(())

        def table(self, rows: Sequence[Row]) -> list[Row]:
            return []

    monkeypatch.setattr("shield.bench.run.experiments", {"looks": Looks()})
    call = ["run", "looks", str(photo.parent), "--scale", "0.5", "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, call).exit_code == 0
    assert seen == [(photo.parent.name, round(read(photo).width / 2))]


# Attacks and bounds


def test_every_case_is_a_recipe_of_its_own_and_each_editor_is_left_out_once() -> None:
    cases = ablation.ways(shield.Recipe(steps=7, attack="pgd").with_preset("strong"), MANIPULATORS)
    assert cases["tangent"].attack == "tangent" == cases["the same, robust"].attack
    assert len(set(cases.values())) == len(cases)
    left_out = [set(MANIPULATORS) - set(recipe.surrogates) for recipe in cases.values()]
    assert [out for out in left_out if out] == [{name} for name in MANIPULATORS]
    assert {recipe.transforms for recipe in cases.values()} == {shield.PLAIN, shield.ROBUST}
    assert {(recipe.steps, recipe.face_lpips) for recipe in cases.values()} == {(7, 0.10)}


def test_shares_count_all_editors_and_those_unseen_apart(
    report: shield.Report, monkeypatch: pytest.MonkeyPatch, photo: Path
) -> None:
    """Of stargan and the recogniser, which verification tries here, the search saw neither."""
    own = [row for row in report.effects if row.frame == HELD]  # as the plan has it
    changed = [replace(row, share=0.5 * (number % 3)) for number, row in enumerate(own)]
    report = replace(report, effects=tuple(changed))
    made = report.select(surrogate="stargan")  # the recogniser makes no pictures
    share = np.mean([row.share for row in made])
    assert 0 < share < 1
    answering(report, ablation, monkeypatch)
    loud = photo.with_name("loud.png")
    loud.write_bytes(photo.read_bytes())
    table = experiments["ablation"].table(rows_of("ablation", [photo, loud]))
    assert {line["case"] for line in table} == {*ablation.ways(shield.Recipe(), MANIPULATORS)}
    assert {line["measured"] for line in table} == {"1 of 2"}
    line = {name: float(str(value).split()[0]) for name, value in table[0].items() if str(value)[0].isdigit()}
    # What fits no bound counts as whole.
    assert line["unseen"] == line["stargan, as saved"] == line["none"] == pytest.approx(share / 2, abs=1e-3)
    assert line["jpeg75"] == pytest.approx(
        np.mean([row.share for row in report.select(channel="jpeg75") if row.l2]) / 2, abs=1e-3
    )
    assert line["unseen: distance"] == pytest.approx(np.mean([row.l2 / row.threshold for row in made]))
    noise = report.select(NOISE, surrogate="stargan")
    assert line["noise"] == pytest.approx(np.mean([row.share for row in noise]))
    assert line["of noise"] == pytest.approx(np.mean([row.l2 / row.threshold for row in noise]))
    seen = replace(report, effects=tuple(replace(row, seen=True) for row in report.effects))
    answering(seen, ablation, monkeypatch)
    assert experiments["ablation"].table(rows_of("ablation", [photo]))[0]["unseen"] is None


def test_editors_are_what_makes_pictures(device) -> None:
    assert {s.name for s in load_surrogates(device) if s.makes_pictures} == set(MANIPULATORS)


# Photos, channels and frames


def test_the_thorough_plan_asks_for_every_held_frame_everywhere() -> None:
    plan = portraits.THOROUGH
    for picture in (PROTECTED, NOISE):
        rows = [plan.rows(picture, channel, True) for channel in plan.sent_through]
        assert all(row[HELD] == len(held()) and row[EXACT] == 1 for row in rows)
    assert any(kind.startswith("found:") for kind in plan.rows(PROTECTED, "jpeg75", True))


def test_what_breaks_is_counted_over_photos_and_what_fits_no_bound_as_whole(
    report: shield.Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    figures = {PROTECTED: 0.75, NOISE: 0.25, RESAVED: 0.0}
    named = [*dict.fromkeys(row.edit for row in report.effects if row.surrogate == "stargan")]
    first, edits = named[0], len(named)
    rows = [
        replace(row, share=figures[row.picture])
        if row.surrogate == "dlib"
        else replace(row, share=figures[row.picture], usable=0.25, usable_clean=float(row.edit != first))
        for row in report.effects
    ]
    answering(replace(report, effects=tuple(rows)), portraits, monkeypatch)
    files = [tmp_path / name for name in ("a.png", "b.png", "loud.png")]
    table = experiments["portraits"].table(rows_of("portraits", files))
    *lines, means = table
    assert {(line["network"], line["channel"], line["frames"]) for line in lines} == {
        (name, *place) for name in ("stargan", "dlib") for place in report.rows()
    }
    assert {line["measured"] for line in lines} == {"2 of 3"}
    assert {str(line["disrupted"])[:5] for line in lines} == {"0.500"}
    saved = [line for line in lines if line["channel"] == "none" and line["frames"] == HELD]
    assert {line["noise"] for line in saved} == {0.25} and {line["re-saved"] for line in saved} == {0.0}
    stargan = [line for line in lines if line["network"] == "stargan"]
    assert {(line["usable, original"], str(line["usable"])[:5]) for line in stargan} == {(1.0, "0.250")}
    assert {line["works"] for line in stargan} == {f"{2 * edits - 2} of {2 * edits} edits, 2 photos"}
    assert {line["usable, noise"] for line in stargan if line["channel"] == "none" and line["frames"] == HELD} == {0.25}
    assert means["measured"] == "2 of 3"
    assert means["face_lpips"] == pytest.approx(report.worst_face.visibility.face_lpips)
    assert means["search_s"] == report.seconds["search"]


def test_what_cleaning_brings_back_is_counted_beside_the_original(
    report: shield.Report, monkeypatch: pytest.MonkeyPatch, photo: Path
) -> None:
    (row,) = report.select(PROTECTED, "none", "dlib", HELD)
    seen = list[shield.Plan]()
    undone = tuple(
        replace(row, channel=way, picture=picture, share=share)
        for way, shares in {"none": (1.0, 0.0), "median": (0.25, 0.5)}.items()
        for picture, share in zip((PROTECTED, RESAVED), shares, strict=True)
    )
    made = SimpleNamespace(photo="the saved file")
    monkeypatch.setattr(cleaning, "protect", lambda *_, **__: made)

    def verify(before: Path, after: str, adversaries: bool, plan: shield.Plan, **_: object) -> SimpleNamespace:
        assert (before, after, adversaries) == (photo, "the saved file", True)
        seen.append(plan)
        return SimpleNamespace(report=SimpleNamespace(adversaries=undone))

    monkeypatch.setattr(cleaning, "verify_photo", verify)
    table = experiments["cleaning"].table(rows_of("cleaning", [photo]))
    assert [(line["cleaned by"], str(line["known"])[:5], line["known, original"]) for line in table] == [
        ("none", "0.000", 1.0),
        ("median", "0.750", 0.5),
    ]
    assert {*judges} < {*seen[0].asked} and "stargan" not in seen[0].asked


# Starts


def test_what_a_start_saves_is_the_way_to_where_the_random_one_ends() -> None:
    random = starts.Search([0.0, 0.2, 0.5, 0.5], [1.0, 2.0, 3.0, 4.0])
    universal = starts.Search([0.4, 0.5, 0.7, 0.9], [1.5, 2.5, 3.5, 4.5])
    assert random.level_with(0.9) == 3  # never: all of its steps
    rows = starts.compared("a", {"random": random, "universal": universal})
    assert [(row["steps saved"], row["seconds saved"]) for row in rows] == [(0, 0.0), (1, 0.5)]
    table = experiments["starts"].table([*rows, *rows])
    assert [line["start"] for line in table] == ["random", "universal"]
    assert table[1]["steps saved"] == "1.000 [1.00, 1.00]" and table[1]["photos"] == 2
    with pytest.raises(shield.InputError, match="does not search"):
        next(iter(experiments["starts"].cases(Setting([Path("a.png")], recipe=shield.Recipe(attack="instant")))))


def test_a_search_from_a_start_is_followed_step_by_step_and_no_further(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def protect(photo: Path, recipe: shield.Recipe, progress) -> None:
        for step in range(3):
            progress(step, 2, step / 4)
        raise AssertionError("went on after the search")

    monkeypatch.setattr(starts, "protect", protect)
    found = starts.search(photo, shield.Recipe())
    assert found.best == [0.0, 0.25, 0.5] and len(found.seconds) == 3


# Recognisers


def test_a_line_is_where_so_many_strangers_are_taken_for_the_person() -> None:
    others = torch.arange(1000) / 1000 + 0.5
    pairs = recognisers.Pairs(same=torch.tensor([0.1, 0.2, 0.6, 2.0]), others=others)
    assert pairs.threshold(0.01) == pytest.approx(0.51)
    assert pairs.known(0.51) == 0.5
    assert pairs.auc == pytest.approx((1 + 1 + 0.9 + 0) / 4)


def test_students_that_were_trained_are_measured_beside_those_that_ship(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "iresnet").mkdir()
    save_file(IResNet().state_dict(), tmp_path / "iresnet" / "weights.safetensors")
    cases = [*experiments["recognisers"].cases(Setting(faces=shared / "data" / "faces", trainings=tmp_path))]
    assert [case.name for case in cases][-3:] == [*judges, "iresnet, as trained"]
    assert cases[-1].files == [tmp_path / "iresnet" / "weights.safetensors"]
    with pytest.raises(shield.InputError, match="holds no iresnet"):
        next(iter(recognisers.students_in(tmp_path / "iresnet")))
    with pytest.raises(shield.InputError, match="cannot be read"):
        recognisers.trained("iresnet", tmp_path / "nothing")


def test_pairs_are_of_one_person_and_of_two_of_one_sex() -> None:
    faces = torch.zeros(4, 3, 8, 8)
    faces[:, 0] = torch.tensor([0.0, 1, 2, 4])[:, None, None]
    data = FaceSet(faces, torch.tensor([1.0, 1, 1, 0])[:, None], torch.zeros(4), ("Male",), ("a", "a", "b", "c"))
    network = Mock(size=8, framing=shield.faces.templates.PORTRAIT, side_effect=lambda it: it.mean((2, 3))[:, None])
    pairs = recognisers.pairs_of(network, data)
    assert pairs.same.tolist() == pytest.approx([1.0], abs=1e-4)
    assert sorted(pairs.others.tolist()) == pytest.approx([1.0, 4.0], abs=1e-4)


# Swaps


def test_pairs_are_of_persons_seen_twice_and_of_strangers_of_their_sex() -> None:
    persons = ("ann", "bob", "ann", "cid", "dan", "dan", "eve", "dan")
    male = torch.tensor([0.0, 1, 0, 1, 1, 1, 0, 1])[:, None]
    levels = torch.arange(8, dtype=torch.uint8)[:, None, None, None].expand(8, 3, 4, 4)
    test = FaceSet(levels, male, torch.zeros(8), ("Male",), persons)
    found = [tuple(int(pixels[0, 0, 0]) for pixels in vars(pair).values()) for pair in swaps.pairs(test, 5)]
    assert sorted((source, other) for source, other, _ in found) == [(0, 2), (4, 5)]
    targets = {source: target for source, _, target in found}
    assert targets[0] == 6 and targets[4] in {1, 3}
    (first,) = swaps.pairs(test, 1)
    assert first.source.flat[0] == found[0][0]  # fewer are a part of more


def test_a_network_that_changes_nothing_shows_the_target_and_moves_nothing() -> None:
    pair = swaps.Pair(donor("man").pixels, donor("man").pixels, donor("woman").pixels)
    outcome = swaps.swapped(pair, lambda targets, identities: targets, Readers(torch.device("cpu")))
    assert [outcome[name] for name in ("known", "known_as_other", "before", "left")] == [0, 0, 0, 3]
    assert outcome["moved"] < 0.02
    moved = swaps.swapped(pair, lambda targets, identities: targets.roll(8, 3), Readers(torch.device("cpu")))
    assert moved["moved"] == pytest.approx(8 / 128 / 0.2753, rel=0.5)  # that many sides of the frame, in eye distances
    blank = np.full((128, 128, 3), 90, np.uint8)
    assert swaps.swapped(replace(pair, source=blank), lambda targets, identities: targets, Mock()) is None


def test_what_swaps_of_clean_photos_show_is_counted_over_all_pairs() -> None:
    rows = [
        {"pair": known, "known": known, "known_as_other": 3, "before": 0, "left": 1, "moved": 0.1 * known, "verdict": v}
        for known, v in ((3, "fake"), (2, "unsure"), (1, "no face"))
    ]
    table = experiments["swaps"].table([*rows, {"pair": 0}])  # in the last one a face was not found
    shares = {line["swaps of clean photos"]: str(line["value"])[:5] for line in table}
    assert shares["person known by 2 of 3"] == "0.500"
    assert shares["the same, from another photo of the person"] == "0.750"
    assert shares["the target's person still known"] == "0.000"
    assert shares["68 landmarks moved, mean, in eye distances"] == "0.200"
    assert shares["called fake"] == shares["called unsure"] == "0.250"
    counts = {line["swaps of clean photos"]: line["pairs"] for line in table}
    assert counts["called fake"] == 4 and counts["68 landmarks moved, median"] == 3


def test_without_a_swap_network_the_benchmark_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swaps, "shipped_swap", lambda device: None)
    result = CliRunner().invoke(app, ["run", "swaps", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "no swap network" in " ".join(result.output.replace("│", " ").split())


# Pictures


def test_the_sheet_of_swaps_shows_every_portrait_on_every_donor(checkout: Path) -> None:
    one = samples.swap_sheet([checkout / "examples" / "elder.jpg"], lambda targets, identities: targets)
    assert one.width > 5 * 300 and one.height > 300


def test_crops_show_the_face_as_it_was_and_as_it_is(
    photo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pixels = read(photo).pixels
    box = pixels.shape[1] - 40.0, 0.0, pixels.shape[1] - 10.0, 30.0  # in a corner, where a crop does not fit around it
    made = SimpleNamespace(
        photo=SimpleNamespace(pixels=255 - pixels), report=SimpleNamespace(faces=[SimpleNamespace(box=box)])
    )
    monkeypatch.setattr(crops, "protect", lambda *_, **__: made)
    before, after = crops.crops(photo, shield.Recipe(), 64)
    assert np.array_equal(before, pixels[:64, -64:]) and np.array_equal(after, 255 - before)
    result = CliRunner().invoke(app, ["crops", str(photo.parent), str(tmp_path / "out.png"), "--side", "64"])
    assert result.exit_code == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.concatenate([before, after], axis=1))


def test_what_is_no_experiment_is_a_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in ("crops", "detector", "picture", "results", "run", "samples", "speed"))
