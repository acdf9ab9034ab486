"""Photos that are files: read, protected, and written beside where they lie."""

from dataclasses import replace
from pathlib import Path

from shield.attacks import Progress
from shield.files import beside, check_writable, is_about_another, output_path, report_path
from shield.photo import open_photo, output_format
from shield.pipeline import protect
from shield.recipe import Recipe
from shield.results import Protection
from shield.verify import PLAN, Counted, Plan


def protect_file(
    path: str | Path,
    output: str | Path | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    verifying: Counted | None = None,
    plan: Plan = PLAN,
) -> tuple[Protection, list[Path]]:
    """Protect the photo in a file and write the result beside it, as NAME.shield.EXT, or to ``output``.

    Where NAME.shield.json is another photo's (IMG_1.HEIC beside IMG_1.JPG), NAME is the whole name of the file. The
    ending of ``output`` chooses the format where the Recipe names none. Returns what ``protect`` returns, and the
    paths written. Raises what ``protect`` and ``Protection.save`` raise; a place that cannot be written to is refused
    before the search begins.
    """
    recipe = recipe or Recipe()
    photo = open_photo(Path(path))
    if output is not None and recipe.format is None and Path(output).suffix:
        recipe = replace(recipe, format=Path(output).suffix)
    wanted = output_format(photo, recipe.format)
    target = output_path(Path(path), wanted, Path(output) if output is not None else None)
    if output is None and is_about_another(report_path(target), Path(path)):
        target = target.with_name(f"{Path(path).name}.shield{target.suffix}")
    for file in (target, *beside(target)):
        check_writable(file, photo.path)
    protection = protect(photo, replace(recipe, format=wanted), progress, verifying, plan).named(target.name)
    return protection, protection.save(target)
