"""The benchmarks' arithmetic, on outcomes made by hand; every experiment is a command."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import shield
from shield.bench import ablation, app, framing, portraits, start
from shield.bench.statistics import interval
from shield.faces import Face, crop_matrix, whole_picture
from shield.surrogates import load_surrogates
from shield.verify import NOISE

NOTHING = np.zeros((200, 200, 3), np.uint8)
MANIPULATORS = ("stargan", "cyclegan", "ganimation")
pytestmark = pytest.mark.usefixtures("brief")


@pytest.fixture(scope="module")
def report(small, brief) -> shield.Report:
    return shield.protect(small, shield.Recipe(steps=1, surrogates=("cyclegan",))).report


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


def test_shares_count_seen_and_unseen_manipulators_apart(report: shield.Report) -> None:
    """Of stargan and the recogniser, which verification tries here, the search saw neither."""
    rows = report.select(surrogate="stargan")
    measured = ablation.Measured.of(report)
    assert measured.unseen == measured.manipulators["stargan"] == np.mean([row.disrupted for row in rows])
    assert list(measured.manipulators) == ["stargan"]  # the recogniser makes no pictures
    assert np.isnan([*measured.seen.values(), measured.noise]).all()
    assert measured.effect == pytest.approx(np.mean([row.l2 / row.threshold for row in rows]))
    noise = [row.l2 / row.threshold for row in report.select(NOISE, surrogate="stargan")]
    assert measured.noise_effect == pytest.approx(np.mean(noise))


def _outcome(photo: str, share: float | None) -> ablation.Outcome:
    measured = (
        share
        if share is None
        else ablation.Measured(
            0.04, 38.0, 0.9, {"none": share, "jpeg75": share / 2}, 0.0, {"stargan": share}, *[np.nan] * 3, 9.0
        )
    )
    return ablation.Outcome(ablation.PORTRAITS, photo, "x", shield.Recipe().settings(), measured)


def test_a_photo_that_fits_no_bound_counts_as_not_protected() -> None:
    shown = ablation.table([_outcome("a", 1.0), _outcome("b", None)])
    cells = {str(column.header): [*column.cells] for column in shown.columns}
    assert (cells["case"], cells["bound"], cells["photos"]) == (["x"], ["0.05"], ["2"])
    assert [cells[name][0][:5] for name in ("none", "jpeg75", "stargan, as saved")] == ["0.500", "0.250", "0.500"]
    assert cells["unseen"] == [""]
    assert ablation.table([_outcome("b", None)]).row_count == 1


def test_an_interrupted_ablation_goes_on_where_it_was(small: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    pictures = [ablation.Picture(ablation.PORTRAITS, "a.png", small)]
    recipes = {"x": shield.Recipe(steps=1)}
    written: list[ablation.Outcome] = []

    def keep(outcome: ablation.Outcome) -> None:
        written.append(outcome)
        file.write_text(outcome.to_json())

    first = list(ablation.outcomes(pictures, recipes, ["subtle"], ablation.recorded(file), keep))
    again = list(ablation.outcomes(pictures, recipes, ["subtle"], ablation.recorded(file), keep))
    assert len(written) == 1
    assert [outcome.to_json() for outcome in again] == [outcome.to_json() for outcome in first]
    others = {"x": shield.Recipe(steps=2)}  # other settings: another outcome
    list(ablation.outcomes(pictures, others, ["subtle"], ablation.recorded(file), keep))
    assert len(written) == 2


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "diary.txt"
    file.write_text("Dear diary\n")
    result = CliRunner().invoke(app, ["ablation", str(tmp_path), "--results", str(file)])
    assert result.exit_code == 2
    assert "no results" in result.output
    assert file.read_text() == "Dear diary\n"


def test_every_beginning_of_the_pictures_holds_all_sets() -> None:
    few, many = ([ablation.Picture(name, str(n), np.zeros(0)) for n in range(c)] for name, c in (("a", 2), ("b", 4)))
    assert [picture.set for picture in ablation.in_turn(few, many)] == ["b", "a", "b", "b", "a", "b"]


def test_test_faces_come_from_the_test_split(shared: Path) -> None:
    folder = shared / "data" / "faces"
    faces = list(ablation.test_faces(folder, 3))
    assert [face.pixels.shape for face in faces] == [(128, 128, 3)] * 3
    assert all(face.pixels.dtype == np.uint8 for face in faces)
    fewer = [face.name for face in ablation.test_faces(folder, 2)]
    assert fewer == [face.name for face in faces[:2]]


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
    assert all(name in result.output for name in ("ablation", "framing", "portraits", "samples", "speed", "start"))


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


def test_framings_move_the_face_by_what_they_say() -> None:
    face = whole_picture(200, 200)
    centre, side, turn = _frame(face)
    for (name, far), ways in framing.framings().items():
        for way, sign in zip(ways, (1, -1), strict=True):
            moved_centre, moved_side, moved_turn = _frame(way.frame(face, NOTHING, NOTHING))
            shift, scale, angle = (sign * far * (name.startswith(word)) for word in ("shifted", "scaled", "turned"))
            np.testing.assert_allclose(moved_centre - centre, np.array((1, -1)) * shift / 100 * side, atol=0.02 * side)
            assert moved_side / side == pytest.approx(1 + scale / 100)
            assert moved_turn - turn == pytest.approx(angle)


def _frame(face: Face) -> tuple[np.ndarray, float, float]:
    """Centre, side and turn in degrees of the square that a manipulator takes."""
    matrix = crop_matrix(face)
    corner = matrix[:, 0]
    return matrix @ (0.5, 0.5, 1), float(np.hypot(*corner)), float(np.degrees(np.arctan2(corner[1], corner[0])))


def test_the_table_of_framings_has_a_row_for_each(small: np.ndarray, brief: None) -> None:
    recipe = shield.Recipe(steps=1, format="png")
    found = framing.measured(shield.protect(small, recipe), recipe)
    assert list(found) == list(framing.framings())
    assert {len(rows) for rows in found.values()} == {2 * 6}  # both sides, six edits
    assert framing.table([found]).row_count == len(found)
