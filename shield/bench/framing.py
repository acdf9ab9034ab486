"""How far from where shield found a face may a manipulator find it, and the protection still holds?

shield bench framing FOLDER --preset balanced
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import numpy as np
import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from shield import Protection, Recipe, protect
from shield.bench.portraits import cell, photos_in
from shield.faces import Face
from shield.surrogates import load_surrogate
from shield.verify import PROTECTED, Effect, find_faces
from shield.verify.channels import Channel, unchanged
from shield.verify.effects import measure_effects
from shield.web import Pixels

CPU = torch.device("cpu")
console = Console(width=120)
Move = Callable[[float, Face, Pixels, Pixels], Face]  # how far, to either side; the rest as in verify.channels.Frame


def _shifted(percent: float, face: Face, original: Pixels, sent: Pixels) -> Face:
    return face.reframed((percent / 100, -percent / 100), 1.0, 0.0)


def _scaled(percent: float, face: Face, original: Pixels, sent: Pixels) -> Face:
    return face.reframed((0.0, 0.0), 1 + percent / 100, 0.0)


def _turned(degrees: float, face: Face, original: Pixels, sent: Pixels) -> Face:
    return face.reframed((0.0, 0.0), 1.0, degrees)


MOVES: Mapping[str, tuple[Move, tuple[float, ...]]] = MappingProxyType(
    {
        "shifted, % of the frame both ways": (_shifted, (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)),
        "scaled, %": (_scaled, (0.5, 1.0, 2.0, 4.0, 8.0)),
        "turned, degrees": (_turned, (0.25, 0.5, 1.0, 2.0, 4.0)),
    }
)


def framings() -> dict[tuple[str, float], list[Channel]]:
    """Every move and how far: the face found so far off to the one side and to the other."""
    return {
        (name, far): [Channel(unchanged, partial(move, amount)) for amount in (far, -far)]
        for name, (move, steps) in MOVES.items()
        for far in steps
    }


def measured(protection: Protection, recipe: Recipe) -> dict[tuple[str, float], list[Effect]]:
    """What the surrogates that the search saw make of the protected photo, by move and how far."""
    surrogates = [load_surrogate(name, CPU) for name in recipe.searched]
    faces = find_faces(protection.original, recipe.whole)
    before, after = protection.original.pixels, {PROTECTED: protection.photo.pixels}
    return {
        key: measure_effects(
            before, after, dict(zip("+-", ways, strict=True)), faces, surrogates, recipe.searched, CPU
        )[0]
        for key, ways in framings().items()
    }


def table(photos: Sequence[Mapping[tuple[str, float], Sequence[Effect]]]) -> Table:
    """A row per move and how far: share disrupted, with 95 % intervals over photos, and mean distance in thresholds."""
    result = Table("the face is found", "by", "share disrupted", "distance in thresholds", box=box.MARKDOWN)
    for key in photos[0]:
        shares = [float(np.mean([effect.disrupted for effect in photo[key]])) for photo in photos]
        distances = [effect.distance / effect.threshold for photo in photos for effect in photo[key]]
        result.add_row(key[0], f"{key[1]:g}", cell(shares, 0), f"{np.mean(distances):.2f}")
    return result


def main(
    folder: Annotated[Path, typer.Argument(help="Photos.")],
    preset: Annotated[str, typer.Option()] = "balanced",
    count: Annotated[int, typer.Option(help="How many photos.")] = 5,
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Print what holds where the face is found a little elsewhere, larger or turned, on photos as they are saved."""
    torch.set_num_threads(threads)
    recipe = Recipe(format="png", steps=steps).with_preset(preset)
    paths = photos_in(folder, count)
    if not paths:
        raise typer.BadParameter(f"{folder} holds no photos")
    photos = []
    for path in paths:
        photos.append(measured(protect(path, recipe), recipe))
        console.print(path.name, highlight=False)
    console.print(table(photos))
