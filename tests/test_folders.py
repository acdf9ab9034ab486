"""Folders of photos: a second run does what is missing, no process that dies takes more than its photo with it."""

import csv
import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import stand_in
import torch
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

import shield
from shield import batch, files, folders, journal, workers
from shield.attacks import Progress
from shield.cli import app
from shield.journal import Journal
from shield.summary import Row
from shield.surrogates import judges
from shield.verify import HELD, plan_of
from shield.workers import Task

run = CliRunner().invoke
RECIPE = shield.Recipe(seed=1)


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """What counts the searches."""
    made = Mock(side_effect=stand_in.stand_in)
    monkeypatch.setattr(batch, "protect", made)
    return made


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photos in a folder, one of them without a face."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "album"
    folder.mkdir()
    for name, colour in {"a.png": (9, 9, 9), "b.png": (8, 9, 9), "c.png": (255, 0, 0)}.items():
        Image.new("RGB", (80, 80), colour).save(folder / name)
    return folder


@pytest.fixture
def anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference shows somebody, whatever it shows."""
    monkeypatch.setattr(folders, "find_faces", Mock())


def listing(folder: Path) -> dict[str, bytes]:
    found = folder.rglob("*")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.is_file()}


def protected(*photos: Path, **settings: object) -> list[shield.Outcome[shield.Saved]]:
    return list(shield.protect_files(photos, settings.pop("recipe", RECIPE), **settings))  # type: ignore[arg-type]


def names(outcomes: list[shield.Outcome[shield.Saved]]) -> dict[str, str]:
    """Of every photo whether it was done now, done before, or failed."""
    words = {True: "before", False: "now", None: "failed"}
    return {Path(one.photo).name: words[one.result.earlier if one.result else None] for one in outcomes}


# Resuming


def test_a_second_run_does_only_what_failed(album: Path, search: Mock) -> None:
    first = protected(album)
    before = listing(album)
    assert names(first) == {"a.png": "now", "b.png": "now", "c.png": "failed"}
    lines = [json.loads(line) for line in before[journal.NAME].splitlines()]
    assert [line["photo"] for line in lines] == ["a.png", "b.png", "c.png"]
    assert "no face" in lines[2]["error"] and lines[0]["saved"]["verdict"] == "protected"
    again = protected(album, resume=True)
    assert names(again) == {"a.png": "before", "b.png": "before", "c.png": "failed"}
    assert search.call_count == 4
    assert again[0].result == shield.Saved(**{**vars(first[0].result), "earlier": True})  # type: ignore[arg-type]
    assert {**listing(album), journal.NAME: b""} == {**before, journal.NAME: b""}
    assert all("is there already" in str(one.error) or "no face" in str(one.error) for one in protected(album))
    # That these were refused, in the journal too, undoes nothing of what is there.
    assert names(protected(album, resume=True)) == {"a.png": "before", "b.png": "before", "c.png": "failed"}


def test_a_summary_replaces_a_summary_and_nothing_else(tmp_path: Path) -> None:
    summary = shield.Summary((Row("a.png", "protected", 0.04, 9.0, True),))
    for name in ("all.csv", "all.json"):
        summary.save(tmp_path / name)
        summary.save(tmp_path / name, again=True)
        (tmp_path / name).write_text("[]\n" if name == "all.csv" else '{"guests": 3}')
        with pytest.raises(shield.PhotoError, match="already"):
            summary.save(tmp_path / name, again=True)
        assert (tmp_path / name).read_text() in ("[]\n", '{"guests": 3}')


def _photo(album: Path) -> None:
    Image.new("RGB", (80, 80), (7, 9, 9)).save(album / "a.png")


def _gone(album: Path) -> None:
    (album / "a.shield.png").unlink()


def _altered(album: Path) -> None:
    (album / "a.shield.sheet.png").write_bytes(b"scribbled on")


def _torn(album: Path) -> None:
    path = album / journal.NAME
    first, second, _ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(second + first[:-20])


def _not_begun(album: Path) -> None:
    _torn(album)
    for path in album.glob("a.shield.*"):
        if path.suffix != ".json":
            path.unlink()


@pytest.mark.parametrize("change", [_photo, _gone, _altered, _torn, _not_begun])
@pytest.mark.parametrize("moved", [False, True])
def test_what_is_missing_or_changed_is_done_again(change: object, moved: bool, album: Path, search: Mock) -> None:
    (album / "c.png").unlink()
    Image.new("RGB", (80, 80), (8, 8, 8)).save(album / "d.png")
    protected(album)
    change(album)  # type: ignore[operator]
    if moved:
        album = album.rename(album.with_name("elsewhere"))
    search.reset_mock()
    if change in (_torn, _not_begun):  # the line on d is lost with the end of the journal
        (album / "d.png").unlink()
    found = names(protected(album, resume=True))
    assert (found["a.png"], found["b.png"], search.call_count) == ("now", "before", 1)
    assert set(names(protected(album, resume=True)).values()) == {"before"}
    assert search.call_count == 1
    report = json.loads((album / "a.shield.json").read_text())
    assert report["original"]["sha256"] == shield.open_photo(album / "a.png").sha256


@pytest.mark.parametrize(
    "settings",
    [
        {"recipe": shield.Recipe(seed=2)},
        {"recipe": RECIPE.with_preset("subtle")},
        {"plan": plan_of("quick", RECIPE)},
        {"reference": np.zeros((80, 80, 3), np.uint8)},
    ],
)
@pytest.mark.usefixtures("anybody")
def test_other_settings_are_done_anew(settings: dict[str, object], album: Path, search: Mock) -> None:
    protected(album)
    assert names(protected(album, resume=True, **settings)) == {"a.png": "now", "b.png": "now", "c.png": "failed"}
    assert names(protected(album, resume=True, **settings))["a.png"] == "before"


def test_a_reference_that_shows_nobody_is_no_photos_fault(album: Path, search: Mock) -> None:
    with pytest.raises(shield.FaceError):
        protected(album, reference=np.zeros((80, 80, 3), np.uint8))
    assert search.call_count == 0 and not list(album.glob("*.jsonl"))


def test_other_weights_are_done_anew(album: Path, search: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    protected(album)
    others = {name: Mock(sha256="other") for name in shield.manifest()}
    monkeypatch.setattr(folders, "manifest", lambda: others)
    assert names(protected(album, resume=True))["a.png"] == "now"


def test_resuming_overwrites_nobody_elses_files(album: Path, search: Mock) -> None:
    (album / "a.shield.png").write_bytes(b"somebody's")
    shield.protect_file(album / "b.png", recipe=shield.Recipe(seed=7))
    before = listing(album)
    found = protected(album, resume=True)
    assert ["is there already" in str(one.error) for one in found] == [True, True, False]
    assert {**before, journal.NAME: b""} == {**listing(album), journal.NAME: b""}
    other = shutil.copytree(album, album.parent / "other", ignore=lambda *_: ["c.png"])
    out = album.parent / "out"
    out.mkdir()
    protected(album / "a.png", output=out)
    Image.new("RGB", (80, 80), (1, 1, 1)).save(other / "a.png")
    before = listing(out)
    assert "is there already" in str(protected(other / "a.png", output=out, resume=True)[0].error)
    protected(other / "a.png", output=out, force=True)  # from now on they are the other's
    assert "is there already" in str(protected(album / "a.png", output=out, resume=True)[0].error)
    assert names(protected(other / "a.png", output=out, resume=True)) == {"a.png": "before"}


def test_a_journal_that_cannot_be_written_costs_no_result(
    album: Path, search: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", Mock(side_effect=shield.PhotoError("The journal cannot be written; make room.")))
        found = protected(album)
    assert ["The journal" in str(one.error) for one in found] == [True, True, False]
    assert (album / "a.shield.png").is_file()
    assert names(protected(album, resume=True))["a.png"] == "now"
    assert names(protected(album, resume=True))["a.png"] == "before"


@pytest.mark.parametrize(
    "line", [b"", b"\n\n", b"\xff\xfe", b"[]\n", b"3\n", b'{"photo": 3}\n', b'{"photo": "a.png", ']
)
@pytest.mark.parametrize("saved", ["", '"saved": {}', '"saved": []', '"saved": {"files": {"x": "y"}}'])
def test_what_is_no_line_of_a_journal_is_not_there(line: bytes, saved: str, album: Path, search: Mock) -> None:
    if saved:
        line += b'{"photo": "a.png", "settings": "x", ' + saved.encode() + b"}\n"
    (album / journal.NAME).write_bytes(line)
    assert names(protected(album / "a.png", resume=True)) == {"a.png": "now"}
    assert names(protected(album / "a.png", resume=True)) == {"a.png": "before"}


def test_a_journal_that_cannot_be_read_is_a_sentence(album: Path, search: Mock) -> None:
    (album / journal.NAME).mkdir()
    assert {str(one.error).split(" (")[0] for one in protected(album)} == {
        f"The journal {album / journal.NAME} cannot be read"
    }


# Folders in folders


@pytest.fixture
def tree(album: Path) -> Path:
    """The album with folders in it: photos of the same name, hidden ones, results, and a way round in a circle."""
    for number, folder in enumerate(("2020", "2020/june", ".hidden", "empty")):
        (album / folder).mkdir()
        Image.new("RGB", (80, 80), (number, 9, 9)).save(album / folder / "a.png")
    (album / "empty/a.png").rename(album / "empty/a.shield.png")
    (album / "2020/round").symlink_to(album, target_is_directory=True)
    return album


def test_folders_in_folders_are_mirrored(tree: Path, search: Mock) -> None:
    out = tree.parent / "out"
    out.mkdir()
    before = listing(tree)
    found = protected(tree, output=out, recursive=True)
    photos = {one.photo.relative_to(tree).as_posix() for one in found if isinstance(one.photo, Path)}
    assert photos == {"a.png", "b.png", "c.png", "2020/a.png", "2020/june/a.png"}
    assert listing(tree) == before
    results = {path.relative_to(out).as_posix() for path in out.rglob("a.shield.png")}
    assert results == {"a.shield.png", "2020/a.shield.png", "2020/june/a.shield.png"}
    assert len({path.read_bytes() for path in out.rglob("a.shield.png")}) == 3
    assert names(protected(tree, output=out, recursive=True, resume=True))["a.png"] == "before"
    assert search.call_count == 5 + 1
    assert len(protected(tree, output=out)) == 3  # without the folders in it


def test_beside_the_photos_every_folder_has_its_journal(tree: Path, search: Mock) -> None:
    protected(tree, recursive=True)
    assert {path.parent.name for path in tree.rglob(journal.NAME)} == {"album", "2020", "june"}
    assert names(protected(tree / "2020", resume=True)) == {"a.png": "before"}


def test_a_folder_that_cannot_be_read_ends_nothing(tree: Path, search: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = batch.photos_in

    def refuse(folder: Path) -> list[Path]:
        if folder.name == "june":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(batch, "photos_in", refuse)
    found = protected(tree, recursive=True)
    failed = {str(one.photo): str(one.error) for one in found if one.error}
    assert len(found) == 5 and "cannot be read (Permission denied)" in failed[str(tree / "2020/june")]


def test_a_tree_without_photos_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (only,) = protected(tmp_path, recursive=True)
    assert str(only.error) == f"{tmp_path} holds no photo, not counting hidden ones and results of shield."


# Processes


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that begin at once, and know what is patched here: nothing in them computes."""
    monkeypatch.setattr(workers, "get_context", lambda _: multiprocessing.get_context("fork"))


forking = pytest.mark.skipif(sys.platform == "win32", reason="Windows forks no process")
quietly = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@forking
@quietly
def test_a_process_that_dies_costs_its_photo_alone(
    album: Path, search: Mock, forked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, here = folders._Work.__call__, os.getpid()

    def deadly(self: folders._Work, task: Task[folders._Job], tell: Progress) -> shield.Outcome[shield.Saved]:
        name = Path(task.item.photo).name
        outcome = work(self, task, tell)  # the files are written, and nobody hears of it
        if os.getpid() != here and (name == "twice.png" or (name == "once.png" and not task.again)):
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome

    monkeypatch.setattr(folders._Work, "__call__", deadly)
    for name in ("once.png", "twice.png", "IMG.heic", "IMG.jpg", "IMG.png"):
        Image.new("RGB", (80, 80), (6, 9, 9)).save(album / name)
    seen = list[tuple[int, int, str | Path, float]]()
    found = protected(album, workers=2, watch=lambda *step: seen.append(step))
    failed = {Path(one.photo).name: str(one.error) for one in found if one.error}
    assert set(failed) == {"c.png", "twice.png"} and len(found) == 8
    assert "twice.png died, and so did a second" in failed["twice.png"]
    assert {step[2] for step in seen} == {one.photo for one in found} and {step[1] for step in seen} == {8}
    reports = {json.loads(path.read_text())["original"]["name"] for path in album.glob("IMG*.json")}
    assert reports == {"IMG.heic", "IMG.jpg", "IMG.png"}
    assert (album / "IMG.jpg.shield.jpg").is_file()  # the first is IMG.heic, however fast the others are
    lines = [json.loads(line) for line in (album / journal.NAME).read_text().splitlines()]
    assert {line["photo"] for line in lines if "error" in line} == set(failed) and len(lines) == 8
    assert names(protected(album, resume=True, workers=2)) == dict.fromkeys(names(found), "before") | {
        "c.png": "failed",
        "twice.png": "failed",
    }


@forking
@quietly
def test_ctrl_c_ends_all_processes_and_leaves_nothing_half_written(
    album: Path, search: Mock, forked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "c.png").unlink()
    before, place = {*album.iterdir()}, files._put_in_place

    def halfway(staged: object) -> None:
        Path(f"asleep.{os.getpid()}").touch()
        while True:
            time.sleep(0.02)

    monkeypatch.setattr(files, "_put_in_place", halfway)
    crew = list[Any]()
    started = workers._started
    monkeypatch.setattr(workers, "_started", lambda work: crew.append(started(work)) or crew[-1])

    def interrupted(connections: list[Any]) -> list[Any]:
        while len(asleep := list(Path().glob("asleep.*"))) < 2:
            if ready := wait(connections, 0.05):
                return ready
        assert len(list(album.glob(".shield-*"))) == 2
        for file in asleep:
            os.kill(int(file.suffix[1:]), signal.SIGINT)  # as a terminal does to all of them, which do not hear
        assert wait([one.process.sentinel for one in crew], 0.2) == []
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "wait", interrupted)
    result = run(app, ["protect", "album", "--workers", "2", "--threads", "1"])
    assert (result.exit_code, result.stderr.strip()) == (130, "shield: Cancelled.")
    assert [one.process.exitcode for one in crew] == [0, 0]
    assert {*album.iterdir()} == before
    monkeypatch.setattr(files, "_put_in_place", place)
    assert names(protected(album, resume=True)) == {"a.png": "now", "b.png": "now"}


@forking
@quietly
def test_what_is_wrong_for_every_photo_is_raised_from_a_process_too(album: Path, search: Mock, forked: None) -> None:
    search.side_effect = shield.WeightsError("The weights are missing; install shield again.")
    with pytest.raises(shield.WeightsError, match="missing; install"):
        protected(album, workers=2)
    assert not multiprocessing.active_children()


@forking
@quietly
def test_a_process_that_cannot_begin_is_a_sentence(album: Path, forked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_serve", lambda *_: None)
    with pytest.raises(shield.ProcessError, match="ended before it had begun"):
        protected(album, workers=2)


def test_the_bytes_are_the_same_with_every_number_of_workers(tmp_path: Path, small: NDArray[np.uint8]) -> None:
    recipe = shield.Recipe(steps=1, surrogates=("mobilefacenet",), carriers="pixels", transforms=shield.PLAIN)
    plan = replace(plan_of("quick", recipe), held=2)
    found = dict[int, set[bytes]]()
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(2):
            Image.fromarray(small[number:]).save(folder / f"{number}.png")
        outcomes = protected(folder, recipe=recipe, workers=count, plan=plan)
        assert set(names(outcomes).values()) == {"now"}
        found[count] = {path.read_bytes() for path in folder.glob("?.shield.png")}
        report = json.loads((folder / "0.shield.json").read_text())
        assert {row["surrogate"] for row in report["effects"]} == {"mobilefacenet", *judges}
        assert {(row["picture"], row["channel"], row["frame"]) for row in report["effects"]} == {
            ("protected", "none", HELD)
        }
        assert report["swaps"] == [] and report["machine"]["threads"] == "1"
        saved = outcomes[0].result
        assert saved is not None and "recognisers that shield never trained against" in saved.sentence
    assert found[1] == found[2] and len(found[1]) == 2


def test_a_process_is_spawned_with_this_ones_threads_and_deaf_to_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, before = list[object](), signal.getsignal(signal.SIGINT)

    class Spawned:
        def __init__(self, args: tuple[object, ...], **_: object) -> None:
            asked.append(args[2])

        def start(self) -> None:
            asked.append(signal.getsignal(signal.SIGINT))

    def context(kind: str) -> Mock:
        asked.append(kind)
        return Mock(Process=Spawned, Pipe=lambda: (Mock(), Mock()))

    monkeypatch.setattr(workers, "get_context", context)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    workers._started(Mock())
    assert asked == ["spawn", 3, signal.SIG_IGN] and signal.getsignal(signal.SIGINT) == before


def test_ctrl_c_in_this_process_keeps_what_is_done(album: Path, search: Mock) -> None:
    search.side_effect = [stand_in.stand_in(album / "a.png", RECIPE), KeyboardInterrupt]
    assert run(app, ["protect", "album", "--seed", "1"]).exit_code == 130
    search.side_effect = stand_in.stand_in
    result = run(app, ["protect", "album", "--seed", "1", "--resume", "--json"])
    assert [entry.get("earlier", False) for entry in json.loads(result.stdout)] == [True, False, False]
    assert search.call_count == 4


def test_a_photo_that_is_named_twice_is_done_once(album: Path, search: Mock) -> None:
    found = list(shield.protect_files(["album/a.png", album / "a.png", album / ".." / "album"], RECIPE))
    assert [one.error is None for one in found] == [False, False, True, True, False]
    assert "has the name of a photo that was written" in str(found[0].error)
    assert search.call_count == 3


@pytest.mark.parametrize("path", ["", "none.png", "nul\0/a.png", "nul\0", "n" * 300 + "/a.png", "n" * 300])
def test_what_is_no_photo_is_an_outcome_and_leaves_no_journal(path: str, album: Path, search: Mock) -> None:
    before = listing(album.parent)
    (only,) = shield.protect_files([path], RECIPE, resume=True)
    assert isinstance(only.error, shield.PhotoError) and listing(album.parent) == before


@pytest.mark.parametrize("words", [{"workers": 0}, {"output": "none"}])
def test_what_cannot_be_is_a_sentence(words: dict[str, object], album: Path, search: Mock) -> None:
    with pytest.raises(shield.InputError, match=r"choose at least 1|is not a folder"):
        protected(album, **words)
    assert not search.called


# On the command line


def test_the_command_line_resumes_and_sums_up(album: Path, search: Mock) -> None:
    first = run(app, ["protect", "album", "--summary", "all.csv"])
    assert first.exit_code == 2, first.output
    assert "3 photos: 1 failed, 2 protected." in first.stdout
    assert "Edits break" in first.stdout and "noise" not in first.stdout  # which nobody measured
    again = run(app, ["protect", "album", "--resume", "--summary", "all.json"])
    assert again.exit_code == 2 and search.call_count == 4
    assert "3 photos: 1 failed, 2 protected; 2 of them were done before." in again.stdout
    assert "a.png: done before: " in again.stdout and "wrote" not in again.stdout
    rows = list(csv.DictReader(Path("all.csv").read_text().splitlines()))
    assert [row["verdict"] for row in rows] == ["protected", "protected", "failed"]
    assert rows[0]["face_lpips"] == "0.01" and rows[0]["files"].split(";")[0] == str(Path("album/a.shield.png"))
    rows = json.loads(Path("all.json").read_text())
    assert [(row["photo"], row["earlier"]) for row in rows] == [
        (str(Path("album", name)), name != "c.png") for name in ("a.png", "b.png", "c.png")
    ]
    assert "no face" in rows[2]["error"]
    (album / "c.png").unlink()
    assert run(app, ["protect", "album", "--resume", "--quiet"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--summary", "all.txt"], "give it the ending .csv or .json"),
        (["--summary", "there.csv"], "is there already"),
        (["--summary", "none/all.csv"], "is not a folder"),
        (["--verify", "none"], "choose quick or full"),
    ],
)
def test_what_cannot_be_is_said_before_the_search(arguments: list[str], words: str, album: Path, search: Mock) -> None:
    Path("there.csv").write_text("somebody's")
    result = run(app, ["protect", "album", *arguments])
    assert result.exit_code == 2 and words in result.stderr and not search.called
    assert Path("there.csv").read_text() == "somebody's"


def test_one_photo_leaves_no_journal_unless_it_is_resumed(album: Path, search: Mock) -> None:
    assert run(app, ["protect", "album/a.png"]).exit_code == 0
    assert not (album / journal.NAME).exists()
    assert run(app, ["protect", "album/b.png", "--resume", "--verify", "quick"]).exit_code == 0
    assert search.call_args.args[4].frames == (HELD,)
    assert run(app, ["protect", "album/b.png", "--resume", "--verify", "quick"]).exit_code == 0
    assert search.call_count == 2


def test_too_many_threads_are_said(album: Path, search: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shield, "protect_files", lambda *_, **__: iter(()))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    result = run(app, ["protect", "album", "--workers", "3", "--threads", "1"])
    assert "3 workers begin 3 threads, for 2 cores" in result.stderr
    assert run(app, ["protect", "album", "--workers", "2", "--threads", "1"]).stderr.strip() == ""
