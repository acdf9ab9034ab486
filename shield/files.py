"""The files of a result: what they are called, whether they may be written, and writing all of them or none."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from shield.errors import PhotoError, RecipeError
from shield.photo import BY_NAME, FORMATS, reason

# Names


@dataclass(frozen=True)
class ResultFiles:
    """Where a protected photo, its report and its contact sheet go."""

    photo: Path
    report: Path

    @property
    def sheet(self) -> Path:
        """Beside the report."""
        return self.report.with_suffix(".sheet.png")

    @property
    def all(self) -> list[Path]:
        """Photo, report and sheet, in this order."""
        return [self.photo, self.report, self.sheet]


def output_path(photo_path: Path, format: str, wanted: Path | None) -> Path:
    """Where to write: ``wanted``, or NAME.shield.EXT in that folder (None: beside the photo), with its own EXT if fit.

    Where that name belongs to another photo (IMG_1.HEIC beside IMG_1.JPG), NAME is the whole name of the photo.
    Raises RecipeError where the extension of ``wanted`` belongs to another format.
    """
    if wanted is not None and not wanted.is_dir():
        check_ending(wanted, format)
        return wanted
    folder = photo_path.parent if wanted is None else wanted
    own = photo_path.suffix.lower() in FORMATS[format].extensions
    extension = photo_path.suffix if own else FORMATS[format].extensions[0]
    target = folder / f"{photo_path.stem}.shield{extension}"
    if any(_is_anothers(report, "original", photo_path.name) for report in report_paths(target)):
        return target.with_name(f"{photo_path.name}.shield{extension}")
    return target


def check_ending(target: Path, format: str) -> None:
    """Raise RecipeError where the extension of ``target`` belongs to another format."""
    if BY_NAME.get(target.suffix.lower()[1:], format) != format:
        raise RecipeError(f"{target} would hold {format}; give it another ending or choose another format.")


def report_paths(protected: Path) -> tuple[Path, Path]:
    """Where the report of a protected file may lie: NAME.shield.json, or under the file's whole name."""
    base = protected.stem.removesuffix(".shield")
    whole = protected.name if protected.stem.endswith(".shield") else f"{protected.name}.shield"
    return protected.with_name(f"{base}.shield.json"), protected.with_name(f"{whole}.json")


def result_files(protected: Path) -> ResultFiles:
    """The files that belong to a protected one, no other protected file's: keep.jpg and keep.png each have their own.

    Raises PhotoError where both names that its report could have are taken.
    """
    for report in report_paths(protected):
        if not _is_anothers(report, "protected", protected.name):
            return ResultFiles(protected, report)
    raise PhotoError(f"{report} is not the report on {protected.name}, and stays; write under another name.")


def _is_anothers(report: Path, side: str, name: str) -> bool:
    """Whether a file is there that is not the report on the file ``name``, which is its "original" or "protected"."""
    try:
        written = json.loads(report.read_text(encoding="utf-8"))[side]["name"]
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return True  # no report at all
    return bool(written != name)


def fingerprint(path: Path) -> str:
    """The sha256 of what a file holds; "" where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return ""


# Checks


def check_writable(target: Path, original: Path | None, force: bool = True) -> None:
    """Raise PhotoError where ``target`` cannot be written, or is ``original`` itself, be it by a link.

    Also where it is there already, unless ``force`` is given.
    """
    folder = target.parent
    try:
        if not folder.is_dir():
            raise PhotoError(f"{folder} is not a folder; create it first or write elsewhere.")
        if target.exists() and not target.is_file():
            raise PhotoError(f"{target} is not a file; give the name of a file to write.")
        if original is not None and target.exists() and original.exists() and target.samefile(original):
            raise PhotoError(f"{target} is the original photo, which shield never overwrites; give another name.")
        if target.exists() and not force:
            raise PhotoError(f"{target} is there already; give another name, or overwrite it (--force).")
        tempfile.TemporaryFile(dir=folder).close()  # for root os.access says yes even where nothing can be written
    except (OSError, ValueError) as error:
        raise PhotoError(f"{target} cannot be written ({reason(error)}); write elsewhere.") from error


def check_space(folder: Path, size: int) -> None:
    """Raise PhotoError where the disk of ``folder`` has no room for ``size`` bytes."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise PhotoError(
            f"The disk of {folder} has {free / 1e6:.0f} MB left, and the result may take {size / 1e6:.0f}; "
            "make room or write elsewhere."
        )


# Writing


def append_line(path: Path, value: Mapping[str, object]) -> None:
    """Append a line of JSON, one of its own even after a torn one; when this returns, it is on the disk."""
    with path.open("a+b") as file:
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n":
            file.write(b"\n")
        file.write(json.dumps(value).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def write_atomically(data: bytes, target: Path, original: Path | None = None, force: bool = True) -> None:
    """Write ``data`` to ``target``, all of it or nothing. Raises PhotoError as check_writable, or on a full disk."""
    write_together({target: data}, original, force)


def write_together(files: Mapping[Path, bytes], original: Path | None = None, force: bool = True) -> None:
    """Write every file of one folder, or none: where one fails, those that were there are as they were.

    Whoever looks meanwhile sees each file as it was or whole. Raises PhotoError as check_writable, or on a full disk.
    """
    for target in files:
        check_writable(target, original, force)
    try:
        with tempfile.TemporaryDirectory(prefix=".shield-", dir=target.parent, ignore_cleanup_errors=True) as room:
            staged = {target: Path(room, f"{number}.new") for number, target in enumerate(files)}
            for target, new in staged.items():
                _write(files[target], new)
            _put_in_place(staged)
    except (OSError, ValueError) as error:
        raise PhotoError(f"{target} cannot be written ({reason(error)}); write elsewhere.") from error


def _write(data: bytes, path: Path) -> None:
    with path.open("xb") as file:  # not mkstemp, whose files nobody else may read
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(staged: Mapping[Path, Path]) -> None:
    """Give every new file the name that it is for; where one fails, take back those before it."""
    *undoable, last = staged
    with ExitStack() as undo:
        for target in undoable:
            undo.callback(_restore, target, _kept(target, staged[target].with_suffix(".old")))
            os.replace(staged[target], target)
        os.replace(staged[last], last)
        undo.pop_all()


def _kept(target: Path, old: Path) -> Path | None:
    """What ``target`` holds under another name as well, if it is there."""
    if not target.exists():
        return None
    try:
        os.link(target, old)
    except OSError:  # not every file system has links
        shutil.copyfile(target, old)
    return old


def _restore(target: Path, old: Path | None) -> None:
    if old is None:
        target.unlink(missing_ok=True)
    else:
        os.replace(old, target)
