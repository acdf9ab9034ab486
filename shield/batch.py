"""Photos that are files, one or many: what is wrong with one never ends the work on the others."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from shield.attacks import Progress
from shield.credentials import Credentials
from shield.errors import BoundError, FaceError, InputError, PhotoError, SearchError, ShieldError
from shield.files import ResultFiles, check_space, check_writable, fingerprint, output_path, result_files
from shield.photo import FORMATS, Photo, as_path, open_photo, output_format, reason
from shield.pipeline import protect
from shield.recipe import Recipe
from shield.results import Protection, space_for
from shield.verify import PLAN, Counted, Plan, Source

EXTENSIONS = tuple(extension for kind in FORMATS.values() for extension in kind.extensions)
T = TypeVar("T")
Replaceable = Callable[[Photo, ResultFiles, Recipe], bool]  # whether what is there of a result may be overwritten


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of one photo, named as it was given: a result, or the error that says why there is none."""

    photo: str | Path
    result: T | None = None
    error: ShieldError | None = None


# Finding photos


def each_photo(photos: Iterable[str | Path], work: Callable[[str | Path], T]) -> Iterator[Outcome[T]]:
    """The outcome of ``work`` on every photo, one after the other; of a folder, on those that ``photos_in`` finds.

    An error about one photo is its outcome. What is wrong with settings or models would be so for every photo: that is
    raised, and so is whatever a callback raises to cancel.
    """
    for given in photos:
        for found in found_in(given):
            yield Outcome(found.photo, error=found.error) if found.error else outcome_of(found.photo, work)


def outcome_of(photo: str | Path, work: Callable[[str | Path], T]) -> Outcome[T]:
    """What comes of ``work`` on one photo. Raises what would be so for every photo."""
    try:
        return Outcome(photo, work(photo))
    except (PhotoError, FaceError, BoundError, SearchError) as error:
        return Outcome(photo, error=error)
    except (MemoryError, RuntimeError) as error:  # torch has no class of its own for memory that has run out
        failed = SearchError(f"The work on {photo} broke down ({reason(error)}); try a smaller copy of it.")
        failed.__cause__ = error
        return Outcome(photo, error=failed)


def found_in(given: str | Path, recursive: bool = False) -> Iterator[Outcome[Path]]:
    """The photo itself, or those of a folder, each with the folder that it lies in, as seen from the one given."""
    if not os.path.isdir(given):
        yield Outcome(given, Path())
        return
    top, empty = Path(given), True
    for folder in folders_in(top) if recursive else [top]:
        try:
            found = [Outcome[Path](photo, folder.relative_to(top)) for photo in photos_in(folder)]
        except OSError as error:
            failed = PhotoError(f"{folder} cannot be read ({reason(error)}); check its permissions.")
            failed.__cause__ = error
            found = [Outcome(given if folder == top else folder, error=failed)]
        empty = empty and not found
        yield from found
    if empty:
        others = "hidden ones and results" if recursive else "folders in it and results"
        yield Outcome(given, error=PhotoError(f"{given} holds no photo, not counting {others} of shield."))


def folders_in(folder: Path) -> Iterator[Path]:
    """The folder and all in it, however deep; no hidden ones, and no links to folders, which may lead in a circle."""
    yield folder
    for top, names, _ in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith(".") and not os.path.islink(Path(top, name)))
        yield from (Path(top, name) for name in names)


def photos_in(folder: Path, count: int | None = None) -> list[Path]:
    """The first photos of a folder, by name; not those of folders in it, hidden ones, and what shield wrote there."""
    return sorted(path for path in folder.iterdir() if _is_photo(path.name) and path.is_file())[:count]


def _is_photo(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".") and ".shield." not in name


# Protecting


def protect_file(
    source: str | Path | Photo,
    output: str | Path | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    verifying: Counted | None = None,
    force: bool = False,
    plan: Plan = PLAN,
    reference: Source | None = None,
    credentials: Credentials | None = None,
) -> tuple[Protection, list[Path]]:
    """Protect the photo in a file and write the result beside it, as NAME.shield.EXT, or to ``output``, file or folder.

    Where NAME.shield.json is another photo's (IMG_1.HEIC beside IMG_1.JPG), NAME is the whole name of the file. The
    ending of ``output`` chooses the format where the Recipe names none. ``force``: overwrite a result that is there.
    Returns what ``protect`` returns, and the paths written. Raises what ``protect`` and ``Protection.save`` raise; a
    place that cannot be written to, is taken, or has no room is refused before the search begins.
    """
    return protect_where(
        source, output, recipe or Recipe(), progress, verifying, lambda *_: force, plan, reference, credentials
    )


def protect_where(
    source: str | Path | Photo,
    output: str | Path | None,
    recipe: Recipe,
    progress: Progress | None,
    verifying: Counted | None,
    replaceable: Replaceable,
    plan: Plan,
    reference: Source | None,
    credentials: Credentials | None,
) -> tuple[Protection, list[Path]]:
    """As ``protect_file``; whether files that are there may be overwritten is asked once they are known."""
    place = None if output is None else as_path(output)
    photo = open_photo(source)
    if place is not None and recipe.format is None and place.suffix and not place.is_dir():
        recipe = replace(recipe, format=place.suffix)
    wanted = output_format(photo, recipe.format)
    if photo.path is None and (place is None or place.is_dir()):
        raise PhotoError("The photo is no file and has no name; name a file to write.")
    recipe = replace(recipe, format=wanted)
    target = output_path(photo.path or Path(), wanted, place)
    check_writable(target, photo.path)
    files = result_files(target)
    force = replaceable(photo, files, recipe)
    for file in files.all:
        check_writable(file, photo.path, force)
    check_space(target.parent, space_for(photo, wanted))
    protection = protect(photo, recipe, progress, verifying, plan, reference, credentials).named(target.name)
    return protection, protection.save(target, force)


def is_result(files: ResultFiles, photo: Photo, recipe: Recipe) -> bool:
    """Whether the files that are there are what the Recipe made of the photo, though perhaps not all of them."""
    try:
        report = json.loads(files.report.read_text(encoding="utf-8"))
        same = report["original"]["sha256"] == photo.sha256 and Recipe.of(report["recipe"]) == recipe
        return same and fingerprint(files.photo) in ("", report["protected"]["sha256"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, InputError):
        return False
