"""The benchmarks' arithmetic, on outcomes made by hand; every experiment is a command."""

import hashlib
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import shield
from shield.bench import ablation, app, frames, portraits, start, swaps
from shield.bench.statistics import interval
from shield.frames import held
from shield.photo import read
from shield.surrogates import load_surrogates
from shield.swap import donor
from shield.training.data import SOURCES, FaceSet, load_faces
from shield.verify import EXACT, HELD, NOISE, PROTECTED
from shield.verify.rows import ORIGINAL, SOURCE, TARGET, Swap
from shield.verify.swaps import Readers

MANIPULATORS = ("stargan", "cyclegan", "ganimation", "spade")


@pytest.fixture(scope="module")
def report(small, brief) -> shield.Report:
    plan = replace(brief, surrogates=("stargan", "dlib"), unseen=True)
    return shield.protect(small, shield.Recipe(steps=1, surrogates=("cyclegan",)), plan=plan).report


def test_the_interval_holds_the_mean_and_narrows_with_more_photos() -> None:
    values = np.random.default_rng(0).random(400)
    mean, low, high = interval(list(values))
    assert low < mean < high
    assert mean == pytest.approx(values.mean())
    few = interval(list(values[:20]))
    assert few[2] - few[1] > 2 * (high - low)


def test_every_case_is_a_recipe_of_its_own_and_each_manipulator_is_left_out_once() -> None:
    cases = ablation.cases(MANIPULATORS)
    assert len(set(cases.values())) == len(cases)
    left_out = [set(MANIPULATORS) - set(recipe.surrogates) for recipe in cases.values()]
    assert [out for out in left_out if out] == [{name} for name in MANIPULATORS]
    assert {recipe.transforms for recipe in cases.values()} == {shield.PLAIN, shield.ROBUST}


def test_shares_count_all_manipulators_and_those_unseen_apart(report: shield.Report) -> None:
    """Of stargan and the recogniser, which verification tries here, the search saw neither."""
    rows = [replace(row, share=0.5 * (number % 3)) for number, row in enumerate(report.effects)]
    report = replace(report, effects=tuple(rows))
    made = report.select(surrogate="stargan")  # the recogniser makes no pictures
    share = np.mean([row.share for row in made])
    assert 0 < share < 1
    measured = ablation.Measured.of(report)
    assert measured.unseen == measured.manipulators["stargan"] == measured.channels["none"] == share
    assert list(measured.manipulators) == ["stargan"]
    assert measured.channels["jpeg75"] == np.mean([r.share for r in report.select(channel="jpeg75") if r.l2])
    assert measured.unseen_distance == pytest.approx(np.mean([row.l2 / row.threshold for row in made]))
    noise = report.select(NOISE, surrogate="stargan")
    assert measured.noise == np.mean([row.share for row in noise])
    assert measured.noise_distance == pytest.approx(np.mean([row.l2 / row.threshold for row in noise]))
    seen = replace(report, effects=tuple(replace(row, seen=True) for row in report.effects))
    assert ablation.Measured.of(seen).unseen is None


def _outcome(photo: str, share: float | None) -> ablation.Outcome:
    measured = None
    if share is not None:
        measured = ablation.Measured(
            face_lpips=0.04,
            psnr=38.0,
            ssim=0.9,
            channels={"none": share, "jpeg75": share / 2},
            noise=0.25,
            manipulators={"stargan": share},
            unseen=None,
            unseen_distance=None,
            noise_distance=None,
            seconds=9.0,
        )
    return ablation.Outcome(ablation.PORTRAITS, photo, "x", shield.Recipe(), "models", measured)


def test_a_photo_that_fits_no_bound_counts_as_not_protected() -> None:
    shown = ablation.table([_outcome("a", 1.0), _outcome("b", None)])
    cells = {str(column.header): [*column.cells] for column in shown.columns}
    assert (cells["case"], cells["LPIPS bound"], cells["photos"]) == (["x"], ["0.05"], ["1 of 2"])
    assert [cells[name][0][:5] for name in ("none", "jpeg75", "stargan, as saved")] == ["0.500", "0.250", "0.500"]
    assert cells["noise, as saved"][0][:5] == "0.250"  # was measured on the one that fits alone
    assert cells["unseen, as saved"] == [""]
    assert ablation.row(("portraits", 0.05, "x"), [None], ["none"], [])[-1].startswith("0.000")


def test_an_interrupted_ablation_goes_on_where_it_was(small: np.ndarray, tmp_path: Path, brief: shield.Plan) -> None:
    file = tmp_path / "results.jsonl"
    pictures = [ablation.Picture(ablation.PORTRAITS, small)]
    written: list[ablation.Outcome] = []

    def keep(outcome: ablation.Outcome) -> None:
        written.append(outcome)
        ablation.append(file, outcome)

    def outcomes(pictures: list[ablation.Picture], steps: int) -> list[ablation.Outcome]:
        recipes = {"x": shield.Recipe(steps=steps)}
        return list(ablation.outcomes(pictures, recipes, ["subtle"], ablation.recorded(file), keep, brief))

    (first,) = outcomes(pictures, 1)
    assert first.measured
    with file.open("a") as cut_off:
        cut_off.write(first.to_json()[:40])
    assert outcomes(pictures, 1) == written == [first]
    outcomes(pictures, 2)  # other settings: another outcome
    outcomes([ablation.Picture(ablation.PORTRAITS, small[:, ::-1])], 1)
    assert len(written) == 3
    assert ablation.recorded(file) == written


def test_results_of_other_models_or_channels_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = ablation.models_in_use()
    assert now == ablation.models_in_use()
    monkeypatch.setattr(ablation, "verified", lambda: ("none",))
    fewer = ablation.models_in_use()
    monkeypatch.setattr("shield.weights.imported_models", lambda: {"mine": Mock(sha256="0")})
    assert len({now, fewer, ablation.models_in_use()}) == 3


@pytest.mark.parametrize("text", ["Dear diary\n", "Dear diary", "{}\n"])
def test_a_file_that_holds_something_else_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "diary.txt"
    file.write_text(text)
    result = CliRunner().invoke(app, ["ablation", str(tmp_path), "--results", str(file)])
    assert result.exit_code == 2
    assert "no results" in result.output
    assert file.read_text() == text


def test_every_beginning_of_the_pictures_holds_all_sets() -> None:
    few, many = ([ablation.Picture(name, np.zeros(0))] * count for name, count in (("a", 2), ("b", 4)))
    assert [picture.set for picture in ablation.in_turn(few, many)] == ["b", "a", "b", "b", "a", "b"]


def test_test_faces_come_from_the_test_split(shared: Path) -> None:
    folder = shared / "data" / "faces"
    faces = list(ablation.test_faces(folder, 3, SOURCES))
    split = {
        hashlib.sha256(face.permute(1, 2, 0).numpy().tobytes()).hexdigest() for face in load_faces(folder, "test").faces
    }
    assert {face.sha256 for face in faces} <= split
    assert all((face.pixels.shape, face.pixels.dtype, face.whole) == ((128, 128, 3), np.uint8, True) for face in faces)
    assert [face.sha256 for face in ablation.test_faces(folder, 2, SOURCES)] == [face.sha256 for face in faces[:2]]


def test_what_the_detector_says_is_gathered_by_picture_and_manipulator(report: shield.Report) -> None:
    runs = [portraits.Run("a", report, 1.0), portraits.Run("b", report, 1.0)]
    shown = portraits.spotted(runs)
    subjects, means, called = ([*column.cells] for column in shown.columns)
    assert subjects[:2] == ["original", "protected"]
    assert {"manipulated by stargan", "broken by stargan"} < set(subjects)
    broken = [row for row in report.detections if (row.picture, row.surrogate) == ("broken", "stargan")]
    number = subjects.index("broken by stargan")
    assert float(means[number]) == pytest.approx(np.mean([row.probability for row in broken]), abs=1e-3)
    assert float(called[number]) == pytest.approx(np.mean([row.verdict == "fake" for row in broken]), abs=1e-3)


def test_every_experiment_is_a_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(
        name in result.output
        for name in ("ablation", "frames", "persons", "portraits", "run", "samples", "speed", "start", "swaps")
    )


def test_what_a_start_saves_is_the_way_to_where_the_other_ends() -> None:
    random = start.Search([0.0, 0.2, 0.5, 0.5], [1.0, 2.0, 3.0, 4.0])
    universal = start.Search([0.4, 0.5, 0.7, 0.9], [1.5, 2.5, 3.5, 4.5])
    assert universal.level_with(0.5) == 1
    assert random.level_with(0.9) == 3  # never: all of its steps
    assert start.saved([(random, universal)] * 2).startswith("Saved per photo: 2.0 [2.0, 2.0] steps, 1.5 [1.5, 1.5] s")


def test_an_unknown_case_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["ablation", str(tmp_path), "--case", "magic"])
    assert result.exit_code == 2
    assert "no case" in result.output


def test_manipulators_are_what_makes_pictures(device) -> None:
    assert {s.name for s in load_surrogates(device) if s.makes_pictures} == set(MANIPULATORS)


def sent(report: shield.Report, yes: bool) -> shield.Report:
    """The report as if the search had seen stargan and all of its edits broke, or none."""
    rows = [replace(row, seen=row.surrogate == "stargan", share=float(yes), disrupted=yes) for row in report.effects]
    return replace(report, effects=tuple(rows))


def test_frames_are_counted_by_channel_and_kind_over_photos(report: shield.Report) -> None:
    reports = [sent(report, True), sent(report, False)]
    found = {(line.channel, line.frame): line for line in frames.lines(reports) if line.network == "stargan"}
    assert list(found) == list(report.rows())
    assert found["none", HELD].protected == found["none", EXACT].noise == [1.0, 0.0]
    shown = frames.table({"portraits": (reports, 2)})
    cells = {str(column.header): [*column.cells] for column in shown.columns}
    assert set(cells["photos measured"]) == {"2 of 4"}
    assert all(share.startswith("0.250") for share in cells["share disrupted"])  # what fits no bound counts as whole
    assert cells["noise control"][0].startswith("0.500")


def test_the_thorough_plan_asks_for_every_held_frame_everywhere() -> None:
    plan = portraits.THOROUGH
    for picture in (PROTECTED, NOISE):
        rows = [plan.rows(picture, channel, True) for channel in plan.sent_through]
        assert all(row[HELD] == len(held()) and row[EXACT] == 1 for row in rows)
    assert any(kind.startswith("found:") for kind in plan.rows(PROTECTED, "jpeg75", True))


def test_shares_of_what_was_not_measured_are_none(report: shield.Report) -> None:
    seen = sent(report, True)
    assert portraits.share(seen, PROTECTED) == 1
    assert portraits.share(seen, PROTECTED, "none", HELD, "dlib") == 1
    assert portraits.share(seen, NOISE, "blur") is None is frames.share(seen, NOISE, "blur", HELD, "stargan")
    assert portraits.summary([portraits.Run("a", seen, 1.0)], 0).row_count == len(seen.rows())


def test_lfw_test_photos_become_files(shared: Path, tmp_path: Path) -> None:
    one, other = frames.written(shared / "data" / "faces", 2, tmp_path)
    assert read(one).pixels.shape == read(other).pixels.shape == (128, 128, 3)


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
    assert (outcome.known, outcome.known_as_other, outcome.before, outcome.left) == (0, 0, 0, 3)
    assert outcome.moved < 0.02
    moved = swaps.swapped(pair, lambda targets, identities: targets.roll(8, 3), Readers(torch.device("cpu")))
    assert moved.moved == pytest.approx(8 / 128 / 0.2753, rel=0.5)  # that many sides of the frame, in eye distances
    blank = np.full((128, 128, 3), 90, np.uint8)
    assert swaps.swapped(replace(pair, source=blank), lambda targets, identities: targets, Mock()) is None


def test_what_swaps_of_clean_photos_show_is_counted_over_all_pairs() -> None:
    outcomes = [swaps.Outcome(known, 3, 0, 1, 0.1 * known, None) for known in (3, 2, 1)]
    table = swaps.clean_table(outcomes, missing=1)
    titles, values = ([*column.cells] for column in table.columns)
    shares = dict(zip(titles, values, strict=True))
    assert shares["person known by 2 of 3"].startswith("0.500")
    assert shares["the same, from another photo of the person"].startswith("0.750")
    assert shares["the target's person still known"].startswith("0.000")
    assert shares["68 landmarks moved, in eye distances"].startswith("0.200")
    assert "median 0.200" in shares["68 landmarks moved, in eye distances"]


def test_protected_swaps_are_counted_where_the_clean_one_works(report: shield.Report) -> None:
    def row(name: str, picture: str, works: bool, role: str = SOURCE, l2: float | None = None) -> Swap:
        return Swap(0, name, role, picture, "none", {}, (), works, l2)

    clean = row("a", ORIGINAL, True), row("b", ORIGINAL, True), row("c", ORIGINAL, False)
    own = row("a", PROTECTED, True), row("b", PROTECTED, False), row("c", PROTECTED, True)
    put = row("a", ORIGINAL, True, TARGET, 0.0), row("a", PROTECTED, False, TARGET, 0.25)
    reports = [replace(report, swaps=(*clean, *own, *put)), replace(report, swaps=(clean[2], own[2]))]
    table = swaps.protected_table({"portraits": reports})
    rows = list(zip(*([*column.cells] for column in table.columns), strict=True))
    assert [cells[1:5] for cells in rows] == [
        ("lends its face", ORIGINAL, "none", "2 of 2"),
        ("lends its face", PROTECTED, "none", "1 of 2"),
        ("gets another", ORIGINAL, "none", "1 of 2"),
        ("gets another", PROTECTED, "none", "1 of 2"),
    ]
    assert rows[0][5].startswith("0.333")  # of 2 of 3 and none of 1
    assert rows[1][5].startswith("0.500")
    assert rows[3][5].startswith("0.000") and rows[3][6] == "0.2500"


def test_without_a_swap_network_the_benchmark_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swaps, "shipped_swap", lambda device: None)
    result = CliRunner().invoke(app, ["swaps", str(tmp_path)])
    assert result.exit_code == 2
    assert "no swap network" in result.output


def test_the_sheet_of_swaps_shows_every_portrait_on_every_donor(checkout: Path) -> None:
    one = swaps.swap_sheet([checkout / "examples" / "elder.jpg"], lambda targets, identities: targets)
    assert one.width > 5 * 300 and one.height > 300
