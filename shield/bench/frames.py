"""Does the protection hold in frames that no search saw? After which channels, for which aligners and networks?

shield bench frames FOLDER --preset balanced --faces ARCHIVES
"""

import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table

from shield import BoundError, FaceError, Recipe, Report, protect
from shield.bench.ablation import test_faces
from shield.bench.portraits import THOROUGH, cell, photos_in, scaled, usable_deepfakes
from shield.channels import AS_SAVED
from shield.surrogates import judges
from shield.verify import NOISE, PROTECTED

PORTRAITS, TEST_FACES = "portraits", "test faces"
console = Console(width=160)


def share(report: Report, picture: str, channel: str, frame: str, network: str) -> float | None:
    """Share of (face x edit x frame) disrupted of a network; None where that was not measured."""
    rows = report.select(picture, channel, network, frame)
    return statistics.mean(row.share for row in rows) if rows else None


@dataclass(frozen=True)
class Line:
    """A row of the table: the shares of every photo, and of its noise control where that was measured."""

    network: str
    channel: str
    frame: str
    protected: list[float]
    noise: list[float]


def lines(reports: Sequence[Report]) -> Iterator[Line]:
    """A row per network, channel and kind of frames."""
    networks = dict.fromkeys(name for report in reports for name in report.surrogates())
    rows = dict.fromkeys(row for report in reports for row in report.rows())
    for network, (channel, frame) in product(networks, rows):
        shares = [[share(it, picture, channel, frame, network) for it in reports] for picture in (PROTECTED, NOISE)]
        protected, noise = ([value for value in values if value is not None] for values in shares)
        if protected:
            yield Line(network, channel, frame, protected, noise)


def table(sets: Mapping[str, tuple[Sequence[Report], int]]) -> Table:
    """Mean and 95 % interval over photos, by set: its reports, and how many photos could not be protected (as 0)."""
    head = "photos", "network", "channel", "frames", "photos measured", "share disrupted", "noise control"
    result = Table(*head, box=box.MARKDOWN)
    for name, (reports, failed) in sets.items():
        for line in lines(reports):
            count = f"{len(line.protected)} of {len(reports) + failed}"
            noise = cell(line.noise, 0) if line.noise else ""
            result.add_row(name, line.network, line.channel, line.frame, count, cell(line.protected, failed), noise)
    return result


def measured(photos: Sequence[Path], recipe: Recipe) -> tuple[list[Report], int]:
    """The report of every photo, on what the search asks and on the judges, and how many could not be protected."""
    reports: list[Report] = []
    plan = replace(THOROUGH, surrogates=(*recipe.searched, *judges))
    for path in photos:
        try:
            report = protect(path, recipe, plan=plan).report
        except (BoundError, FaceError) as error:
            console.print(f"{path.name}: {error}", highlight=False)
            continue
        reports.append(report)
        seen = report.worst_face.visibility
        console.print(
            f"{path.name}: LPIPS {seen.face_lpips:.3f}, FLIP {seen.flip:.3f}, loudest {seen.loudest:.2f}, skin "
            f"{seen.skin:.2f}, stains {seen.stains:.2f}, irises {seen.irises:.2f}, "
            f"warp {seen.warp:.4f}; search {report.seconds['search']:.0f} s",
            highlight=False,
        )
        for network in report.surrogates():
            figures = [(frame, share(report, PROTECTED, AS_SAVED, frame, network)) for frame in report.frames()]
            words = ", ".join(f"{frame} {value:.2f}" for frame, value in figures if value is not None)
            console.print(f"  {network}: {words}", highlight=False)
    return reports, len(photos) - len(reports)


def written(faces: Path, count: int, folder: Path) -> list[Path]:
    """Test faces of the archives of training as files."""
    paths = []
    for number, face in enumerate(test_faces(faces, count, ("lfw",))):
        paths.append(folder / f"face{number:02}.png")
        Image.fromarray(face.pixels).save(paths[-1])
    return paths


def main(
    folder: Annotated[Path, typer.Argument(help="Portraits.")],
    faces: Annotated[Path | None, typer.Option(help="The face archives of training, for LFW's test photos.")] = None,
    preset: Annotated[str, typer.Option()] = "balanced",
    surrogate: Annotated[list[str] | None, typer.Option()] = None,
    every: Annotated[int, typer.Option(help="One portrait in so many, by name.")] = 4,
    count_faces: Annotated[int, typer.Option(help="How many test photos.")] = 8,
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    scale: Annotated[float, typer.Option(help="Scale the portraits first (for small faces).")] = 1.0,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Print what holds in frames that no search saw, in the search's own and where aligners find the face."""
    torch.set_num_threads(threads)
    names = tuple(surrogate or Recipe().surrogates)
    recipe = Recipe(surrogates=names, format="png", steps=steps).with_preset(preset)
    with tempfile.TemporaryDirectory() as temporary:
        copies = Path(temporary)
        photos = photos_in(folder)[::every]
        sets = {PORTRAITS: [scaled(path, copies, scale) for path in photos] if scale != 1 else photos}
        if faces:
            sets[TEST_FACES] = written(faces, count_faces, copies)
        results = {name: measured(paths, recipe) for name, paths in sets.items()}
    done = {name: result for name, result in results.items() if result[0]}
    if not done:
        raise typer.BadParameter(f"{folder} holds no photo that can be protected")
    console.print(table(done))
    for name, (reports, failed) in done.items():
        console.print(f"{name}:", highlight=False)
        console.print(usable_deepfakes(reports, failed))
