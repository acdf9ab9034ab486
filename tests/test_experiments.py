"""Experiments: what each promises, the runner that keeps their cases, and the arithmetic of their tables."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

import shield
from shield.bench import app
from shield.bench.experiments import (
    Case,
    Row,
    Setting,
    cmua,
    experiments,
    families,
    leave_one_out,
    proactive,
    ruiz,
    strengths,
    wang,
)
from shield.bench.experiments.experiment import per_photo
from shield.bench.run import Files, load, run
from shield.detection.network import DetectorNet
from shield.surrogates import judges, load_surrogate
from shield.verify import EXACT, HELD

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def report(small) -> shield.Report:
    plan = shield.Plan(
        surrogates=("stargan", "sface"),
        channels=("none", "jpeg75"),
        frames=(HELD, EXACT),
        exact=("none", "jpeg75"),
        held=2,
        few=1,
        unseen=True,
    )
    return shield.protect(small, shield.Recipe(steps=1, surrogates=("stargan",)), plan=plan).report


def sharing(report: shield.Report, shares: dict[tuple[str, str], float], monkeypatch, module) -> None:
    """Let a module's protections come out with these shares of frames broken, by kind of frames and channel."""
    rows = tuple(replace(row, share=shares.get((row.frame, row.channel), 0.0)) for row in report.effects)
    monkeypatch.setattr(module, "protect", lambda *_, **__: SimpleNamespace(report=replace(report, effects=rows)))


# What each promises


@pytest.mark.parametrize("name", experiments)
def test_an_experiment_says_what_it_is_and_what_it_needs(name: str) -> None:
    experiment = experiments[name]
    assert experiment.title and not experiment.title.endswith(".")
    assert type(experiment).__module__ == f"shield.bench.experiments.{name}", "one file and one name each"
    with pytest.raises(shield.InputError, match=r"needs|name"):
        next(iter(experiment.cases(Setting())))
    assert experiment.paper or not experiment.published


# The runner


@dataclass
class Counting:
    """Counts how often each of its cases is measured; those of ``broken`` fail."""

    title: str = "Counts"
    paper: str = "Nobody 2020"
    published: Sequence[Row] = ({"n": 7},)
    names: Sequence[str] = ("a", "b")
    broken: set[str] = field(default_factory=set)
    measured: list[str] = field(default_factory=list)

    def cases(self, setting: Setting) -> Iterator[Case]:
        for name in self.names:
            yield Case(name, lambda name=name: self.measure(name), setting.photos)

    def measure(self, name: str) -> list[Row]:
        self.measured.append(name)
        if name in self.broken:
            raise shield.SearchError("It broke down.")
        return [{"photo": name, "n": 1.0} | ({"more": "x, y"} if name == "b" else {})]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        return [{"n": len(rows)}]

    def plot(self, rows: Sequence[Row]) -> None:
        return None


def test_what_is_kept_is_not_measured_again(tmp_path: Path) -> None:
    counting, setting = Counting(), Setting()
    first = run(counting, "counts", setting, tmp_path, resume=False)
    assert counting.measured == ["a", "b"]
    with pytest.raises(shield.InputError, match="--resume"):
        run(counting, "counts", setting, tmp_path, resume=False)
    counting.names = ("a", "b", "c")
    again = run(counting, "counts", setting, tmp_path, resume=True)
    assert counting.measured == ["a", "b", "c"]
    assert again[:2] == first


def test_a_change_of_settings_photo_or_weights_is_measured_anew(
    tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, setting = Counting(names=("a",)), Setting([photo])

    def times(setting: Setting) -> int:
        run(counting, "counts", setting, tmp_path, resume=True)
        return len(counting.measured)

    assert [times(setting), times(setting)] == [1, 1]
    assert times(replace(setting, recipe=replace(setting.recipe, steps=7))) == 2
    assert times(setting) == 3  # the line that was written last counts
    photo.write_bytes(photo.read_bytes() + b"\0")
    assert [times(setting), times(setting)] == [4, 4]
    monkeypatch.setattr("shield.bench.run.weights_in_use", dict)
    assert times(setting) == 5
    (tmp_path / "labels.csv").write_text("other faces", encoding="utf-8")
    assert times(replace(setting, faces=tmp_path)) == 6
    monkeypatch.setattr("shield.bench.run.versions", lambda: {"shield": "another"})
    assert times(replace(setting, faces=tmp_path)) == 7


def test_a_case_that_fails_ends_no_other_and_is_tried_again(tmp_path: Path) -> None:
    counting = Counting(broken={"a"})
    done = run(counting, "counts", Setting(), tmp_path, resume=False)
    assert [case.error for case in done] == ["It broke down.", ""]
    about = json.loads(Files.of(tmp_path, "counts").about.read_text(encoding="utf-8"))
    assert about["failed"] == {"a": "It broke down."}
    counting.broken.clear()
    assert not any(case.error for case in run(counting, "counts", Setting(), tmp_path, resume=True))
    assert counting.measured == ["a", "b", "a"]


def test_a_torn_line_costs_its_case_alone(tmp_path: Path) -> None:
    counting, files = Counting(), Files.of(tmp_path, "counts")
    run(counting, "counts", Setting(), tmp_path, resume=False)
    files.kept.write_text(files.kept.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    run(counting, "counts", Setting(), tmp_path, resume=True)
    assert counting.measured == ["a", "b", "b"]
    assert set(load(files.kept)) == {"a", "b"}


def test_rows_circumstances_and_the_papers_figures_are_written(tmp_path: Path) -> None:
    run(Counting(), "counts", Setting(), tmp_path, resume=False)
    files = Files.of(tmp_path, "counts")
    with files.rows.open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"photo": "a", "n": "1.0", "more": ""},
            {"photo": "b", "n": "1.0", "more": "x, y"},
        ]
    about = json.loads(files.about.read_text(encoding="utf-8"))
    assert about["seed"] == 0 and about["versions"]["torch"] and about["machine"]["threads"] and about["weights"]
    words = files.table.read_text(encoding="utf-8")
    ours, published = words.split("## As published: Nobody 2020")
    assert "| 2 |" in ours and "| 7 |" in published


def test_no_picture_of_other_rows_is_left(tmp_path: Path) -> None:
    files = Files.of(tmp_path, "counts")
    files.picture.write_bytes(b"of an earlier run")
    run(Counting(), "counts", Setting(), tmp_path, resume=False)
    assert not files.picture.exists()


def test_the_command_lists_experiments_and_refuses_in_a_sentence(tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["run"])
    assert listed.exit_code == 0 and all(name in listed.output for name in experiments)
    for call, words in ((["magic"], "no experiment"), (["ruiz", "--out", str(tmp_path)], "needs photos")):
        refused = CliRunner().invoke(app, ["run", *call])
        assert refused.exit_code == 2 and words in " ".join(refused.output.replace("│", " ").split())


# Ruiz et al.


@pytest.fixture
def one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruiz, "STEPS", 1)


def test_attacks_keep_within_the_bound_and_break_more_than_the_original(one_step: None, portrait) -> None:
    whole = load_surrogate("stargan", CPU)
    crop = torch.nn.functional.interpolate(
        torch.from_numpy(portrait[256:640, 320:704].copy()).permute(2, 0, 1)[None] / 255, (whole.size, whole.size)
    )
    changed = ruiz.attacked(crop, "fgsm", [whole], [ruiz.unblurred], seed=0)
    assert 0 < float((changed - crop).abs().max()) <= ruiz.LEVELS / 255 + 1e-6
    assert all(row["l2"] == 0 and not row["disrupted"] for row in ruiz.measured(whole, crop, crop))
    assert sum(float(row["l2"]) for row in ruiz.measured(whole, crop, changed)) > 0


def test_a_change_for_one_class_is_judged_by_the_others(one_step: None, photo: Path) -> None:
    rows = experiments["ruiz"].measure(photo, "stargan", Setting())  # type: ignore[attr-defined]
    edits = load_surrogate("stargan", CPU).edits
    asked = {way: [row["edit"] for row in rows if row["way"] == way] for way in ruiz.CLASSES}
    assert asked == {"one": [*edits[1:]], "in turn": [*edits], "all at once": [*edits]}
    table = experiments["ruiz"].table(rows)
    assert len(table) == len(ruiz.PLAIN) + len(ruiz.CLASSES) + len(ruiz.KNOWING)
    assert all(0 <= float(row["disrupted"]) <= 1 for row in table)
    for published in experiments["ruiz"].published:
        assert {*published} <= {*table[0]}


# CMUA and the proactive benchmark


def test_success_is_what_l2_mask_says(report: shield.Report, monkeypatch: pytest.MonkeyPatch, photo: Path) -> None:
    rows = tuple(replace(row, l2_mask=0.06 if row.frame == EXACT else 0.04, l2=0.2) for row in report.effects)
    masked = [replace(row, l2_mask=None) if row.surrogate == "sface" else row for row in rows]
    found = SimpleNamespace(report=replace(report, effects=tuple(masked)))
    used = list[shield.Recipe]()
    monkeypatch.setattr(cmua, "protect", lambda photo, recipe, plan: (used.append(recipe), found)[1])
    cases = list(experiments["cmua"].cases(Setting([photo])))
    table = experiments["cmua"].table([row for case in cases for row in case.measure()])
    assert [recipe.attack for recipe in used] == ["universal", shield.Recipe().attack]
    assert {row["network"] for row in table} == {"stargan"}
    assert all(row["success"] == (row["frames"] == EXACT) for row in table)
    assert {row["way"] for row in table} == {*cmua.WAYS, *(f"noise beside {way}" for way in cmua.WAYS)}


def test_what_is_retained_is_of_the_effect_in_the_searchs_own_frame(
    report: shield.Report, monkeypatch: pytest.MonkeyPatch, photo: Path
) -> None:
    shares = {(EXACT, "none"): 0.8, (EXACT, "jpeg75"): 0.4, (HELD, "none"): 0.2}
    sharing(report, shares, monkeypatch, proactive)
    rows = [row for case in experiments["proactive"].cases(Setting([photo])) for row in case.measure()]
    table = experiments["proactive"].table(rows)
    ours = {
        (row["frames"], row["channel"]): row
        for row in table
        if (row["method"], row["network"]) == ("shield", "stargan")
    }
    for place, share in shares.items():
        assert ours[place]["broken"] == pytest.approx(share)
        assert ours[place]["retained"] == pytest.approx(share / 0.8)
    searched = [set(recipe.surrogates) for recipe in proactive.methods(shield.Recipe()).values()]
    assert searched[0] == searched[1] == {"stargan"} < searched[2]


def test_means_go_over_photos_not_over_rows() -> None:
    rows = [{"photo": "a", "x": 1.0}, {"photo": "a", "x": 0.0}, {"photo": "b", "x": 1}, {"photo": "c", "x": None}]
    assert per_photo(rows, "x") == [0.5, 1.0]


# Families of recognisers


def test_every_recogniser_of_a_search_belongs_to_one_family() -> None:
    members = [name for names in families.FAMILIES.values() for name in names]
    asked = {name for name in shield.Recipe().searched if not load_surrogate(name, CPU).makes_pictures}
    assert len(members) == len(set(members)) and set(members) == asked


def test_a_family_that_was_left_out_is_not_searched_and_judged_beside_the_judges(
    report: shield.Report, monkeypatch: pytest.MonkeyPatch, photo: Path
) -> None:
    """SFace's row stands for one of each network that was asked: known in a quarter of its held frames."""
    (row,) = report.select("protected", "none", "sface", HELD)
    searched = list[set[str]]()

    def protect(photo: Path, recipe: shield.Recipe, plan: shield.Plan) -> SimpleNamespace:
        searched.append(set(recipe.surrogates))
        rows = [
            replace(row, surrogate=name, picture=picture, share=0.75 if picture == "protected" else 0.0, distance=0.3)
            for name in plan.surrogates or ()
            for picture in ("protected", "noise")
        ]
        found = [replace(row, frame=frame, share=1.0) for row in rows for frame in ("found:yunet", EXACT)]
        return SimpleNamespace(report=replace(report, effects=(*rows, *found)))

    monkeypatch.setattr(families, "protect", protect)
    rows = [row for case in experiments["families"].cases(Setting([photo])) for row in case.measure()]
    for asked, (family, left_out) in zip(searched, families.FAMILIES.items(), strict=True):
        assert asked == set(shield.Recipe().surrogates) - set(left_out), family
    table = experiments["families"].table(rows)
    judged = {family: {row["network"] for row in table if row["left out"] == family} for family in families.FAMILIES}
    assert judged == {family: {*names, *judges} for family, names in families.FAMILIES.items()}
    assert {(row["frames"], row["known"], row["known, noise"]) for row in table} == {(HELD, 0.25, 1.0)}
    assert table[0]["distance"] == pytest.approx(0.3 / row.threshold)


# Five strengths


def test_there_are_five_strengths_each_more_visible_than_the_one_before() -> None:
    recipes = [replace(shield.Recipe(), **settings) for _, settings in strengths.strengths()]
    assert [recipe.preset for recipe in recipes] == ["subtle", None, "balanced", None, "strong"]
    assert [recipe.face_lpips for recipe in recipes] == pytest.approx([0.02, 0.035, 0.05, 0.075, 0.10])
    assert len({recipe.flip for recipe in recipes}) == 5


def test_what_is_drawn_is_what_was_measured(
    report: shield.Report, monkeypatch: pytest.MonkeyPatch, photo: Path
) -> None:
    pytest.importorskip("matplotlib")
    sharing(report, {(EXACT, "none"): 0.75, (HELD, "none"): 0.25}, monkeypatch, strengths)
    experiment = experiments["strengths"]
    rows = [row for case in experiment.cases(Setting([photo])) for row in case.measure()]
    figure = experiment.plot(rows)
    assert figure is not None
    known, known_of_one, known_exact, broken, broken_of_one, broken_exact = figure.axes[0].lines
    assert {*known.get_ydata(), *known_of_one.get_ydata()} == {0.75}  # who is not broken is known
    assert {*known_exact.get_ydata()} == {0.25}
    assert {*broken.get_ydata(), *broken_of_one.get_ydata()} == {0.25} and {*broken_exact.get_ydata()} == {0.75}
    assert known.get_xdata()[0] == pytest.approx(report.worst_face.visibility.face_lpips)
    assert figure.axes[1].lines[0].get_xdata()[0] == pytest.approx(report.worst_face.visibility.flip)


def test_a_photo_that_fits_no_bound_is_as_it_was(monkeypatch: pytest.MonkeyPatch, photo: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise shield.BoundError("Too visible.")

    monkeypatch.setattr(strengths, "protect", refuse)
    rows = [row for case in experiments["strengths"].cases(Setting([photo])) for row in case.measure()]
    assert {row["broken"] for row in rows} == {0.0} == {row["face_lpips"] for row in rows}
    assert {row["network"] for row in rows} > {"stargan", "sface"}
    assert {row["photos"] for row in experiments["strengths"].table(rows)} == {1}


# Wang et al.


def test_the_detectors_precision_is_measured_by_generator(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wang, "FILES", ("none",))
    setting = Setting(faces=shared / "data" / "faces", count=6)
    cases = {case.name: case for case in experiments["wang"].cases(setting)}
    assert {"stargan", "cyclegan", "stylegan"} <= {*cases}
    (row,) = experiments["wang"].table(cases["stargan"].measure())
    assert 0 <= float(row["precision"]) <= 1 and row["learned"] and row["faces"] == 12
    assert not cases["stylegan"].measure()[0]["learned"]
    assert {*experiments["wang"].published[0]} <= {*row}


# What goes wrong


def test_a_photo_without_a_face_costs_its_own_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (200, 200), "gray").save(tmp_path / "plain.png")
    monkeypatch.setattr(ruiz, "surrogates", ("stargan",))
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["run", "ruiz", str(tmp_path), "--out", str(out)])
    assert result.exit_code == 1 and "no face" in result.output
    assert {case.error for case in load(out / "ruiz.jsonl").values()} and (out / "ruiz.md").exists()


def test_a_device_without_memory_ends_no_other_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    monkeypatch.setattr(counting, "measure", lambda name: [{"n": 1.0}] if name == "b" else _full())
    first, second = run(counting, "counts", Setting(), tmp_path, resume=False)
    assert first.error == "out of memory" and second.rows == [{"n": 1.0}]


def _full() -> list[Row]:
    raise RuntimeError("out of memory")


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    for words in (["ruiz", str(tmp_path / "none")], ["ruiz", str(tmp_path), "--every", "0"]):
        result = CliRunner().invoke(app, ["run", *words, "--out", str(tmp_path / "out")])
        assert result.exit_code == 2 and isinstance(result.exception, SystemExit)


# Leave one out


def test_a_detector_is_asked_of_every_maker_and_first_of_the_one_left_out(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leave_one_out, "FILES", ("none",))
    monkeypatch.setattr(leave_one_out, "makers", Mock(registered=lambda: ("stargan", "biggan")))
    folder = tmp_path / "detector-without-biggan"
    folder.mkdir()
    save_file(DetectorNet().state_dict(), folder / "weights.safetensors")
    experiment, setting = experiments["leave_one_out"], Setting(faces=shared / "data" / "faces", count=4)
    with pytest.raises(shield.InputError, match="--trainings"):
        next(iter(experiment.cases(setting)))
    cases = {case.name: case for case in experiment.cases(replace(setting, trainings=tmp_path))}
    assert list(cases) == ["stargan", "biggan"] and not cases["stargan"].files
    with pytest.raises(shield.InputError, match="shield train detector-without-stargan --data FACES --out"):
        cases["stargan"].measure()
    rows = cases["biggan"].measure()
    assert [(row["maker"], row["without"]) for row in rows] == [("stargan", "biggan"), ("biggan", "biggan")]
    lines = {line["maker"]: line for line in experiment.table(rows)}
    assert lines["biggan"]["taught"] is None and lines["stargan"]["left out"] is None
    assert lines["mean"]["left out"] == lines["biggan"]["left out"] == rows[1]["precision"]
    (folder / "weights.safetensors").write_bytes(b"no")
    with pytest.raises(shield.InputError, match="does not hold weights of this network"):
        cases["biggan"].measure()
