"""Show what the networks of models/ make of photos, and the detector of them: the sample sheets on their cards.

shield bench samples FOLDER OUT
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image
from rich.console import Console

from shield.detection import Shipped, probability_of
from shield.faces import detect, warp
from shield.faces.aligners import aligners
from shield.photo import read, to_pixels, to_tensor
from shield.surrogates import Surrogate, load_surrogates
from shield.swap import ALIGNER, SWAP, Canvas, Swapper, donor, donors, identity, pasted, repainted, shipped_swap
from shield.verify.sheet import Pixels, sample_sheet

QUALITY = 85
console = Console()
CPU = torch.device("cpu")


@torch.no_grad()
def samples(surrogate: Surrogate, photo: Path) -> tuple[Pixels, list[Pixels]]:
    """The largest face of a photo as the surrogate gets it, and its edits."""
    pixels = read(photo).pixels
    crop = warp(to_tensor(pixels), detect(pixels)[0], surrogate.size, surrogate.framing)
    return to_pixels(crop), [to_pixels((edit + 1) / 2) for edit in surrogate(crop)[0]]


@torch.no_grad()
def detector_sheet(photo: Path) -> Image.Image:
    """What the detector says of a photo's face and of the first edit of every manipulator."""
    parts = [part for part in load_surrogates(CPU) if part.makes_pictures]
    pairs = [samples(part, photo) for part in parts]
    face, made = pairs[0][0], [edits[0] for _, edits in pairs]
    odds = Shipped().log_odds(torch.cat([to_tensor(picture) for picture in (face, *made)]))
    before, *after = [f"{probability_of(value):.0%}" for value in odds.tolist()]
    captions = [f"{part.name}: {share}" for part, share in zip(parts, after, strict=True)]
    return sample_sheet(f"detector: how likely made; the original: {before}", captions, [(face, made)])


def swap_sheet(photos: Sequence[Path], network: Swapper) -> Image.Image:
    """People who may be shown, each on every donor; all but the photo is marked."""
    rows = []
    for photo in photos:
        pixels = read(photo).pixels
        if faces := aligners[ALIGNER](pixels):  # as reports make swaps
            canvases = [donor(name) for name in donors]
            made = pasted(canvases, repainted(canvases, identity(pixels, faces[0]), network))
            rows.append((Canvas.around(pixels, faces[0]).pixels, made))
    return sample_sheet(SWAP, list(donors), rows)


def main(
    folder: Annotated[Path, typer.Argument(help="JPEG photos with a face each; only such as may be shown.")],
    out: Annotated[Path, typer.Argument(help="Where NAME.jpg goes, one per manipulator.")],
    count: Annotated[int, typer.Option(help="Photos on a sheet, evenly chosen.")] = 5,
) -> None:
    """Write a sheet per manipulator and one of swaps; every made picture is marked."""
    photos = sorted(folder.glob("*.jpg"))
    chosen = photos[:: max(1, len(photos) // count)][:count]
    for surrogate in load_surrogates(CPU):
        if surrogate.makes_pictures:
            rows = [samples(surrogate, photo) for photo in chosen]
            target = out / f"{surrogate.name}.jpg"
            sample_sheet(surrogate.name, surrogate.edits, rows).save(target, quality=QUALITY)
            console.print(f"wrote {target}", markup=False, highlight=False)
    if (network := shipped_swap(CPU)) is not None:
        swap_sheet(chosen, network).save(out / f"{SWAP}.jpg", quality=QUALITY)
        console.print(f"wrote {out / SWAP}.jpg", markup=False, highlight=False)
    detector_sheet(chosen[0]).save(out / "detector.jpg", quality=QUALITY)
