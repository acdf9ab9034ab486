"""Attack x bound x robustness at equal face LPIPS, on networks seen and unseen: the table of the papers.

shield bench ablation PORTRAITS --faces FOLDER
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from shield import PLAIN, PRESETS, BoundError, Recipe, Report, protect
from shield.bench.portraits import cell, photos_in
from shield.bench.statistics import peak_memory
from shield.surrogates import load_surrogates
from shield.training.data import load_faces
from shield.verify import NOISE, PROTECTED

Pixels = NDArray[np.uint8]
console = Console(width=200)
CPU = torch.device("cpu")


def cases(manipulators: Sequence[str]) -> dict[str, Recipe]:
    """What is compared, by name; every strength is put on top of it."""
    every = Recipe(surrogates=tuple(manipulators), format="png")
    plain = replace(every, transforms=PLAIN)
    bare = replace(plain, steered=False, masked=False)  # shrunk to the face LPIPS only at the end
    return {
        "fgsm, linf": replace(bare, attack="fgsm"),
        "pgd, linf": replace(bare, attack="pgd"),
        "mifgsm, linf": replace(bare, attack="mifgsm"),
        "adam, linf": bare,
        "adam, lab": replace(bare, bound="lab"),
        "adam, l2 and lpips": replace(bare, bound="l2", steered=True),
        "adam, lpips": replace(bare, steered=True),
        "adam, lpips and mask": plain,
        "the same, robust": every,
        "the same, one class after the other": replace(every, classes="iterative"),
    } | {
        f"robust, without {name}": replace(every, surrogates=tuple(n for n in manipulators if n != name))
        for name in manipulators
    }


@dataclass(frozen=True)
class Outcome:
    """One photo under one case at one strength. ``report`` is None where no change fits the bound."""

    set: str
    case: str
    bound: float
    report: Report | None


def portraits(folder: Path, count: int) -> Iterator[Pixels]:
    """The first photos of a folder."""
    for path in photos_in(folder, count):
        yield np.asarray(Image.open(path).convert("RGB"))


def test_faces(folder: Path, count: int) -> Iterator[Pixels]:
    """Held-out faces, evenly chosen from the archives of training."""
    faces = load_faces(folder, "test").faces
    for number in np.linspace(0, len(faces) - 1, count).astype(int):
        yield np.ascontiguousarray(faces[number].permute(1, 2, 0).numpy())


def outcomes(photos: dict[str, list[Pixels]], recipes: dict[str, Recipe], presets: Sequence[str]) -> Iterator[Outcome]:
    """Every photo under every case at every strength."""
    for preset in presets:
        for case, recipe in recipes.items():
            strong = recipe.with_preset(preset)
            for name, pictures in photos.items():
                whole = name == "test faces"  # cropped to the face already
                for pixels in pictures:
                    try:
                        report = protect(pixels, replace(strong, whole=whole)).report
                    except BoundError:
                        report = None
                    yield Outcome(name, case, strong.face_lpips, report)


def rate(report: Report | None, picture: str, channel: str, seen: bool) -> float:
    """Share of the edits of networks seen, or of those unseen, that are disrupted."""
    if report is None:
        return 0.0
    rows = [e for e in report.select(picture, channel) if e.seen == seen and e.l2 is not None]
    return sum(row.disrupted for row in rows) / len(rows) if rows else float("nan")


def effect(report: Report | None, picture: str) -> float:
    """Mean distance, in thresholds, of what unseen manipulators make of the picture."""
    rows = [e for e in report.select(picture) if not e.seen and e.l2 is not None] if report else []
    return statistics.mean(e.distance / e.threshold for e in rows) if rows else float("nan")


def table(found: Sequence[Outcome]) -> Table:
    """A row per set, case and bound: shares with 95 % bootstrap intervals over photos."""
    reports = [o.report for o in found if o.report is not None]
    channels = reports[0].channels()
    head = ("faces", "case", "bound", "LPIPS", "PSNR", "SSIM", *channels, "noise", "unseen", "unseen: noise", "s")
    result = Table(*head, title="share disrupted, of networks that the search saw")
    for key in dict.fromkeys((o.set, o.case, o.bound) for o in found):
        result.add_row(*row(key, [o.report for o in found if (o.set, o.case, o.bound) == key], channels))
    return result


def row(key: tuple[str, str, float], reports: Sequence[Report | None], channels: Sequence[str]) -> list[str]:
    """One row of the table."""
    done = [report for report in reports if report is not None]
    if not done:
        return [*map(str, key)]
    words = [_interval([rate(report, PROTECTED, channel, True) for report in reports]) for channel in channels]
    unseen = _interval([rate(report, PROTECTED, "none", False) for report in reports])
    apart = [statistics.mean(effect(report, picture) for report in done) for picture in (PROTECTED, NOISE)]
    return [
        *map(str, key),
        f"{statistics.mean(report.face_lpips for report in done):.3f}",
        f"{statistics.mean(report.worst_face.visibility.psnr for report in done):.1f}",
        f"{statistics.mean(report.worst_face.visibility.ssim for report in done):.3f}",
        *words,
        _interval([rate(report, NOISE, "none", True) for report in reports]),
        "" if apart[0] != apart[0] else f"{unseen}, effect {apart[0]:.2f}",
        "" if apart[1] != apart[1] else f"effect {apart[1]:.2f}",
        f"{statistics.median(report.seconds['search'] for report in done):.1f}",
    ]


def _interval(values: list[float]) -> str:
    return "" if any(value != value for value in values) else cell(values, 0)


def main(
    folder: Annotated[Path, typer.Argument(help="Portraits.")],
    faces: Annotated[Path | None, typer.Option(help="The face archives of training; their test split is used.")] = None,
    count: Annotated[int, typer.Option(help="How many portraits.")] = 20,
    count_faces: Annotated[int, typer.Option(help="How many test faces.")] = 40,
    preset: Annotated[list[str] | None, typer.Option(help="Only this strength (repeatable).")] = None,
    case: Annotated[list[str] | None, typer.Option(help="Only cases whose name has this in it (repeatable).")] = None,
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Print attack x bound x robustness at equal face LPIPS, seen and unseen, on portraits and test faces."""
    torch.set_num_threads(threads)
    known = cases([surrogate.name for surrogate in load_surrogates(CPU) if surrogate.makes_pictures])
    chosen = {
        name: replace(recipe, steps=steps)
        for name, recipe in known.items()
        if not case or any(word in name for word in case)
    }
    if not chosen:
        raise typer.BadParameter(f"no case has that in its name; there are: {', '.join(known)}")
    photos = {"portraits": list(portraits(folder, count))}
    if faces is not None:
        photos["test faces"] = list(test_faces(faces, count_faces))
    found = []
    for outcome in outcomes(photos, chosen, preset or list(PRESETS)):
        found.append(outcome)
        held = rate(outcome.report, PROTECTED, "none", True)
        console.print(f"{outcome.set}, {outcome.case}, {outcome.bound:g}: {held:.2f}", highlight=False)
    console.print(table(found))
    console.print(f"{steps} steps at most, {threads} threads, peak memory {peak_memory():.2f} GB.", highlight=False)
