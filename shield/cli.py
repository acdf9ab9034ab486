"""The command line: words to a Recipe, a Recipe to protect, a Report to words."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import torch
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

import shield
from shield import Recipe, Report

DONE, NOT_REACHED, BAD_INPUT, CANCELLED = 0, 1, 2, 130
DEFAULT = Recipe()

app = typer.Typer(
    help="Protect a photo of a person against face-manipulation networks, and prove it on the saved file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models = typer.Typer(invoke_without_command=True)
app.add_typer(models, name="models")
console = Console()
errors = Console(stderr=True)


def _surrogate_names() -> str:
    """For the help; it must come even where the user's models cannot be listed."""
    try:
        return ", ".join(shield.surrogates)
    except shield.WeightsError:
        return "see shield models"


Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Whole = Annotated[bool, typer.Option("--whole", help="Treat the picture as one region; look for no faces.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads to use.")]


@app.command()
def protect(
    photo: Annotated[Path, typer.Argument(help="The photo to protect. It is never changed.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write. Default: NAME.shield.EXT beside the photo.")
    ] = None,
    preset: Annotated[
        str, typer.Option(help=f"How visible the change may be: {', '.join(shield.PRESETS)}.")
    ] = "balanced",
    surrogate: Annotated[
        list[str] | None, typer.Option(help=f"Protect against this one (repeatable): {_surrogate_names()}.")
    ] = None,
    attack: Annotated[str, typer.Option(help=f"How to search: {', '.join(shield.attacks)}.")] = DEFAULT.attack,
    bound: Annotated[str, typer.Option(help=f"Shape of the change: {', '.join(shield.bounds)}.")] = DEFAULT.bound,
    objective: Annotated[
        str, typer.Option(help=f"What the search climbs: {', '.join(shield.objectives)}.")
    ] = DEFAULT.objective,
    edit: Annotated[
        list[str] | None, typer.Option(help="Work against this edit of the surrogates alone (repeatable).")
    ] = None,
    classes: Annotated[
        str, typer.Option(help=f"How to take the edits: {', '.join(shield.CLASSES)}.")
    ] = DEFAULT.classes,
    transform: Annotated[
        list[str] | None,
        typer.Option(help=f"Search through this (repeatable; a+b: one, then the other): {', '.join(shield.channels)}."),
    ] = None,
    robust: Annotated[
        bool,
        typer.Option("--robust/--no-robust", help="Search through what the web does, or only what is saved: faster."),
    ] = True,
    steps: Annotated[int, typer.Option(help="Steps of the search, at most.")] = DEFAULT.steps,
    start: Annotated[
        str, typer.Option(help=f"What the search begins with: {', '.join(shield.STARTS)}.")
    ] = DEFAULT.start,
    seed: Annotated[int, typer.Option(help="Same seed, same photo: same bytes.")] = DEFAULT.seed,
    format: Annotated[
        str | None, typer.Option(help=f"File format: {', '.join(shield.WRITABLE)}. Default: the photo's own.")
    ] = None,
    quality: Annotated[int, typer.Option(help="Of JPEG and HEIF, 1 to 100.")] = DEFAULT.quality,
    keep_exif: Annotated[bool, typer.Option("--keep-exif", help="Keep the EXIF that names no place.")] = False,
    whole: Whole = False,
    device: Device = DEFAULT.device,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Protect PHOTO, verify the saved file, and write NAME.shield.EXT, its report and a contact sheet.

    Exit codes: 0 done; 1 not every manipulation breaks, or no change fits the bound (nothing is written then); 2 bad
    input.
    """
    with _reported(), _progress(as_json or quiet) as progress:
        _use(threads)
        recipe = Recipe(
            surrogates=tuple(surrogate or DEFAULT.surrogates),
            attack=attack,
            bound=bound,
            objective=objective,
            edits=tuple(edit or DEFAULT.edits),
            classes=classes,
            transforms=tuple(transform or (shield.ROBUST if robust else shield.PLAIN)),
            steps=steps,
            start=start,
            seed=seed,
            format=format,
            quality=quality,
            keep_exif=keep_exif,
            whole=whole,
            device=device,
        ).with_preset(preset)
        protection, written = shield.protect_file(photo, output, recipe, progress)
    _conclude(protection.report, written, as_json, quiet)


@app.command()
def verify(
    original: Annotated[Path, typer.Argument(help="The photo as it was.")],
    protected: Annotated[Path, typer.Argument(help="The photo as it is to be posted.")],
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet (PNG) here.")] = None,
    adversaries: Annotated[
        bool, typer.Option("--adversaries", help="Also try what undoes protection: cleaning, hardened networks.")
    ] = False,
    whole: Whole = False,
    device: Device = DEFAULT.device,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure on two files what protection does: every surrogate, after everything the web does, with controls.

    Exit codes: 0 every manipulation breaks; 1 some do not, or the bound is not kept; 2 bad input.
    """
    with _reported():
        _use(threads)
        verification = shield.verify(original, protected, device=device, whole=whole, adversaries=adversaries)
        if sheet is not None:
            verification.save_sheet(sheet)
    _conclude(verification.report, [sheet] if sheet else [], as_json, quiet)


@app.command()
def detect(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="The photos to judge.")],
    overlay: Annotated[
        Path | None, typer.Option(help="Draw the reasons: a file for one photo, a folder for several. PNG.")
    ] = None,
    detector: Annotated[
        str, typer.Option(help="The network: shield's, or a file that Wang et al. published (blur_jpg_prob0.5.pth).")
    ] = "shield",
    check: Annotated[
        list[str] | None, typer.Option(help=f"Look for this flaw alone (repeatable): {', '.join(shield.flaws)}.")
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say of every PHOTO how likely it is generated or manipulated, and why.

    Exit codes: 0 done, whatever the verdicts; 2 bad input.
    """
    with _reported():
        _use(threads)
        verdicts = [shield.detect(photo, detector=detector, checks=check or None) for photo in photos]
        for verdict, path in zip(verdicts, _overlay_paths(photos, overlay), strict=False):
            verdict.save_overlay(path)
    if as_json:
        typer.echo(json.dumps([verdict.to_dict() for verdict in verdicts], indent=2))
    elif not quiet:
        for photo, verdict in zip(photos, verdicts, strict=True):
            console.print(f"{_shown(photo)}: {verdict.sentence()}", markup=False, highlight=False, soft_wrap=True)


def _overlay_paths(photos: list[Path], overlay: Path | None) -> list[Path]:
    """Where the drawing of every photo goes: nowhere, to the named file, or into the named folder."""
    if overlay is None:
        return []
    if len(photos) == 1 and not overlay.is_dir():
        return [overlay]
    if not overlay.is_dir():
        raise shield.InputError(f"{overlay} is not a folder; several photos are drawn into a folder that is there.")
    return [overlay / f"{photo.name}.overlay.png" for photo in photos]


def _shown(path: Path) -> str:
    return os.fsencode(path).decode(errors="replace")


@models.callback()
def list_models(
    context: typer.Context,
    evaluate: Annotated[
        list[str] | None, typer.Option(help="Judge this manipulator's work instead (repeatable, side by side).")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="For --evaluate: folder with labels.csv and the archives of aligned faces.")
    ] = None,
    photos: Annotated[Path | None, typer.Option(help="For --evaluate: judge on the photos in this folder too.")] = None,
    faces: Annotated[int, typer.Option(min=4, help="For --evaluate: how many test faces.")] = 300,
    as_json: Json = False,
) -> None:
    """List the networks that shield brings and those you imported, and check that their files are unchanged."""
    if context.invoked_subcommand is not None:
        return
    with _reported():
        if evaluate:
            _evaluate(evaluate, data, photos, faces, as_json)
        else:
            _list(as_json)


def _evaluate(names: list[str], data: Path | None, photos: Path | None, faces: int, as_json: bool) -> None:
    if data is None:
        raise shield.InputError("--evaluate needs test faces; name their folder with --data.")
    figures = shield.evaluate_models(names, data, photos, faces)
    if as_json:
        typer.echo(json.dumps([asdict(figure) for figure in figures], indent=2))
        return
    by_row: dict[tuple[str, str], list[shield.Quality]] = {}
    for figure in figures:
        by_row.setdefault((figure.faces, figure.what), []).append(figure)
    table = Table("faces", "what", "of", "unedited", *map(escape, names))
    for (title, what), row in by_row.items():
        before = "" if row[0].before is None else f"{row[0].before:.3f}"
        found = {figure.model: f"{figure.value:.3f}" for figure in row}
        table.add_row(title, what, str(row[0].count), before, *(found.get(name, "") for name in names))
    console.print(table)


def _list(as_json: bool) -> None:
    entries = shield.manifest() | shield.imported_models()
    faults = {name: shield.check_weights(name) for name in entries}
    if as_json:
        rows = [asdict(entry) | {"intact": faults[name] is None} for name, entry in entries.items()]
        typer.echo(json.dumps(rows, indent=2))
    else:
        table = Table("model", "what it does", "licence", "surrogate", "file")
        for name, entry in entries.items():
            state = "altered or missing" if faults[name] else "intact"
            table.add_row(escape(name), entry.what, entry.licence, "yes" if name in shield.surrogates else "", state)
        console.print(table)
    for fault in filter(None, faults.values()):
        _complain(fault)
    raise typer.Exit(BAD_INPUT if any(faults.values()) else DONE)


@models.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A checkpoint as its authors publish it. It is never changed.")],
    family: Annotated[str, typer.Option("--as", help=f"What it is: {', '.join(shield.families)}.")],
    name: Annotated[str | None, typer.Option(help="What to call it. Default: the family's name and FILE's.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the faces it edits, in px. Default: the family's.")] = None,
) -> None:
    """Check FILE, convert it, and keep it in your model folder: from then on it is a surrogate in every command.

    The folder is the one that SHIELD_MODELS names, or shield/models in your user data. Exit codes: 0 done; 2 bad input.
    """
    with _reported():
        entry = shield.import_model(file, family, name, size)
    console.print(
        f"imported {entry.source} (sha256 {entry.source_sha256[:12]}...) as {entry.name}: {entry.what} "
        f"Licence: {entry.licence}. Use it with --surrogate {entry.name}.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@models.command("remove")
def remove_model(name: Annotated[str, typer.Argument(help="A model that you imported.")]) -> None:
    """Take an imported model out of your model folder."""
    with _reported():
        shield.remove_model(name)
    console.print(f"removed {name}", markup=False, highlight=False)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help=f"What to train: {', '.join(shield.recipes)}.")],
    data: Annotated[Path, typer.Option(help="Folder with labels.csv and the archives of aligned faces.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, sample sheet and weights.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")] = False,
    weights: Annotated[Path | None, typer.Option(help="Begin with these weights (safetensors) of the recipe.")] = None,
    adversarial: Annotated[
        str | None,
        typer.Option(help="Harden its generator (g), or its critic as well (gd), on pictures changed to break it."),
    ] = None,
    hours: Annotated[float | None, typer.Option(min=0, help="Stop after so many hours.")] = None,
    threads: Threads = None,
) -> None:
    """Train one of the networks in models/ anew. Takes hours on a processor; interrupt and --resume as you like."""

    def report(step: int, steps: int, losses: dict[str, float], seconds: float) -> None:
        if step % 20 == 0:
            words = "  ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
            console.print(f"{step} of {steps}, {seconds / 60:.0f} min left: {words}", highlight=False, soft_wrap=True)

    with _reported():
        _use(threads)
        step = shield.train_model(
            recipe, data, out, resume=resume, weights=weights, hours=hours, hardening=adversarial, report=report
        )
    console.print(f"stopped at step {step}; weights and sample sheet are in {out}", highlight=False)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    """Set options of shield itself."""
    if show:
        typer.echo(f"shield {shield.__version__}")
        raise typer.Exit(DONE)


@contextmanager
def _reported() -> Iterator[None]:
    """Turn shield's errors into a sentence and an exit code."""
    try:
        yield
    except (shield.BoundError, shield.SearchError) as error:
        _complain(str(error))
        raise typer.Exit(NOT_REACHED) from error
    except shield.ShieldError as error:
        _complain(str(error))
        raise typer.Exit(BAD_INPUT) from error
    except KeyboardInterrupt as error:
        _complain("Cancelled.")
        raise typer.Exit(CANCELLED) from error


def _complain(sentence: str) -> None:
    errors.print(f"shield: {sentence}", markup=False, highlight=False, soft_wrap=True)


def _use(threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)


@contextmanager
def _progress(silent: bool) -> Iterator[Callable[[int, int, float], None]]:
    """A progress bar on stderr, as the callback that the search wants."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=errors, transient=True, disable=silent) as bar:
        task = bar.add_task("finding faces", total=None)

        def update(step: int, steps: int, best: float) -> None:
            words = "verifying" if step == steps else f"searching, {best:.0%} of the goal"
            bar.update(task, completed=step, total=steps, description=words)

        yield update


def _conclude(report: Report, written: list[Path], as_json: bool, quiet: bool) -> NoReturn:
    """Say what was found and written, and end with the exit code for it."""
    if not quiet:
        _show(report, as_json)
    if not (quiet or as_json):
        for path in written:
            console.print(f"wrote {_shown(path)}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(DONE if report.reached and report.bound_kept is not False else NOT_REACHED)


def _show(report: Report, as_json: bool) -> None:
    if as_json:
        typer.echo(report.to_json(), nl=False)
        return
    console.print(_table("disrupted", report))
    face = report.worst_face.visibility
    bound = f" (bound {report.recipe['face_lpips']:g})" if report.recipe else ""
    faces = "one face" if len(report.faces) == 1 else f"{len(report.faces)} faces, the worst"
    console.print(
        f"Change: {faces}: LPIPS {face.face_lpips:.3f}{bound}, PSNR {face.psnr:.1f} dB, SSIM {face.ssim:.3f}, "
        f"at most {face.max_levels} levels.",
        highlight=False,
    )
    console.print(escape(report.sentence()), highlight=False)
    console.print(escape(report.detector_sentence()), highlight=False)
    if report.adversaries:
        console.print(_table("disrupted after", report.other_side))
        console.print(escape(report.adversary_sentence()), highlight=False)


def _table(title: str, report: Report) -> Table:
    """Share of (face x edit x frame): a row per channel and kind of frames, a column per surrogate and control."""
    columns = report.table()
    words = [max(map(len, name.split())) for name in (" ".join((title, *report.row_titles())), *columns)]
    fits = sum(words) + len(words) < console.width  # then no word is broken; else the narrowest column is still whole
    heads = [
        Column(name, min_width=width if fits else None, overflow="fold")
        for name, width in zip((title, *columns), words, strict=True)
    ]
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for row in report.row_titles():
        table.add_row(row, *(f"{shares[row]:.0%}" if row in shares else "" for shares in columns.values()))
    return table
