"""The files of a result: their names, what may not be overwritten, and that all are written or none."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from shield import files
from shield.errors import PhotoError, RecipeError


@pytest.mark.parametrize(
    ("source", "kind", "wanted", "expected"),
    [
        ("d/a.JPG", "jpeg", None, "d/a.shield.JPG"),
        ("d/a.jpeg", "jpeg", None, "d/a.shield.jpeg"),
        ("d/a.heic", "heif", None, "d/a.shield.heic"),
        ("d/a.b.jpg", "png", None, "d/a.b.shield.png"),
        ("d/a.gif", "png", None, "d/a.shield.png"),
        ("d/a.png", "jpeg", None, "d/a.shield.jpg"),
        ("d/a", "tiff", None, "d/a.shield.tif"),
        ("d/a.jpg", "jpeg", "e/x.JPEG", "e/x.JPEG"),
        ("d/a.jpg", "jpeg", "e/x", "e/x"),
        ("d/a.jpg", "jpeg", "e/x.out", "e/x.out"),
    ],
)
def test_output_path(source: str, kind: str, wanted: str | None, expected: str) -> None:
    assert files.output_path(Path(source), kind, Path(wanted) if wanted else None) == Path(expected)


def test_an_output_name_of_another_format_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"x\.png would hold jpeg"):
        files.output_path(Path("a.jpg"), "jpeg", Path("x.png"))


def written(target: Path, original: str, folder: Path) -> files.ResultFiles:
    """A result as shield leaves it, with nothing in it but its report's names."""
    names = files.result_files(folder / target)
    report = {"original": {"name": original}, "protected": {"name": names.photo.name}}
    for file in names.all:
        assert not file.exists(), f"{file} would be overwritten"
        file.write_text(json.dumps(report))
    return names


def test_every_protected_file_has_a_report_and_a_sheet_of_its_own(tmp_path: Path) -> None:
    results = [
        written(Path(name), original, tmp_path)
        for name, original in [
            ("keep.jpg", "a.jpg"),
            ("keep.heic", "a.heic"),
            ("keep.webp", "a.jpg"),
            ("me.shield.jpg", "me.jpg"),
            ("me.shield.png", "me.jpg"),
            ("me.png", "me.jpg"),
        ]
    ]
    every = [file for names in results for file in names.all]
    assert len(set(every)) == len(every) == len(list(tmp_path.iterdir()))
    assert results[0].report.name == "keep.shield.json" and results[3].sheet.name == "me.shield.sheet.png"
    for names in results:  # and each finds its own again
        assert files.result_files(names.photo) == names
        assert names.report in files.report_paths(names.photo)


def test_a_report_that_is_anothers_under_both_names_stays(tmp_path: Path) -> None:
    for report in files.report_paths(tmp_path / "keep.jpg"):
        report.write_text("somebody's notes")
    with pytest.raises(PhotoError, match=r"is not the report on keep\.jpg"):
        files.result_files(tmp_path / "keep.jpg")


def test_a_folder_is_written_into(tmp_path: Path) -> None:
    assert files.output_path(Path("d/a.JPG"), "jpeg", tmp_path) == tmp_path / "a.shield.JPG"


def test_what_is_there_stays_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"before")
    with pytest.raises(PhotoError, match=r"is there already.*--force"):
        files.write_atomically(b"after", target, force=False)
    assert target.read_bytes() == b"before"
    files.write_atomically(b"after", target)
    assert target.read_bytes() == b"after"


# Space


def test_a_disk_that_would_fill_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(100, 95, 5_000_000))  # type: ignore[attr-defined]
    files.check_space(tmp_path, 5_000_000)
    with pytest.raises(PhotoError, match="has 5 MB left, and the result may take 6"):
        files.check_space(tmp_path, 6_000_000)


# Writing


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("before", [{}, {"b": b"old b"}, {"a": b"old a", "b": b"old b", "c": b"old c"}])
@pytest.mark.parametrize("failing", [1, 2, 3])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_all_files_are_written_or_none(
    error: BaseException,
    failing: int,
    before: dict[str, bytes],
    links: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls, put = count(1), os.replace

    def fail(source: Path, target: Path) -> None:
        if next(calls) == failing:
            raise error
        put(source, target)

    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    for name, data in before.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(os, "replace", fail)
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    new = {tmp_path / name: b"new" for name in "abc"}
    with pytest.raises(PhotoError if isinstance(error, OSError) else KeyboardInterrupt):
        files.write_together(new)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    files.write_together(new)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == new


def test_a_disk_that_fills_while_writing_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    (tmp_path / "a").write_bytes(b"old")
    before, signals = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(PhotoError, match="cannot be written"):
            files.write_together({tmp_path / "a": b"1", tmp_path / "b": bytes(2000), tmp_path / "c": b"1"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, signals)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


def test_writing_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    for data in (b"one", b"two"):
        files.write_atomically(data, target)
        assert target.read_bytes() == data
    assert os.listdir(tmp_path) == ["a.png"]


def test_written_files_have_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_atomically(b"data", tmp_path / "a.png")
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failed_write_leaves_the_folder_as_it_was(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "a.png"
    target.write_bytes(b"before")
    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(PhotoError, match="No space left"):
        files.write_atomically(b"after", target)
    assert os.listdir(tmp_path) == ["a.png"] and target.read_bytes() == b"before"


@pytest.mark.parametrize("link", [lambda original, target: target, os.symlink, os.link], ids=["same", "soft", "hard"])
def test_the_original_is_never_overwritten(link: Callable[[Path, Path], object], tmp_path: Path) -> None:
    original = tmp_path / "a.jpg"
    original.write_bytes(b"original")
    target = original
    if link in (os.symlink, os.link):
        target = tmp_path / "b.jpg"
        link(original, target)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(PhotoError, match="never overwrites"):
        files.write_atomically(b"new", target, original)
    assert original.read_bytes() == b"original" and sorted(os.listdir(tmp_path)) == before


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for target, text in {
        tmp_path / "none" / "a.png": "is not a folder",
        tmp_path / "file" / "a.png": "is not a folder",
        tmp_path: "is not a file",
        Path(os.devnull): "is not a file",
        tmp_path / ("n" * 300): "cannot be written",
        tmp_path / "nul\0": "cannot be written",
    }.items():
        with pytest.raises(PhotoError, match=text):
            files.write_atomically(b"data", target)
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_refuses_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(PhotoError, match="Read-only"):
        files.check_writable(tmp_path / "a.png", None)
