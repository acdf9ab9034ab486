"""The files of a result: what they are called, whether they may be written, and writing them."""

import json
import os
import secrets
import tempfile
from pathlib import Path

from shield.errors import PhotoError, RecipeError
from shield.photo import BY_NAME, FORMATS, reason


def output_path(photo_path: Path, format: str, wanted: Path | None) -> Path:
    """Where to write: ``wanted``, or where None NAME.shield.EXT beside the photo, with its own EXT where that fits.

    Raises RecipeError where the extension of ``wanted`` belongs to another format.
    """
    if wanted is None:
        own = photo_path.suffix.lower() in FORMATS[format].extensions
        extension = photo_path.suffix if own else FORMATS[format].extensions[0]
        return photo_path.with_name(f"{photo_path.stem}.shield{extension}")
    if BY_NAME.get(wanted.suffix.lower()[1:], format) != format:
        raise RecipeError(f"{wanted} would hold {format}; give it another ending or choose another format.")
    return wanted


def report_path(protected: Path) -> Path:
    """Where the report of a protected file lies: NAME.shield.json."""
    return protected.with_name(protected.stem.removesuffix(".shield") + ".shield.json")


def is_about_another(report: Path, original: Path) -> bool:
    """Whether a file of that name is there that is not the report on this photo."""
    try:
        name = json.loads(report.read_text(encoding="utf-8"))["original"]["name"]
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return True  # no report at all
    return bool(name != original.name)


def beside(target: Path) -> tuple[Path, Path]:
    """Where the report and the contact sheet of a protected file go."""
    report = report_path(target)
    return report, report.with_suffix(".sheet.png")


def check_writable(target: Path, original: Path | None) -> None:
    """Raise PhotoError where ``target`` cannot be written, or is ``original`` itself, be it by a link."""
    folder = target.parent
    try:
        if not folder.is_dir():
            raise PhotoError(f"{folder} is not a folder; create it first or write elsewhere.")
        if target.exists() and not target.is_file():
            raise PhotoError(f"{target} is not a file; give the name of a file to write.")
        if original is not None and target.exists() and original.exists() and target.samefile(original):
            raise PhotoError(f"{target} is the original photo, which shield never overwrites; give another name.")
        tempfile.TemporaryFile(dir=folder).close()  # for root os.access says yes even where nothing can be written
    except (OSError, ValueError) as error:
        raise PhotoError(f"{target} cannot be written ({reason(error)}); write elsewhere.") from error


def write_atomically(data: bytes, target: Path, original: Path | None = None) -> None:
    """Write ``data`` to ``target``, all of it or nothing. Raises PhotoError as check_writable, or on a full disk."""
    check_writable(target, original)
    temporary = target.with_name(f".shield-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:  # not mkstemp, whose files nobody else may read
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except (OSError, ValueError) as error:
        raise PhotoError(f"{target} cannot be written ({reason(error)}); write elsewhere.") from error
    finally:
        temporary.unlink(missing_ok=True)
