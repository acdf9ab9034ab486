"""What it saves to begin the search with a change that was made before: steps and seconds, beside the random start."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from shield import Recipe, protect
from shield.bench.experiments.experiment import (
    Case,
    Experiment,
    Row,
    Setting,
    experiments,
    grouped,
    mean_of,
    name_of,
    numbers,
    photos_of,
)
from shield.bench.statistics import spread
from shield.device import pick_device
from shield.errors import InputError
from shield.starts import random, starts
from shield.surrogates import load_surrogates


class EndOfSearchError(Exception):
    """What follows the search is the same for every start."""


@dataclass(frozen=True)
class Search:
    """After every step, from the start on: the best share of the goal so far, and the seconds since the photo came."""

    best: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def level_with(self, share: float) -> int:
        """After how many steps the share was reached; all of them where it never was."""
        return next((step for step, best in enumerate(self.best) if best >= share), len(self.best) - 1)


def search(photo: Path, recipe: Recipe) -> Search:
    """The search on a photo with one face, and nothing after it."""
    found, began = Search(), time.perf_counter()

    def progress(step: int, steps: int, share: float) -> None:
        found.best.append(share)
        found.seconds.append(time.perf_counter() - began)
        if step == steps:
            raise EndOfSearchError

    with suppress(EndOfSearchError):
        protect(photo, recipe, progress)
    return found


class Starts(Experiment):
    """See above."""

    title = "How far every start of the search is ahead of the random one"
    paper = ""
    published: Sequence[Row] = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        photos = photos_of(setting)
        if not setting.recipe.searched:
            raise InputError(
                f"--attack {setting.recipe.attack} does not search, so that no start helps it; name another."
            )
        load_surrogates(pick_device(setting.recipe.device))  # the first photo does not pay for them
        for photo in photos:
            yield Case(name_of(photo), partial(self.measure, photo, setting.recipe), [photo])

    def measure(self, photo: Path, recipe: Recipe) -> list[Row]:
        """A row per start."""
        return compared(name_of(photo), {name: search(photo, replace(recipe, start=name)) for name in starts})

    def table(self, rows: Sequence[Row]) -> list[Row]:
        """Means over photos; of what is saved with intervals."""
        means = "first", "last", "steps", "seconds"
        return [
            {
                "start": start,
                **{name: mean_of(numbers(part, name)) for name in means},
                "steps saved": spread(numbers(part, "steps saved")),
                "seconds saved": spread(numbers(part, "seconds saved")),
                "photos": len(part),
            }
            for (start,), part in grouped(rows, "start").items()
        ]


experiments.register("starts")(Starts())


def compared(photo: str, found: Mapping[str, Search]) -> list[Row]:
    """A row per start. ``first``, ``last``: shares of the goal; saved: until it is where the random one ended."""
    plain = found[random.NAME]
    arrived = plain.level_with(plain.best[-1])
    rows = list[Row]()
    for start, one in found.items():
        level = one.level_with(plain.best[-1])
        rows.append(
            {
                "photo": photo,
                "start": start,
                "first": one.best[0],
                "last": one.best[-1],
                "steps": len(one.best) - 1,
                "seconds": one.seconds[-1],
                "steps saved": arrived - level,
                "seconds saved": plain.seconds[arrived] - one.seconds[level],
            }
        )
    return rows
