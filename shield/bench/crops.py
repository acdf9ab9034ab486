"""Original and protected photo side by side at 100 %: what is seen of protection, for whoever looks.

shield bench crops FOLDER OUT.png --preset subtle
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console

from shield import Recipe, ShieldError, protect
from shield.bench.photos import NOTHING, Pixels, photos_below
from shield.photo import read

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


def sheet(pairs: Sequence[tuple[Pixels, Pixels]], side: int) -> Image.Image:
    """A row per pair."""
    rows = []
    for pair in pairs:
        row = np.full((side, 2 * side, 3), 255, np.uint8)
        for number, crop in enumerate(pair):
            row[: crop.shape[0], number * side : number * side + crop.shape[1]] = crop
        rows.append(row)
    return Image.fromarray(np.concatenate(rows))


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
    try:
        recipe = Recipe(format="png", steps=steps).with_preset(preset)
        photos = photos_below(folder)[::every]
    except ShieldError as error:
        raise typer.BadParameter(str(error)) from error
    pairs = list[tuple[Pixels, Pixels]]()
    for photo in photos:
        try:
            pairs.append(crops(photo, recipe, side))
        except ShieldError as error:
            console.print(f"{photo.name}: {error}", markup=False, highlight=False)
    if not pairs:
        raise typer.BadParameter(f"{folder} holds no photo that can be protected")
    sheet(pairs, side).save(out, "PNG")
    console.print(f"wrote {out}", markup=False, highlight=False)
