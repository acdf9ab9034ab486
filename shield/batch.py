"""Photos that are files, one or many: what is wrong with one never ends the work on the others."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from shield.attacks import Progress
from shield.errors import BoundError, FaceError, PhotoError, SearchError, ShieldError
from shield.files import check_space, check_writable, output_path, result_files
from shield.photo import FORMATS, Photo, as_path, open_photo, output_format, reason
from shield.pipeline import protect
from shield.recipe import Recipe
from shield.results import Protection, space_for
from shield.verify import PLAN, Counted, Plan, Source

EXTENSIONS = tuple(extension for kind in FORMATS.values() for extension in kind.extensions)
T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of one photo, named as it was given: a result, or the error that says why there is none."""

    photo: str | Path
    result: T | None = None
    error: ShieldError | None = None


def each_photo(photos: Iterable[str | Path], work: Callable[[str | Path], T]) -> Iterator[Outcome[T]]:
    """The outcome of ``work`` on every photo, one after the other; of a folder, on those that ``photos_in`` finds.

    An error about one photo is its outcome. What is wrong with settings or models would be so for every photo: that is
    raised, and so is whatever a callback raises to cancel.
    """
    for given in photos:
        try:
            found = _found(given)
        except PhotoError as error:
            yield Outcome(given, error=error)
            continue
        for photo in found:
            yield _outcome(photo, work)


def _outcome(photo: str | Path, work: Callable[[str | Path], T]) -> Outcome[T]:
    try:
        return Outcome(photo, work(photo))
    except (PhotoError, FaceError, BoundError, SearchError) as error:
        return Outcome(photo, error=error)
    except (MemoryError, RuntimeError) as error:  # torch has no class of its own for memory that has run out
        failed = SearchError(f"The work on {photo} broke down ({reason(error)}); try a smaller copy of it.")
        failed.__cause__ = error
        return Outcome(photo, error=failed)


def _found(path: str | Path) -> list[str | Path]:
    """The photos of a folder, or the photo itself."""
    if not os.path.isdir(path):
        return [path]
    try:
        found = photos_in(Path(path))
    except OSError as error:
        raise PhotoError(f"{path} cannot be read ({reason(error)}); check its permissions.") from error
    if not found:
        raise PhotoError(f"{path} holds no photo, not counting folders in it and results of shield.")
    return [*found]


def photos_in(folder: Path, count: int | None = None) -> list[Path]:
    """The first photos of a folder, by name; not those of folders in it, hidden ones, and what shield wrote there."""
    return sorted(path for path in folder.iterdir() if _is_photo(path.name) and path.is_file())[:count]


def _is_photo(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".") and ".shield." not in name


def protect_file(
    source: str | Path | Photo,
    output: str | Path | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    verifying: Counted | None = None,
    force: bool = False,
    plan: Plan = PLAN,
    reference: Source | None = None,
) -> tuple[Protection, list[Path]]:
    """Protect the photo in a file and write the result beside it, as NAME.shield.EXT, or to ``output``, file or folder.

    Where NAME.shield.json is another photo's (IMG_1.HEIC beside IMG_1.JPG), NAME is the whole name of the file. The
    ending of ``output`` chooses the format where the Recipe names none. ``force``: overwrite a result that is there.
    Returns what ``protect`` returns, and the paths written. Raises what ``protect`` and ``Protection.save`` raise; a
    place that cannot be written to, is taken, or has no room is refused before the search begins.
    """
    recipe = recipe or Recipe()
    place = None if output is None else as_path(output)
    photo = open_photo(source)
    if place is not None and recipe.format is None and place.suffix and not place.is_dir():
        recipe = replace(recipe, format=place.suffix)
    wanted = output_format(photo, recipe.format)
    if photo.path is None and (place is None or place.is_dir()):
        raise PhotoError("The photo is no file and has no name; name a file to write.")
    target = output_path(photo.path or Path(), wanted, place)
    check_writable(target, photo.path, force)
    for file in result_files(target).all:
        check_writable(file, photo.path, force)
    check_space(target.parent, space_for(photo, wanted))
    protection = protect(photo, replace(recipe, format=wanted), progress, verifying, plan, reference).named(target.name)
    return protection, protection.save(target, force)
