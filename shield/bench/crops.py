"""Original and protected photo side by side at 100 %: what is seen of protection, for whoever looks.

shield bench crops FOLDER OUT.png --preset subtle
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console

from shield import BoundError, FaceError, Plan, Recipe, protect
from shield.bench.photos import Pixels, photos_below
from shield.photo import read

NOTHING = Plan(surrogates=(), channels=(), frames=())
console = Console()


def crops(photo: Path, recipe: Recipe, side: int) -> tuple[Pixels, Pixels]:
    """Around the middle of the largest face, at most ``side`` px: of the original, and of the saved file."""
    protection = protect(photo, recipe, plan=NOTHING)
    x0, y0, x1, y1 = protection.report.faces[0].box
    pixels = read(photo).pixels
    height, width = pixels.shape[:2]
    left = int(min(max(0, (x0 + x1 - side) / 2), max(0, width - side)))
    top = int(min(max(0, (y0 + y1 - side) / 2), max(0, height - side)))
    window = slice(top, top + side), slice(left, left + side)
    return pixels[window], protection.photo.pixels[window]


def sheet(pairs: Iterator[tuple[Pixels, Pixels]], side: int) -> Image.Image:
    """A row per pair."""
    rows = []
    for pair in pairs:
        row = np.full((side, 2 * side, 3), 255, np.uint8)
        for number, crop in enumerate(pair):
            row[: crop.shape[0], number * side : number * side + crop.shape[1]] = crop
        rows.append(row)
    return Image.fromarray(np.concatenate(rows or [np.full((side, 2 * side, 3), 255, np.uint8)]))


def main(
    folder: Annotated[Path, typer.Argument(help="Photos with faces.")],
    out: Annotated[Path, typer.Argument(help="The picture to write (PNG, so that nothing is lost).")],
    preset: Annotated[str, typer.Option()] = "balanced",
    every: Annotated[int, typer.Option(min=1, help="One photo in so many, by name.")] = 1,
    side: Annotated[int, typer.Option(min=64, help="Of a crop, px.")] = 480,
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Write 100 % crops of originals and of what protection makes of them, side by side."""
    torch.set_num_threads(threads)
    recipe = Recipe(format="png", steps=steps).with_preset(preset)

    def pairs() -> Iterator[tuple[Pixels, Pixels]]:
        for photo in photos_below(folder)[::every]:
            try:
                yield crops(photo, recipe, side)
            except (BoundError, FaceError) as error:
                console.print(f"{photo.name}: {error}", markup=False, highlight=False)

    sheet(pairs(), side).save(out, "PNG")
    console.print(f"wrote {out}", markup=False, highlight=False)
