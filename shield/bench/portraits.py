"""Protect every photo of a folder and print what holds on the reopened files.

shield bench portraits FOLDER --preset subtle --format jpeg
"""

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shield import BoundError, FaceError, Plan, Recipe, Report, printable, protect_file, verify_photo
from shield.batch import photos_in
from shield.bench.statistics import interval, peak_memory
from shield.channels import AS_SAVED, verified
from shield.frames import HELD as DRAWS
from shield.photo import read
from shield.verify import EXACT, HELD, NOISE, PROTECTED, RESAVED

# All held frames and the exact one after every channel, for controls too; aligners as saved and after one codec.
THOROUGH = Plan(few=DRAWS, exact=verified(), found=(AS_SAVED, "jpeg75"), controls=verified())
PICTURES = PROTECTED, RESAVED, NOISE
console = Console(width=180)


@dataclass(frozen=True)
class Run:
    """One photo: what was measured on the very bytes of its file, and how long it took with verification."""

    name: str
    report: Report
    seconds: float


def run(photo: Path, folder: Path, recipe: Recipe, adversaries: bool) -> Run:
    """Protect a photo into ``folder``; the file on the disk must be the one that was measured."""
    target = folder / f"{photo.stem}.shield.{recipe.format or photo.suffix[1:]}"
    began = time.perf_counter()
    protection, written = protect_file(photo, target, recipe, force=True, plan=THOROUGH)
    seconds = time.perf_counter() - began
    report = json.loads(written[1].read_text(encoding="utf-8"))
    if read(written[0]).sha256 != report["protected"]["sha256"]:
        raise RuntimeError(f"{written[0]} is not the file that was measured")
    named = replace(protection.report.protected, name=target.name)
    tried = verify_photo(photo, written[0], adversaries=True, plan=THOROUGH).report.adversaries if adversaries else ()
    return Run(photo.name, replace(protection.report, protected=named, adversaries=tried), seconds)


def row(result: Run) -> list[str]:
    """The table's row of one photo."""
    report = result.report
    rates = [shown(share(report, PROTECTED, *place)) for place in places(report)]
    face = report.worst_face.visibility
    return [
        escape(printable(result.name)),
        f"{face.face_lpips:.4f}",
        f"{report.photo.max_levels}",
        f"{face.psnr:.1f}",
        f"{face.ssim:.3f}",
        f"{report.photo.changed_outside}",
        *rates,
        shown(share(report, NOISE, AS_SAVED)),
        f"{result.seconds:.1f}",
    ]


def places(report: Report) -> list[tuple[str, str]]:
    """The columns of the table: every kind of frames as saved, and held frames after every other channel."""
    return [(channel, frame) for channel, frame in report.rows() if channel == AS_SAVED or frame == HELD]


def named(place: tuple[str, str]) -> str:
    """A column's heading."""
    channel, frame = place
    return frame if channel == AS_SAVED else channel


def share(
    report: Report, picture: str, channel: str = AS_SAVED, frame: str = HELD, surrogate: str | None = None
) -> float | None:
    """Share of (face x edit x frame) that are disrupted, of one manipulator or of all that the search saw.

    None where that was not measured.
    """
    effects = [effect for effect in report.select(picture, channel, surrogate, frame) if surrogate or effect.seen]
    return statistics.mean(effect.share for effect in effects) if effects else None


def shown(value: float | None) -> str:
    """A share in the table of photos."""
    return "" if value is None else f"{value:.2f}"


def shares(reports: list[Report], picture: str, *place: str) -> list[float]:
    """The share of every photo where it was measured."""
    return [value for report in reports if (value := share(report, picture, *place)) is not None]


def summary(runs: list[Run], failed: int) -> Table:
    """Share disrupted by channel, frames and picture, with 95 % bootstrap intervals over photos.

    A failed photo counts as 0.
    """
    table = Table("channel", "frames", *(f"share disrupted, {picture}" for picture in PICTURES))
    reports = [run.report for run in runs]
    for channel, frame in reports[0].rows():
        columns = [shares(reports, picture, channel, frame) for picture in PICTURES]
        table.add_row(channel, frame, *(cell(values, failed) if values else "" for values in columns))
    return table


def usable_deepfakes(reports: Sequence[Report], failed: int) -> Table:
    """Share of frames in which edits make a usable deepfake, of the original and of every picture, by editor and place.

    Mean and interval over photos. Only edits count that make one of the original: so many of those that a judge reads,
    on so many photos. The ``failed`` photos are none of these.
    """
    places_of = "editor", "channel", "frames", "photos", "edits that work"
    table = Table(*places_of, "usable deepfakes of the original", *map("of {}".format, PICTURES), box=box.MARKDOWN)
    editors = dict.fromkeys(row.surrogate for report in reports for row in report.effects if row.usable is not None)
    for editor, (channel, frame) in product(editors, places(reports[0])):
        read = [row for report in reports for row in report.select(PROTECTED, channel, editor, frame)]
        found = {name: outcomes(reports, name, channel, editor, frame) for name in PICTURES}
        before, _ = found[PROTECTED]
        if before and frame != EXACT:
            counts = f"{len(before)} of {len(reports) + failed}", f"{sum(row.works for row in read)} of {len(read)}"
            shares = before, *(found[name][1] for name in PICTURES)
            table.add_row(editor, channel, frame, *counts, *(cell(own, 0) if own else "" for own in shares))
    return table


def outcomes(reports: Sequence[Report], *place: str) -> tuple[list[float], list[float]]:
    """Of every photo on which an edit works: the share of usable deepfakes of the original, and of a picture.

    ``place``: picture, channel, surrogate and kind of frames.
    """
    working = [[row for row in report.select(*place) if row.works] for report in reports]
    shares = [[(row.usable_clean or 0.0, row.usable or 0.0) for row in rows] for rows in working if rows]
    before, after = ([statistics.mean(pair[side] for pair in rows) for rows in shares] for side in (0, 1))
    return before, after


def spotted(runs: list[Run]) -> Table:
    """What the detector's network says of the photos and of what is made of them: is a broken one easier to spot?"""
    table = Table("the detector says", "mean probability", "called fake")
    rows = [row for run in runs for row in run.report.detections]
    for subject in dict.fromkeys((row.picture, row.surrogate) for row in rows):
        own = [row for row in rows if (row.picture, row.surrogate) == subject]
        called = statistics.mean(row.verdict == "fake" for row in own)
        name = " by ".join(word for word in subject if word)
        table.add_row(name, f"{statistics.mean(row.probability for row in own):.3f}", f"{called:.3f}")
    return table


def other_side(runs: list[Run], failed: int) -> Table:
    """The same after what each adversary does, by manipulator: of the protected photos, and of the originals."""
    sides = [run.report.other_side for run in runs]
    columns = [(picture, name) for picture in (PROTECTED, RESAVED) for name in sides[0].surrogates()]
    table = Table("share disrupted after", *(f"{picture}, {name}" for picture, name in columns))
    for channel in sides[0].channels():
        values = [shares(sides, picture, channel, HELD, name) for picture, name in columns]
        table.add_row(channel, *(cell(own, failed) for own in values))
    return table


def cell(values: list[float], failed: int) -> str:
    """Mean and interval over photos, of which ``failed`` more count as 0."""
    mean, low, high = interval(values + [0.0] * failed)
    return f"{mean:.3f} [{low:.2f}, {high:.2f}]"


def scaled(photo: Path, folder: Path, scale: float) -> Path:
    """A copy of the photo at ``scale``, lossless."""
    image = Image.open(photo).convert("RGB")
    size = round(image.width * scale), round(image.height * scale)
    target = folder / f"{photo.stem}.small.png"
    image.resize(size, Image.Resampling.LANCZOS).save(target)
    return target


def crops(runs: list[Run], photos: list[Path], folder: Path, target: Path, side: int = 480) -> None:
    """Original and protected at 100 %, side by side around the middle of the largest face, one row per photo."""
    rows = []
    by_name = {photo.name: photo for photo in photos}
    for result in runs:
        photo = by_name[result.name]
        x0, y0, x1, y1 = result.report.faces[0].box
        pair = [
            np.asarray(Image.open(path).convert("RGB")) for path in (photo, folder / str(result.report.protected.name))
        ]
        left, top = max(0, int((x0 + x1 - side) / 2)), max(0, int((y0 + y1 - side) / 2))
        pair = [pixels[top : top + side, left : left + side] for pixels in pair]
        height = min(side, pair[0].shape[0])
        rows.append(np.concatenate([pixels[:height, :side] for pixels in pair], axis=1))
    Image.fromarray(np.concatenate([r for r in rows if r.shape == rows[0].shape], axis=0)).save(target)


def main(
    folder: Annotated[Path, typer.Argument(help="Photos with faces.")],
    preset: Annotated[str, typer.Option()] = "balanced",
    format: Annotated[str, typer.Option()] = "png",
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    attack: Annotated[str, typer.Option()] = Recipe().attack,
    surrogate: Annotated[list[str] | None, typer.Option()] = None,
    scale: Annotated[float, typer.Option(help="Scale the photos first (for small faces).")] = 1.0,
    count: Annotated[int | None, typer.Option(help="Only the first photos.")] = None,
    threads: Annotated[int, typer.Option()] = 2,
    adversaries: Annotated[bool, typer.Option("--adversaries", help="Also try what undoes protection.")] = False,
    look: Annotated[Path | None, typer.Option(help="Write 100 % crops of original and protected here.")] = None,
) -> None:
    """Protect every photo of FOLDER and print what holds on the reopened files."""
    torch.set_num_threads(threads)
    names = tuple(surrogate or Recipe().surrogates)
    recipe = Recipe(surrogates=names, attack=attack, steps=steps, format=format).with_preset(preset)
    photos = photos_in(folder, count)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        if scale != 1:
            photos = [scaled(photo, out, scale) for photo in photos]
        for photo in photos:
            try:
                runs.append(run(photo, out, recipe, adversaries))
                console.print("  ".join(row(runs[-1])), highlight=False)
            except (BoundError, FaceError) as error:
                console.print(printable(f"{photo.name}  {error}"), markup=False, highlight=False)
        if runs:
            conclude(runs, photos, recipe, threads)
        if runs and look is not None:
            crops(runs, photos, out, look)


def conclude(runs: list[Run], photos: list[Path], recipe: Recipe, threads: int) -> None:
    """Print the tables."""
    columns = map(named, places(runs[0].report))
    table = Table("photo", "face LPIPS", "levels", "PSNR", "SSIM", "outside", *columns, "noise", "s")
    for result in runs:
        table.add_row(*row(result))
    console.print(table)
    console.print(summary(runs, len(photos) - len(runs)))
    console.print(usable_deepfakes([run.report for run in runs], len(photos) - len(runs)))
    console.print(spotted(runs))
    if runs[0].report.adversaries:
        console.print(other_side(runs, len(photos) - len(runs)))
    worst = max(run.report.face_lpips for run in runs)
    console.print(
        f"{recipe}\n{len(runs)} of {len(photos)} photos; worst face LPIPS {worst:.4f} (bound {recipe.face_lpips:g}); "
        f"largest change {max(run.report.photo.max_levels for run in runs)} levels; "
        f"median {statistics.median(run.seconds for run in runs):.1f} s per photo, verification included; "
        f"peak memory {peak_memory():.2f} GB; {threads} threads, {recipe.device}.",
        highlight=False,
    )
