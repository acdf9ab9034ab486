"""The one runner of experiments: measures case by case into a file that stays, and makes tables and pictures of it.

shield bench run EXPERIMENT PHOTOS --out DIR --resume
"""

import csv
import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from shield import InputError, Recipe, ShieldError
from shield.bench.experiments import Case, Experiment, Row, Setting, experiments
from shield.bench.photos import lfw_photos, photos_below, scaled
from shield.bench.store import append, kept
from shield.device import pick_device
from shield.files import fingerprint
from shield.training.data import LABELS
from shield.verify import versions
from shield.weights import weights_in_use

PLOTTER = "matplotlib"
LFW_PHOTOS = "lfw, test split"  # the folder of these among the copies
console = Console(width=600)  # a row of Markdown is not broken


@dataclass(frozen=True)
class Done:
    """One case as it is kept: a line of JSON. ``digest``: of all that decides its rows; ``error``: why it has none."""

    case: str
    digest: str
    seconds: float
    rows: Sequence[Row]
    error: str = ""


@dataclass(frozen=True)
class Files:
    """What a run writes into its folder, all beginning with the experiment's name.

    ``kept``: a line of JSON for every case. Made of it: ``rows`` (CSV), ``about`` (JSON: machine, versions, seed,
    settings, weights), ``table`` (Markdown) and ``picture`` (PNG).
    """

    kept: Path
    rows: Path
    about: Path
    table: Path
    picture: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> "Files":
        """Of an experiment."""
        return cls(*(folder / f"{name}.{ending}" for ending in ("jsonl", "csv", "json", "md", "png")))


def digest(case: Case, setting: Setting, weights: Mapping[str, str]) -> str:
    """Of files, faces, settings, weights and shield itself: other results are no answer to this case."""
    files = [fingerprint(file) for file in case.files]
    faces = fingerprint(setting.faces / LABELS) if setting.faces else ""
    parts = [case.name, files, faces, setting.recipe.settings(), setting.count, weights, versions()["shield"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def load(path: Path) -> dict[str, Done]:
    """What was measured before, by case; of several lines the last counts, and a torn one does not."""
    return {done.case: done for done in kept(path, Done)}


def measured(cases: Iterator[Case], setting: Setting, path: Path) -> Iterator[Done]:
    """Every case, from ``path`` where it is kept there, else measured and appended. A case that fails ends no other."""
    before, weights = load(path), weights_in_use()
    for case in cases:
        key = digest(case, setting, weights)
        known = before.get(case.name)
        if known is not None and known.digest == key and not known.error:
            yield known
            continue
        began, rows, error = time.perf_counter(), list[Row](), ""
        try:
            rows = list(case.measure())
        except (ShieldError, MemoryError, RuntimeError) as reason:  # of the last kind is a device without memory
            error = str(reason) or type(reason).__name__
        done = Done(case.name, key, round(time.perf_counter() - began, 1), rows, error)
        append(path, done)
        yield done


def run(
    experiment: Experiment, name: str, setting: Setting, folder: Path, resume: bool, told: Console | None = None
) -> list[Done]:
    """Measure what is missing, and write the files anew. Returns every case.

    Raises InputError where there are results already that are not to be gone on with, or something is missing.
    """
    files = Files.of(folder, name)
    if files.kept.exists() and not resume:
        raise InputError(f"{files.kept} holds results already; go on with --resume, or name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    done = list[Done]()
    for case in measured(experiment.cases(setting), setting, files.kept):
        done.append(case)
        if told is not None:
            told.print(f"{case.case}: {case.error or f'{len(case.rows)} rows, {case.seconds:g} s'}", markup=False)
    rows = [row for case in done for row in case.rows]
    _write_rows(files.rows, rows)
    about = {"experiment": name, "title": experiment.title, "paper": experiment.paper} | circumstances(setting)
    failed = {case.case: case.error for case in done if case.error}
    about |= {"cases": len(done), "failed": failed, "seconds": sum(case.seconds for case in done)}
    files.about.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    files.table.write_text("\n".join(words(experiment, rows)) + "\n", encoding="utf-8")
    files.picture.unlink(missing_ok=True)  # that of other rows
    if rows and _can_plot() and (figure := experiment.plot(rows)) is not None:
        figure.savefig(files.picture, dpi=110)
    return done


def circumstances(setting: Setting) -> dict[str, Any]:
    """With what, on what and with which seed something was measured."""
    return {
        "settings": setting.recipe.settings(),
        "seed": setting.recipe.seed,
        "photos": [photo.name for photo in setting.photos],
        "versions": versions(),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": str(pick_device(setting.recipe.device)),
        },
        "weights": weights_in_use(),
    }


def _can_plot() -> bool:
    try:
        return bool(version(PLOTTER))
    except PackageNotFoundError:
        return False


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def words(experiment: Experiment, rows: Sequence[Row]) -> Iterator[str]:
    """Markdown: what was found, and the paper's own figures below it."""
    yield f"# {experiment.title}"
    parts = {"": experiment.table(rows), f"As published: {experiment.paper}": list(experiment.published)}
    for title, part in parts.items():
        if not part:
            continue
        columns = list(dict.fromkeys(column for row in part for column in row))
        yield from ["", *([f"## {title}", ""] if title else [])]
        yield f"| {' | '.join(columns)} |"
        yield "|---" * len(columns) + "|"
        yield from (f"| {' | '.join(_cell(row.get(column)) for column in columns)} |" for row in part)


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def shown(title: str, rows: Sequence[Mapping[str, object]]) -> Table:
    """Rows for a terminal."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = Table(*columns, title=title, box=box.MARKDOWN)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    return table


def photos_for(folder: Path | None, every: int, scale: float, faces: Path | None, lfw: int, copies: Path) -> list[Path]:
    """The photos of a run; those that are no files of somebody's are written into ``copies``."""
    photos = photos_below(folder)[::every] if folder else []
    if scale != 1:
        photos = [scaled(photo, copies, scale) for photo in photos]
    if not lfw:
        return photos
    if faces is None:
        raise InputError("LFW's photos come from the face archives of training; name their folder with --faces.")
    (copies / LFW_PHOTOS).mkdir()
    return [*photos, *lfw_photos(faces, lfw, copies / LFW_PHOTOS)]


def main(
    experiment: Annotated[str | None, typer.Argument(help="Its name; none: print what there is.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="Photos with a face each, also in folders in it.")] = None,
    out: Annotated[Path, typer.Option(help="Where results, tables and pictures are kept.")] = Path("results"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the results that are there.")] = False,
    every: Annotated[int, typer.Option(min=1, help="One photo in so many, by name.")] = 1,
    scale: Annotated[float, typer.Option(min=0.01, help="Scale the photos first (for small faces).")] = 1.0,
    faces: Annotated[Path | None, typer.Option(help="The face archives of training.")] = None,
    lfw: Annotated[int, typer.Option(min=0, help="So many of their test photos from LFW beside the photos.")] = 0,
    count: Annotated[
        int, typer.Option(help="Of experiments on the archives: faces of every source, pairs or persons.")
    ] = Setting().count,
    trainings: Annotated[Path | None, typer.Option(help="A folder per recipe trained for it.")] = None,
    preset: Annotated[str, typer.Option()] = "balanced",
    surrogate: Annotated[list[str] | None, typer.Option(help="Search on these alone (repeatable).")] = None,
    attack: Annotated[str, typer.Option()] = Recipe().attack,
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    seed: Annotated[int, typer.Option()] = Recipe().seed,
    device: Annotated[str, typer.Option()] = Recipe().device,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Run an experiment: a paper's protocol, or one of shield's own. What is kept is not measured again."""
    if experiment is None:
        console.print(
            shown("", [{"name": name, "what": it.title, "paper": it.paper} for name, it in sorted(experiments.items())])
        )
        return
    torch.set_num_threads(threads)
    try:
        names = tuple(surrogate or Recipe().surrogates)
        recipe = Recipe(format="png", surrogates=names, attack=attack, steps=steps, seed=seed, device=device)
        part = experiments[experiment]
        with tempfile.TemporaryDirectory() as copies:
            photos = photos_for(folder, every, scale, faces, lfw, Path(copies))
            setting = Setting(photos, faces, count, recipe.with_preset(preset), trainings)
            done = run(part, experiment, setting, out, resume, console)
    except (ShieldError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    console.print(shown(part.title, part.table([row for case in done for row in case.rows])))
    if part.published:
        console.print(shown(f"as published: {part.paper}", part.published))
    files = Files.of(out, experiment)
    console.print(f"Wrote {files.kept} and what is made of it.", markup=False, highlight=False)
    if type(part).plot is not Experiment.plot and not _can_plot():
        console.print("No picture was drawn; install matplotlib: pip install 'shield[bench]'.", markup=False)
    if any(case.error for case in done):
        raise typer.Exit(1)
