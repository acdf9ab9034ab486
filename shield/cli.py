"""The command line: words to a Recipe, a Recipe to protect, a Report to words."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol, TypeVar, cast

import torch
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from typer.core import TyperCommand, TyperGroup

import shield
from shield import Recipe, Report

DONE, NOT_REACHED, BAD_INPUT, CANCELLED = 0, 1, 2, 130
UNREACHED = (shield.BoundError, shield.SearchError)
DEFAULT = Recipe()
USAGE_ERROR = cast(type[Exception], typer.BadParameter.mro()[1])  # click's, which some typers hold under another name
RECOGNISER = "recogniser"
FULL = shield.VERIFICATIONS[-1]
STREAM = "-"  # standard input or output, as on every command line
T = TypeVar("T")


# Options that nobody needs to protect a photo: they stand below the others.
RESEARCH = "For research"
RESEARCHED = {
    *("surrogate", "attack", "bound", "objective", "edit", "classes", "transform", "robust", "steps", "spread"),
    *("start", "seed", "detector", "check"),
}


class Command(TyperCommand):
    """A command whose help shows what everybody needs before what researchers do."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options, and the options for research."""
        panels: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], RESEARCH: []}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                argument = parameter.param_type_name == "argument"
                panel = "Arguments" if argument else RESEARCH if parameter.name in RESEARCHED else "Options"
                panels[panel].append(record)
        for panel, records in panels.items():
            if records:
                with formatter.section(panel):
                    formatter.write_dl(records)


class Commands(TyperGroup):
    """The commands. What click says about an argument steers no terminal, as little as what shield says."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except USAGE_ERROR as error:
            vars(error)["message"] = shield.printable(vars(error)["message"])
            raise


app = typer.Typer(
    cls=Commands,
    help="Change a photo a little, so that face swaps and face search no longer know who is on it; then prove on the "
    "saved file what holds and what does not. Begin with: shield protect PHOTO",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models = typer.Typer(invoke_without_command=True)
app.add_typer(models, name="models", short_help="List, import and remove networks.")
console = Console()
errors = Console(stderr=True)


def _choice(words: str, names: Iterable[str], after: str = "", *flags: str) -> Any:
    """An option whose values have names: the help lists them after ``words``, and the shell completes them."""
    known = list(names)

    def beginning(incomplete: str) -> list[str]:
        return [name for name in known if name.startswith(incomplete)]

    words = f"{words}: {', '.join(known) or 'see shield models'}.{after}"
    return typer.Option(*flags, help=words, autocompletion=beginning)


def _surrogates() -> list[str]:
    """By name; the help must come even where the user's models cannot be listed."""
    try:
        return list(shield.SURROGATES)
    except shield.WeightsError:
        return []


Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON and nothing else.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite results that are there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Reference = Annotated[
    str | None,
    typer.Option(help="Another photo of the person, not protected: do recognisers still know who is on both?"),
]
Whole = Annotated[bool, typer.Option("--whole", help="Treat the picture as one region; look for no faces.")]
Device = Annotated[str, _choice("Where to compute", ("auto", "cpu", "cuda", "mps"))]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads to use.")]


@app.command(cls=Command, short_help="Protect photos, and check the saved files.")
def protect(
    photos: Annotated[
        list[str],
        typer.Argument(metavar="PHOTO...", help="Photos, and folders of photos; - is standard input. None is changed."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="A file or a folder to write; - is standard output. Default: beside the photo."
        ),
    ] = None,
    preset: Annotated[str, _choice("How visible the change may be", shield.PRESETS)] = "balanced",
    surrogate: Annotated[list[str] | None, _choice("Protect against this one (repeatable)", _surrogates())] = None,
    attack: Annotated[str, _choice("How to search", shield.ATTACKS)] = DEFAULT.attack,
    bound: Annotated[str, _choice("Shape of the change", shield.BOUNDS)] = DEFAULT.bound,
    objective: Annotated[str, _choice("What the search climbs", shield.OBJECTIVES)] = DEFAULT.objective,
    edit: Annotated[
        list[str] | None, typer.Option(help="Work against this edit of the surrogates alone (repeatable).")
    ] = None,
    classes: Annotated[str, _choice("How to take the edits", shield.CLASSES)] = DEFAULT.classes,
    transform: Annotated[
        list[str] | None,
        _choice("Search through this (repeatable; a+b: one, then the other)", shield.CHANNELS),
    ] = None,
    robust: Annotated[
        bool,
        typer.Option("--robust/--no-robust", help="Search through what the web does, or only what is saved: faster."),
    ] = True,
    steps: Annotated[int, typer.Option(help="Steps of the search, at most.")] = DEFAULT.steps,
    spread: Annotated[
        float, typer.Option(help="How widely the search varies the face's frame: 1 as tools do, 0 not at all.")
    ] = DEFAULT.spread,
    start: Annotated[str, _choice("What the search begins with", shield.STARTS)] = DEFAULT.start,
    seed: Annotated[int, typer.Option(help="Same seed, same photo: same bytes.")] = DEFAULT.seed,
    format: Annotated[str | None, _choice("File format", shield.WRITABLE, " Default: the photo's own.")] = None,
    quality: Annotated[int, typer.Option(help="Of JPEG, HEIF and AVIF, 1 to 100.")] = DEFAULT.quality,
    keep_exif: Annotated[
        bool, typer.Option("--keep-exif", help="Keep the EXIF of camera and picture; no place, no person.")
    ] = False,
    warp: Annotated[
        bool,
        typer.Option("--warp/--no-warp", help="Also bend the face, by half a percent at most; or change pixels only."),
    ] = True,
    person: Annotated[
        str | None,
        typer.Option(
            help="Any name for who is on the photos, always the same for this person: all photos then move towards one "
            "false identity, so that their average does not give the person away. The name is not kept."
        ),
    ] = None,
    person_key: Annotated[Path | None, typer.Option(help="The same, with what is in this file for a name.")] = None,
    reference: Reference = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            help="Sign the file as protected by shield, for everybody to check (C2PA Content Credentials): a "
            "certificate with its chain, PEM. The settings then stand in the file."
        ),
    ] = None,
    credentials_key: Annotated[
        Path | None, typer.Option(help="Its key, PEM, where that is not in the same file.")
    ] = None,
    verification: Annotated[
        str,
        _choice(
            "How much to measure",
            shield.VERIFICATIONS,
            " Quick: what was searched, and the judges, on the file as saved; no channels, no controls, no swaps.",
            "--verify",
        ),
    ] = FULL,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Folders in folders too; --output mirrors them.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Photos at once, each in a process of its own with as many --threads: the bytes stay the same. "
            "Fastest where workers times threads are the processor's cores.",
        ),
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Work on the nodes of the Ray cluster that this machine is a node of (auto; local: this machine "
            "alone), which see the photos under the same paths.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Do only what the journals of earlier runs do not hold, or what has changed."),
    ] = False,
    summary: Annotated[
        str | None, typer.Option(help="Write a row for every photo to this file, .csv or .json.")
    ] = None,
    whole: Whole = False,
    force: Force = False,
    device: Device = DEFAULT.device,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Protect every PHOTO, verify the saved file, and write NAME.shield.EXT, its report and a contact sheet.

    What is wrong with one photo does not end the work on the others. Of several photos, every folder that results go
    to keeps a journal (shield.journal.jsonl), from which --resume goes on. Exit codes, the worst of all photos: 0
    protected; 1 something that should not still works, as saved or after a social network, or no change
    fits the bound (nothing is written then); 2 bad input.
    """
    with _reported():
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
            spread=spread,
            start=start,
            seed=seed,
            format=format,
            quality=quality,
            keep_exif=keep_exif,
            carriers=shield.CARRIERS if warp else shield.PIXELS_ALONE,
            whole=whole,
            device=device,
            person=_person(person, person_key),
        ).with_preset(preset)
        plan, silent = shield.plan_of(verification, recipe), as_json or quiet
        signing = _signing(credentials, credentials_key)
        if _is_alone(photos) and not resume and (summary, ray) == (None, None):
            protecting = Protecting(output, recipe, force, silent, reference, signing, plan)
            protecting.check(photos, as_json)
            code = _on_each(photos, protecting, as_json, quiet)
        else:
            how = recursive, workers, ray, resume, summary
            album = Album(output, recipe, force, silent, reference, signing, plan, *how)
            album.check(photos)
            code = _on_each(photos, album, as_json, quiet)
    raise typer.Exit(code)


@app.command(cls=Command, short_help="Check again what protection does, on two files.")
def verify(
    original: Annotated[str, typer.Argument(help="The photo as it was; - is standard input.")],
    protected: Annotated[str, typer.Argument(help="The photo as it is to be posted; or - for this one.")],
    sheet: Annotated[str | None, typer.Option(help="Write a contact sheet (PNG) here; - is standard output.")] = None,
    adversaries: Annotated[
        bool, typer.Option("--adversaries", help="Also try what undoes protection: cleaning, hardened networks.")
    ] = False,
    reference: Reference = None,
    whole: Whole = False,
    force: Force = False,
    device: Device = DEFAULT.device,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure on two files what protection does: every surrogate, after everything the web does, with controls.

    Exit codes: 0 protected; 1 something that should not still works, or the bound is not kept; 2 bad
    input.
    """
    with _reported():
        _use(threads)
        if original == protected == STREAM:
            raise shield.InputError("Standard input (-) is one photo; name a file for the other.")
        if sheet == STREAM:
            _check_stdout(as_json)
        before, after = _source(original), _source(protected)
        with _progress(as_json or quiet) as progress:
            verification = shield.verify_photo(
                before,
                after,
                device=device,
                whole=whole,
                adversaries=adversaries,
                reference=reference,
                progress=progress.checking,
            )
        if sheet == STREAM:
            _send(verification.sheet_png())
        elif sheet is not None:
            verification.save_sheet(sheet, force)
    written = [] if sheet in (None, STREAM) else [Path(str(sheet))]
    _conclude(verification.report, written, as_json, quiet, errors if sheet == STREAM else console)


@app.command(cls=Command, short_help="Say whether photos are generated or manipulated.")
def detect(
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Photos, and folders of photos; - is standard input.")
    ],
    overlay: Annotated[
        str | None,
        typer.Option(help="Draw the reasons (PNG): a file for one photo, a folder for several; - is standard output."),
    ] = None,
    detector: Annotated[
        str, typer.Option(help="The network: shield's, or a file that Wang et al. published (blur_jpg_prob0.5.pth).")
    ] = "shield",
    check: Annotated[list[str] | None, _choice("Look for this flaw alone (repeatable)", shield.FLAWS)] = None,
    force: Force = False,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say of every PHOTO how likely it is generated or manipulated, and why.

    What is wrong with one photo does not end the work on the others. Exit codes: 0 done, whatever the verdicts; 2 bad
    input.
    """
    with _reported():
        _use(threads)
        detecting = Detecting(overlay, detector, check or None, force, _is_alone(photos))
        detecting.check(photos, as_json)
        code = _on_each(photos, detecting, as_json, quiet)
    raise typer.Exit(code)


class Job(Protocol[T]):
    """What a command does to photos."""

    def outcomes(self, photos: list[str]) -> Iterator[shield.Outcome[T]]:
        """Do it."""
        ...

    def tell(self, photo: str | Path, result: T) -> None:
        """Say what came of one."""
        ...

    def entry(self, photo: str | Path, result: T) -> Any:
        """The same for JSON."""
        ...

    def code(self, result: T) -> int:
        """The exit code."""
        ...

    def gathered(self, entries: list[Any]) -> Any:
        """The entries of all photos as one value."""
        ...

    def conclude(self, outcomes: list[shield.Outcome[T]], silent: bool) -> None:
        """Say, unless silent, what came of all."""
        ...


def _on_each(photos: list[str], job: Job[T], as_json: bool, quiet: bool) -> int:
    """Do a job on every photo and say what came of each; the worst exit code."""
    worst, entries, outcomes = DONE, list[Any](), list[shield.Outcome[T]]()
    for outcome in job.outcomes(photos):
        outcomes.append(outcome)
        if outcome.error is not None or outcome.result is None:
            sentence, name = str(outcome.error), shield.printable(str(outcome.photo))
            _complain(sentence if name in sentence or _is_alone(photos) else f"{name}: {sentence}")
            entries.append({"photo": str(outcome.photo), "error": sentence})
            worst = max(worst, NOT_REACHED if isinstance(outcome.error, UNREACHED) else BAD_INPUT)
            continue
        worst = max(worst, job.code(outcome.result))
        if as_json:
            entries.append(job.entry(outcome.photo, outcome.result))
        elif not quiet:
            job.tell(outcome.photo, outcome.result)
    if as_json:
        typer.echo(json.dumps(job.gathered(entries), indent=2))
    job.conclude(outcomes, as_json or quiet)
    return worst


@dataclass(frozen=True)
class Protecting:
    """``shield protect`` on one photo."""

    output: str | None
    recipe: Recipe
    force: bool
    silent: bool
    reference: str | None
    credentials: shield.Credentials | None
    plan: shield.Plan

    def check(self, photos: list[str], as_json: bool) -> None:
        """Raise InputError where the result cannot go where it should."""
        if self._is_streamed(photos[0]):
            _check_stdout(as_json)

    def outcomes(self, photos: list[str]) -> Iterator[shield.Outcome[tuple[shield.Protection, list[Path]]]]:
        """Protect the photo and write its files, or send it to standard output."""
        return shield.each_photo(photos, self._work)

    def _work(self, photo: str | Path) -> tuple[shield.Protection, list[Path]]:
        source = _source(photo)
        with _progress(self.silent) as progress:
            if not self._is_streamed(photo):
                return shield.protect_file(
                    source,
                    self.output,
                    self.recipe,
                    progress.searching,
                    progress.verifying,
                    force=self.force,
                    plan=self.plan,
                    reference=self.reference,
                    credentials=self.credentials,
                )
            told = progress.searching, progress.verifying
            protection = shield.protect(
                source, self.recipe, *told, plan=self.plan, reference=self.reference, credentials=self.credentials
            )
        _send(protection.data)
        return protection, []

    def tell(self, photo: str | Path, result: tuple[shield.Protection, list[Path]]) -> None:
        """The table and the files."""
        protection, written = result
        stream = errors if self._is_streamed(photo) else console
        _show(protection.report, stream)
        for path in written:
            _say(f"wrote {path}", stream)

    def entry(self, photo: str | Path, result: tuple[shield.Protection, list[Path]]) -> Any:
        """The report."""
        return json.loads(result[0].report.to_json())

    def code(self, result: tuple[shield.Protection, list[Path]]) -> int:
        """Whether the goal is reached."""
        return _code(result[0].report)

    def gathered(self, entries: list[Any]) -> Any:
        """The report by itself."""
        return entries[0]

    def conclude(self, outcomes: list[shield.Outcome[Any]], silent: bool) -> None:
        """Nothing: all is said."""

    def _is_streamed(self, photo: str | Path) -> bool:
        return self.output == STREAM or (self.output is None and photo == STREAM)


@dataclass(frozen=True)
class Album:
    """``shield protect`` on several photos."""

    output: str | None
    recipe: Recipe
    force: bool
    silent: bool
    reference: str | None
    credentials: shield.Credentials | None
    plan: shield.Plan
    recursive: bool
    workers: int
    ray: str | None
    resume: bool
    summary: str | None

    def check(self, photos: list[str]) -> None:
        """Raise InputError where the results of these photos cannot go where they should."""
        if STREAM in (self.output, *photos):
            raise shield.InputError("Standard input and output (-) are for one photo; name files for several.")
        if self.output is not None:
            _check_folder(self.output)
        if self.summary is not None:
            shield.Summary.check(self.summary, self.force, self.resume)
        wanted, cores = self.workers * torch.get_num_threads(), os.cpu_count() or 1
        if self.workers > 1 and wanted > cores and not self.silent:
            _say(
                f"{self.workers} workers begin {wanted} threads, for {cores} cores; fewer --threads are faster.", errors
            )

    def outcomes(self, photos: list[str]) -> Iterator[shield.Outcome[shield.Saved]]:
        """Protect them and write their files."""
        with _watched(self.silent) as (watch, finish):
            for outcome in shield.protect_files(
                photos,
                self.recipe,
                self.output,
                recursive=self.recursive,
                workers=self.workers,
                ray=self.ray,
                resume=self.resume,
                force=self.force,
                plan=self.plan,
                reference=self.reference,
                credentials=self.credentials,
                watch=watch,
            ):
                finish(outcome.photo)
                yield outcome

    def tell(self, photo: str | Path, result: shield.Saved) -> None:
        """A line, and one for every file."""
        _say(f"{photo}: {'done before: ' if result.earlier else ''}{result.sentence}")
        for path in () if result.earlier else result.files:
            _say(f"wrote {path}")

    def entry(self, photo: str | Path, result: shield.Saved) -> Any:
        """The photo, the files and the report."""
        files = list(result.files)
        report = json.loads(files[1].read_text(encoding="utf-8"))
        earlier = {"earlier": True} if result.earlier else {}
        return {"photo": str(photo), "files": list(map(str, files)), "report": report} | earlier

    def code(self, result: shield.Saved) -> int:
        """Whether the goal is reached."""
        return DONE if result.reached else NOT_REACHED

    def gathered(self, entries: list[Any]) -> Any:
        """A list."""
        return entries

    def conclude(self, outcomes: list[shield.Outcome[shield.Saved]], silent: bool) -> None:
        """A table and how many came out how; the file that was asked for."""
        summary = shield.Summary.of(outcomes)
        if not silent:
            table = Table(*map(_named, ("photo", "verdict", "face LPIPS", "s")), box=box.SIMPLE_HEAD, pad_edge=False)
            for row in summary.rows:
                numbers = (f"{row.face_lpips:.3f}", f"{row.seconds:.0f}") if row.files else ()
                verdict = f"{row.verdict} (before)" if row.earlier else row.verdict
                table.add_row(escape(shield.printable(row.photo)), verdict, *numbers)
            console.print(table)
            _say(summary.sentence())
        if self.summary is not None:
            summary.save(self.summary, self.force, self.resume)


@dataclass(frozen=True)
class Detecting:
    """``shield detect`` on one photo after the other."""

    overlay: str | None
    detector: str
    checks: list[str] | None
    force: bool
    alone: bool
    names: set[str] = field(default_factory=set)

    def check(self, photos: list[str], as_json: bool) -> None:
        """Raise InputError where the drawings of these photos cannot go where they should."""
        if self.overlay == STREAM and self.alone:
            _check_stdout(as_json)
        elif self.overlay is not None and not self.alone:
            _check_folder(self.overlay)

    def outcomes(self, photos: list[str]) -> Iterator[shield.Outcome[shield.Verdict]]:
        """Judge them, and draw why."""
        return shield.each_photo(photos, self._work)

    def _work(self, photo: str | Path) -> shield.Verdict:
        _take_name(photo, self.overlay, self.names)
        verdict = shield.detect(_source(photo), detector=self.detector, checks=self.checks)
        if self.overlay == STREAM:
            verdict.overlay().save(sys.stdout.buffer, "PNG")
        elif self.overlay is not None:
            into = os.path.isdir(self.overlay)
            path = Path(self.overlay, f"{Path(photo).name}.overlay.png") if into else self.overlay
            verdict.save_overlay(path, self.force)
        return verdict

    def tell(self, photo: str | Path, result: shield.Verdict) -> None:
        """A line."""
        _say(f"{photo}: {result.sentence()}", errors if self.overlay == STREAM else console)

    def entry(self, photo: str | Path, result: shield.Verdict) -> Any:
        """The verdict."""
        return result.to_dict()

    def code(self, result: shield.Verdict) -> int:
        """Whatever the verdict."""
        return DONE

    def gathered(self, entries: list[Any]) -> Any:
        """A list, also of one."""
        return entries

    def conclude(self, outcomes: list[shield.Outcome[shield.Verdict]], silent: bool) -> None:
        """Nothing: all is said."""


def _is_alone(photos: list[str]) -> bool:
    """Whether this is one photo, and no folder of photos."""
    return len(photos) == 1 and not os.path.isdir(photos[0])


def _source(photo: str | Path) -> str | Path | shield.Photo:
    """The photo that comes through standard input, or the path."""
    return shield.open_photo(sys.stdin.buffer.read()) if photo == STREAM else photo


def _person(name: str | None, file: Path | None) -> str | None:
    """The name of a person, or what is in the file that stands for it."""
    if file is None:
        return name
    if name is not None:
        raise shield.InputError("--person and --person-key both name the person; leave one of them out.")
    try:
        return file.read_bytes().hex()
    except OSError as error:
        raise shield.InputError(f"{file} cannot be read ({error.strerror or error}); name another file.") from error


def _signing(certificate: Path | None, key: Path | None) -> shield.Credentials | None:
    """What to sign with, if anything."""
    if certificate is not None:
        return shield.Credentials.read(certificate, key)
    if key is not None:
        raise shield.InputError("--credentials-key is the key of a certificate; name that with --credentials.")
    return None


def _send(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _check_stdout(as_json: bool) -> None:
    if as_json:
        raise shield.InputError("--json and - are both for standard output; name a file for one of them.")
    if sys.stdout.isatty():
        raise shield.InputError("Standard output (-) is a terminal; send it to a file or a program.")


def _check_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        raise shield.InputError(f"{folder!r} is not a folder; what is made of several photos goes into one.")


def _take_name(photo: str | Path, place: str | None, taken: set[str]) -> None:
    """Let no two photos of one call be written under one name into one folder."""
    name = Path(photo).name
    if place is not None and name in taken:
        raise shield.PhotoError(f"{photo} has the name of a photo that was written to {place} before; write elsewhere.")
    taken.add(name)


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
    table = Table(*map(_named, ("faces", "what", "of", "unedited", *map(escape, names))))
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
        width = min(max(map(len, entries)), console.width // 2)
        heads = map(_named, ("what it does", "licence", "surrogate", "file"))
        table = Table(Column("model", min_width=width, overflow="fold"), *heads, box=box.SIMPLE_HEAD, pad_edge=False)
        for name, entry in entries.items():
            state = "altered or missing" if faults[name] else "intact"
            role = "yes" if name in shield.SURROGATES else "judge" if name in shield.JUDGES else ""
            table.add_row(escape(name), entry.what, entry.licence, role, state)
        console.print(table)
    for fault in filter(None, faults.values()):
        _complain(fault)
    raise typer.Exit(BAD_INPUT if any(faults.values()) else DONE)


@models.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A checkpoint as its authors publish it. It is never changed.")],
    family: Annotated[
        str,
        typer.Option(
            "--as",
            help=f"What it is: {RECOGNISER} (ONNX), {', '.join(shield.FAMILIES)}; "
            f"a generator of faces: {', '.join(shield.LAYOUTS)}.",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="What to call it. Default: the family's name and FILE's.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the faces it edits, in px. Default: the family's.")] = None,
    attributes: Annotated[
        str,
        typer.Option(
            help="What its conditions are, in the order of training: Black_Hair,Eyeglasses,... (of two data sets: "
            "a,b+c,d), or 'published' for the authors' own. Default: numbers, for no file says it."
        ),
    ] = "",
    template: Annotated[str, typer.Option(help="Of a recogniser: the frame it wants.")] = "arcface_112",
    order: Annotated[str, typer.Option(help="Of a recogniser: the order of its colours, rgb or bgr.")] = "rgb",
    cosine: Annotated[
        float | None, typer.Option(help="Of a recogniser: above which two faces are one person's.")
    ] = None,
    judge: Annotated[
        bool, typer.Option("--judge", help="Of a recogniser: no search may ask it; reports say whether it knows you.")
    ] = False,
) -> None:
    """Check FILE, convert it, and keep it in your model folder: from then on it is a surrogate in every command.

    A generator makes faces for the detector to be tested on.
    The folder is the one that SHIELD_MODELS names, or shield/models in your user data. Exit codes: 0 done; 2 bad input.
    """
    with _reported():
        if family == RECOGNISER:
            if size is not None or attributes:
                raise shield.InputError("--size and --attributes are not for recognisers; leave them out.")
            entry = shield.import_recogniser(file, name, template, order, cosine, judge)
        elif family in shield.LAYOUTS:
            if size is not None or attributes:
                raise shield.InputError("--size and --attributes are not for generators; leave them out.")
            entry = shield.import_generator(file, family, name)
        else:
            entry = shield.import_model(file, family, name, size, attributes)
    use = f"Use it with --surrogate {entry.name}."
    if judge:
        use = "Every report asks it."
    elif family in shield.LAYOUTS:
        use = "shield bench run wang says how well it is told from photographs."
    _say(
        f"imported {entry.source} (sha256 {entry.source_sha256[:12]}...) as {entry.name}. {entry.what} "
        f"{entry.training} Licence: {entry.licence}. {use}"
    )


@models.command("remove")
def remove_model(name: Annotated[str, typer.Argument(help="A model that you imported.")]) -> None:
    """Take an imported model out of your model folder."""
    with _reported():
        shield.remove_model(name)
    _say(f"removed {name}")


@app.command(short_help="For research: train a network of models/ anew.")
def train(
    recipe: Annotated[str, typer.Argument(help=f"What to train: {', '.join(shield.RECIPES)}.")],
    data: Annotated[Path, typer.Option(help="Folder with labels.csv and the archives of aligned faces.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, sample sheet and weights.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")] = False,
    weights: Annotated[Path | None, typer.Option(help="Begin with these weights (safetensors) of the recipe.")] = None,
    adversarial: Annotated[
        str | None,
        typer.Option(help="Harden its generator (g), or its critic as well (gd), on pictures changed to break it."),
    ] = None,
    hours: Annotated[float | None, typer.Option(min=0, help="Stop after so many hours.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto; not every recipe knows others than cpu.")] = "cpu",
    threads: Threads = None,
) -> None:
    """Train one of the networks in models/ anew. Takes hours on a processor; interrupt and --resume as you like."""

    def report(step: int, steps: int, losses: dict[str, float], seconds: float) -> None:
        if step % 20 == 0:
            words = "  ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
            _say(f"{step} of {steps}, {seconds / 60:.0f} min left: {words}")

    with _reported():
        _use(threads)
        step = shield.train_model(
            recipe,
            data,
            out,
            resume=resume,
            weights=weights,
            hours=hours,
            hardening=adversarial,
            device=device,
            report=report,
        )
    _say(f"stopped at step {step}; weights and sample sheet are in {out}")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check that all works here, and how long it takes.

    Exit codes: 0 all is as it should be; 2 something is not.
    """
    findings = list[shield.Finding]()
    with _reported():
        for finding in shield.examine():
            findings.append(finding)
            if not as_json:
                _say(f"{'ok ' if finding.well else 'BAD'} {finding.about}: {finding.says}")
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    raise typer.Exit(DONE if all(finding.well for finding in findings) else BAD_INPUT)


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
    except UNREACHED as error:
        _complain(str(error))
        raise typer.Exit(NOT_REACHED) from error
    except shield.ShieldError as error:
        _complain(str(error))
        raise typer.Exit(BAD_INPUT) from error
    except KeyboardInterrupt as error:
        _complain("Cancelled.")
        raise typer.Exit(CANCELLED) from error


def _say(text: str, stream: Console | None = None) -> None:
    """Print a line that may hold names of files."""
    (stream or console).print(shield.printable(text), markup=False, highlight=False, soft_wrap=True)


def _complain(sentence: str) -> None:
    _say(f"shield: {sentence}", errors)


def _use(threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Told:
    """Callbacks that show how far shield is: ``searching`` and then ``verifying``, or ``checking`` alone."""

    searching: Callable[[int, int, float], None]
    verifying: Callable[[int, int], None]
    checking: Callable[[int, int], None]


@contextmanager
def _progress(silent: bool) -> Iterator[Told]:
    """A progress bar on stderr. Search and verification are told apart, and each says how long it still takes."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=errors, transient=True, disable=silent) as bar:

        def begin(words: str, total: int | None = None) -> None:
            """Start a clock of its own: how long one phase took says nothing about the next."""
            for old in bar.task_ids:
                bar.remove_task(old)
            bar.add_task(words, total=total)

        def search(step: int, steps: int, best: float) -> None:
            if bar.tasks[0].total is None:
                begin("1 of 2, searching", steps)
            bar.update(bar.task_ids[0], completed=step)
            if step == steps:  # nobody knows how long this takes
                begin("1 of 2, making the change as small as it may be")

        def check(done: int, total: int, words: str = "checking the saved file") -> None:
            if done == 0:
                begin(words, total)
            bar.update(bar.task_ids[0], completed=done)

        begin("finding faces")
        yield Told(search, lambda done, total: check(done, total, "2 of 2, checking the saved file"), check)


@contextmanager
def _watched(silent: bool) -> Iterator[tuple[Callable[[int, int, str | Path, float], None], Callable[[object], None]]]:
    """Progress bars on stderr, over photos and within: the callback for steps, and the one for photos that are done."""
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    own = sys.stdout.isatty()  # then what is printed goes above the bars; else it goes where it was sent
    with Progress(*columns, console=errors, transient=True, disable=silent, redirect_stdout=own) as bar:
        whole, within, shares = bar.add_task("photos", total=None), dict[str, TaskID](), dict[str, float]()

        def update(done: int, count: int, photo: str | Path, share: float) -> None:
            name = str(photo)
            if name not in within:
                within[name] = bar.add_task("", total=1)
            shares[name] = share
            words = "verifying" if share == 1 else "searching" if share else "finding faces"
            bar.update(within[name], completed=share, description=f"{escape(shield.printable(name))}: {words}")
            progress = done + sum(shares.values())
            bar.update(whole, completed=progress, total=count, description=f"{done} of {count} photos")

        def finish(photo: object) -> None:
            if (task := within.pop(str(photo), None)) is not None:
                bar.remove_task(task)
                del shares[str(photo)]

        yield update, finish


def _conclude(report: Report, written: list[Path], as_json: bool, quiet: bool, stream: Console) -> NoReturn:
    """Say what was found and written, and end with the exit code for it."""
    if as_json and not quiet:
        typer.echo(report.to_json(), nl=False)
    elif not quiet:
        _show(report, stream)
        for path in written:
            _say(f"wrote {path}", stream)
    raise typer.Exit(_code(report))


def _code(report: Report) -> int:
    return DONE if report.reached and report.bound_kept is not False else NOT_REACHED


def _show(report: Report, stream: Console) -> None:
    stream.print(escape(report.lead()), highlight=False)
    stream.print(_doors(report))
    face = report.worst_face.visibility
    bound = f" (bound {report.recipe['face_lpips']:g})" if report.recipe else ""
    faces = "one face" if len(report.faces) == 1 else f"{len(report.faces)} faces, the worst"
    stream.print(
        f"Change: {faces}: LPIPS {face.face_lpips:.3f}{bound}, FLIP {face.flip:.3f}, "
        f"PSNR {face.psnr:.1f} dB, SSIM {face.ssim:.3f}, at most {face.max_levels} levels.",
        highlight=False,
    )
    for note in (*report.original.notes, report.credentials_sentence()):
        if note:
            stream.print(escape(note), highlight=False)
    sentences = report.details() + ([report.reference_sentence()] if report.reference else [])
    for sentence in [*sentences, report.detector_sentence()]:
        stream.print(escape(sentence), highlight=False)
    if _fits("broken", report):
        stream.print(_table("broken", report))
    if report.adversaries:
        stream.print(_table("broken after", report.other_side))
        stream.print(escape(report.adversary_sentence()), highlight=False)
        stream.print(escape(report.undo_sentence()), highlight=False)


def _doors(report: Report) -> Table:
    """What still works, by way into the photo; narrow enough for every terminal."""
    (title, *heads), rows = report.door_table()
    columns = [Column(title, overflow="fold"), *(Column(head, overflow="fold", justify="right") for head in heads)]
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table


def _widths(title: str, report: Report) -> list[int]:
    """Of the longest word in every column of the table of shares."""
    names = " ".join((title, *report.row_titles())), *report.table()
    return [max(map(len, name.split())) for name in names]


def _fits(title: str, report: Report) -> bool:
    """Whether no word of that table has to be broken."""
    words = _widths(title, report)
    return sum(words) + len(words) < console.width


def _table(title: str, report: Report) -> Table:
    """Share of (face x edit x frame): a row per channel and kind of frames, a column per surrogate and control."""
    columns = report.table()
    fits = _fits(title, report)  # then no word is broken; else the narrowest column is still whole
    heads = [
        Column(name, min_width=width if fits else None, overflow="fold")
        for name, width in zip((title, *columns), _widths(title, report), strict=True)
    ]
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for row in report.row_titles():
        table.add_row(row, *(f"{shares[row]:.0%}" if row in shares else "" for shares in columns.values()))
    return table


def _named(title: str) -> Column:
    """A column whose words are folded, never cut, so that on a narrow terminal names that begin alike stay apart."""
    return Column(title, overflow="fold")
