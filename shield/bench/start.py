"""What it saves to begin the search with the universal change: steps and seconds, next to the random start.

shield bench start FOLDER --count 8
"""

import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from shield import PLAIN, ROBUST, Recipe, protect
from shield.batch import photos_in
from shield.bench.portraits import scaled
from shield.bench.statistics import interval
from shield.device import pick_device
from shield.starts.random import NAME as RANDOM
from shield.starts.universal import NAME as UNIVERSAL
from shield.surrogates import load_surrogates

COMPARED = (RANDOM, UNIVERSAL)
console = Console(width=120)


class EndOfSearchError(Exception):
    """What follows the search is the same for every start."""


@dataclass(frozen=True)
class Search:
    """After every step, from the start on: the best share of the goal so far, and the seconds since the photo came."""

    best: list[float]
    seconds: list[float]

    def level_with(self, share: float) -> int:
        """After how many steps the share was reached; all of them where it never was."""
        return next((step for step, best in enumerate(self.best) if best >= share), len(self.best) - 1)


def search(photo: Path, recipe: Recipe) -> Search:
    """The search on a photo with one face, and nothing after it."""
    found, began = Search([], []), time.perf_counter()

    def progress(step: int, steps: int, share: float) -> None:
        found.best.append(share)
        found.seconds.append(time.perf_counter() - began)
        if step == steps:
            raise EndOfSearchError

    with suppress(EndOfSearchError):
        protect(photo, recipe, progress)
    return found


def row(name: str, random: Search, universal: Search) -> list[str]:
    """The table's row of one photo."""
    cells = [
        f"{len(one.best) - 1} steps, {one.best[0]:.2f} to {one.best[-1]:.2f}, {one.seconds[-1]:.1f} s"
        for one in (random, universal)
    ]
    level = universal.level_with(random.best[-1])
    return [name, *cells, f"{level} steps, {universal.best[level]:.2f}, {universal.seconds[level]:.1f} s"]


def saved(runs: list[tuple[Search, Search]]) -> str:
    """What the universal start saves on the way to where the random one ends, with 95 % bootstrap intervals."""
    steps, seconds = [], []
    for random, universal in runs:
        level = universal.level_with(random.best[-1])
        steps.append(float(len(random.best) - 1 - level))
        seconds.append(random.seconds[-1] - universal.seconds[level])
    parts = [f"{mean:.1f} [{low:.1f}, {high:.1f}]" for mean, low, high in map(interval, (steps, seconds))]
    return f"Saved per photo: {parts[0]} steps, {parts[1]} s."


def main(
    folder: Annotated[Path, typer.Argument(help="Photos with one face each.")],
    preset: Annotated[str, typer.Option()] = "balanced",
    attack: Annotated[str, typer.Option()] = Recipe().attack,
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    surrogate: Annotated[list[str] | None, typer.Option()] = None,
    robust: Annotated[bool, typer.Option("--robust/--no-robust")] = True,
    scale: Annotated[float, typer.Option(help="Scale the photos first (for small faces).")] = 1.0,
    count: Annotated[int | None, typer.Option(help="Only the first photos.")] = None,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Search on every photo of FOLDER from both starts."""
    torch.set_num_threads(threads)
    names = tuple(surrogate or Recipe().surrogates)
    roads = ROBUST if robust else PLAIN
    recipe = Recipe(surrogates=names, transforms=roads, attack=attack, steps=steps, format="png").with_preset(preset)
    table = Table(
        "photo", *(f"{start} start: share of the goal" for start in COMPARED), "level with the random one's end"
    )
    load_surrogates(pick_device(recipe.device))  # the first photo does not pay for them
    runs = []
    photos = photos_in(folder, count)
    with tempfile.TemporaryDirectory() as copies:
        for photo in photos if scale == 1 else [scaled(photo, Path(copies), scale) for photo in photos]:
            random, universal = (search(photo, replace(recipe, start=start)) for start in COMPARED)
            runs.append((random, universal))
            table.add_row(*row(photo.name, random, universal))
    console.print(table)
    console.print(f"{saved(runs)} {recipe}, {threads} threads.", highlight=False)
