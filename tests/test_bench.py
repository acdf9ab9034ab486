"""The benchmarks' arithmetic, on outcomes made by hand; every experiment is a command."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import shield
from shield.bench import ablation, app, portraits, start
from shield.bench.statistics import interval
from shield.surrogates import load_surrogates
from shield.verify import PROTECTED

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
    assert ablation.rate(report, PROTECTED, "none", seen=False) == np.mean([row.disrupted for row in rows])
    assert np.isnan(ablation.rate(report, PROTECTED, "none", seen=True))
    assert ablation.effect(report, PROTECTED) == pytest.approx(np.mean([row.l2 / row.threshold for row in rows]))
    assert ablation.rate(None, PROTECTED, "none", seen=True) == 0


def test_a_photo_that_fits_no_bound_counts_as_not_protected(report: shield.Report) -> None:
    found = [ablation.Outcome("portraits", "x", 0.05, one) for one in (report, None)]
    shown = ablation.table(found)
    (case,) = [column for column in shown.columns if column.header == "case"]
    assert list(case.cells) == ["x"]
    assert ablation.table(found).row_count == 1


def test_test_faces_come_from_the_test_split(shared: Path) -> None:
    faces = list(ablation.test_faces(shared / "data" / "faces", 3))
    assert [face.shape for face in faces] == [(128, 128, 3)] * 3
    assert all(face.dtype == np.uint8 for face in faces)


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
    assert all(name in result.output for name in ("ablation", "portraits", "samples", "speed", "start"))


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
