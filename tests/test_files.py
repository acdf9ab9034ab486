"""The files of a result: their names, what may not be overwritten, and that all are written or none."""

import os
from collections.abc import Callable
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


# Writing


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
