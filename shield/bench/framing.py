"""How far from where shield found a face may a manipulator find it, and the protection still holds?

shield bench framing FOLDER --preset balanced
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from shield import BoundError, FaceError, Protection, Recipe, printable, protect
from shield.batch import photos_in
from shield.bench.portraits import cell
from shield.faces import Face
from shield.surrogates import load_surrogate
from shield.verify import PROTECTED, Effect, find_faces
from shield.verify.channels import Channel, unchanged
from shield.verify.effects import measure_effects
from shield.web import Pixels

CPU = torch.device("cpu")
console = Console(width=120)
Move = Callable[[float, Face], Face]  # how far, to either side, and the face


def _shifted(percent: float, face: Face) -> Face:
    return face.reframed((percent / 100, -percent / 100), 1.0, 0.0)


def _scaled(percent: float, face: Face) -> Face:
    return face.reframed((0.0, 0.0), 1 + percent / 100, 0.0)


def _turned(degrees: float, face: Face) -> Face:
    return face.reframed((0.0, 0.0), 1.0, degrees)


MOVES: Mapping[str, tuple[Move, tuple[float, ...]]] = MappingProxyType(
    {
        "shifted along both axes, % of the frame": (_shifted, (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)),
        "scaled, %": (_scaled, (0.5, 1.0, 2.0, 4.0, 8.0)),
        "turned, degrees": (_turned, (0.25, 0.5, 1.0, 2.0, 4.0)),
    }
)


def _moved(move: Callable[[Face], Face], faces: Sequence[Face], original: Pixels, sent: Pixels) -> Sequence[Face]:
    return [move(face) for face in faces]


def framings() -> dict[tuple[str, float], list[Channel]]:
    """Every move and how far: the face found so far off to the one side and to the other."""
    return {
        (name, far): [Channel(unchanged, partial(_moved, partial(move, amount))) for amount in (far, -far)]
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
    """A row per move and how far, with 95 % intervals over photos."""
    result = Table("the face is found", "by", "share disrupted", "distance in thresholds", box=box.MARKDOWN)
    for name, far in photos[0]:
        rows = [photo[name, far] for photo in photos]
        shares = [statistics.mean(effect.disrupted for effect in row) for row in rows]
        distances = [statistics.mean(effect.distance / effect.threshold for effect in row) for row in rows]
        result.add_row(name, f"{far:g}", cell(shares, 0), cell(distances, 0))
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
    photos = []
    for path in photos_in(folder, count):
        try:
            photos.append(measured(protect(path, recipe), recipe))
        except (BoundError, FaceError) as error:
            console.print(printable(f"{path.name}: {error}"), markup=False, highlight=False)
    if not photos:
        raise typer.BadParameter(f"{folder} holds no photo that can be protected")
    console.print(table(photos))
