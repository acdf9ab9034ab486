"""Attack x bound x robustness within the same face LPIPS, on networks seen and unseen: the table of the papers.

How much of the bound each case used stands beside it.

shield bench ablation PORTRAITS --faces FOLDER --results FILE
"""

import hashlib
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from shield import PLAIN, PRESETS, BoundError, FaceError, Plan, Recipe, RecipeError, Report, protect
from shield.batch import photos_in
from shield.bench.portraits import cell
from shield.bench.statistics import peak_memory
from shield.channels import AS_SAVED, verified
from shield.photo import read
from shield.surrogates import load_surrogates
from shield.training.data import SOURCES, load_faces
from shield.verify import HELD, NOISE, PROTECTED, Effect
from shield.weights import weights_in_use

Pixels = NDArray[np.uint8]
console = Console(width=600)  # a row of Markdown is not broken
CPU = torch.device("cpu")
PORTRAITS, TEST_FACES = "portraits", "test faces"
ALL = Plan(frames=(HELD,), unseen=True)  # rows are compared over all manipulators, after every channel
ORDER = 0  # seed of the order in which test faces are taken


def cases(manipulators: Sequence[str]) -> dict[str, Recipe]:
    """What is compared, by name; every strength is put on top of it."""
    every = Recipe(surrogates=tuple(manipulators), format="png")
    plain = replace(every, transforms=PLAIN)
    steered = replace(plain, attack="adam", classes="joint")
    bare = replace(steered, steered=False)  # shrunk to what may be seen only at the end
    return {
        "fgsm, linf": replace(bare, attack="fgsm"),
        "pgd, linf": replace(bare, attack="pgd"),
        "mifgsm, linf": replace(bare, attack="mifgsm"),
        "adam, linf": bare,
        "adam, lab": replace(bare, bound="lab"),
        "adam, l2, steered": replace(bare, bound="l2", steered=True),
        "adam, steered": steered,
        "adam, steered and mask": replace(steered, masked=True),
        "tangent": plain,
        "the same, robust": every,
        "the same, all classes together": replace(every, classes="joint"),
    } | {
        f"robust, without {name}": replace(every, surrogates=tuple(n for n in manipulators if n != name))
        for name in manipulators
    }


@dataclass(frozen=True)
class Picture:
    """One photo to protect."""

    set: str
    pixels: Pixels

    @property
    def whole(self) -> bool:
        """Whether it is taken as one region, because it is a face crop already."""
        return self.set == TEST_FACES

    @cached_property
    def sha256(self) -> str:
        """Of the pixels."""
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()


@dataclass(frozen=True)
class Measured:
    """What a report says, in the numbers of the table; shares are of (face x edit) disrupted in held
    frames.

    ``face_lpips``, ``psnr`` (dB) and ``ssim`` are of the worst face. ``channels``: by channel, of all manipulators, so
    that rows can be compared; ``noise``: the same of the noise control, as saved. ``manipulators``: as saved, by name.
    ``unseen``: as saved, of manipulators that the search did not see, and ``unseen_distance``, ``noise_distance``
    their mean distances on the protected photo and on the noise, in thresholds; None where it saw all of them.
    ``seconds``: of the search.
    """

    face_lpips: float
    psnr: float
    ssim: float
    channels: dict[str, float]
    noise: float
    manipulators: dict[str, float]
    unseen: float | None
    unseen_distance: float | None
    noise_distance: float | None
    seconds: float

    @classmethod
    def of(cls, report: Report) -> "Measured":
        """From the report of one photo."""
        face = report.worst_face.visibility
        rows = _made(report, PROTECTED)
        unseen, noise = (_unseen(_made(report, picture)) for picture in (PROTECTED, NOISE))
        return cls(
            face_lpips=face.face_lpips,
            psnr=face.psnr,
            ssim=face.ssim,
            channels={channel: _share(_made(report, PROTECTED, channel)) for channel in report.channels()},
            noise=_share(_made(report, NOISE)),
            manipulators={
                name: _share([row for row in rows if row.surrogate == name])
                for name in dict.fromkeys(row.surrogate for row in rows)
            },
            unseen=_share(unseen) if unseen else None,
            unseen_distance=_distance(unseen) if unseen else None,
            noise_distance=_distance(noise) if noise else None,
            seconds=report.seconds["search"],
        )


def _made(report: Report, picture: str, channel: str = AS_SAVED) -> list[Effect]:
    """The rows of manipulators that make pictures."""
    return [effect for effect in report.select(picture, channel) if effect.l2 is not None]


def _unseen(rows: Sequence[Effect]) -> list[Effect]:
    return [row for row in rows if not row.seen]


def _share(rows: Sequence[Effect]) -> float:
    return statistics.mean(row.share for row in rows)


def _distance(rows: Sequence[Effect]) -> float:
    return statistics.mean(row.distance / row.threshold for row in rows)


@dataclass(frozen=True)
class Outcome:
    """One photo under one case at one strength. ``measured`` is None where no change fits the bound.

    ``photo``: the sha256 of its pixels. ``models``: what was measured with, see ``models_in_use``.
    """

    set: str
    photo: str
    case: str
    recipe: Recipe
    models: str
    measured: Measured | None

    @property
    def run(self) -> tuple[str, str, str, Recipe, str]:
        """What decides the outcome."""
        return self.set, self.photo, self.case, self.recipe, self.models

    @classmethod
    def of(cls, line: str) -> "Outcome":
        """From a line of a file of results."""
        values = json.loads(line)
        recipe, measured = Recipe.of(values.pop("recipe")), values.pop("measured")
        return cls(**values, recipe=recipe, measured=measured and Measured(**measured))

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), allow_nan=False) + "\n"


def models_in_use() -> str:
    """The sha256 of all weights and the names of all channels, as one: other results are no answer to this run."""
    return hashlib.sha256(json.dumps([weights_in_use(), list(verified())], sort_keys=True).encode()).hexdigest()


def portraits(folder: Path, count: int) -> Iterator[Picture]:
    """The first photos of a folder."""
    for path in photos_in(folder, count):
        yield Picture(PORTRAITS, read(path).pixels)


def test_faces(folder: Path, count: int, sources: Sequence[str]) -> Iterator[Picture]:
    """Held-out faces from the archives of training, in an order of their own, so that fewer are a part of more."""
    faces = load_faces(folder, "test", sources=tuple(sources)).faces
    for number in np.random.default_rng(ORDER).permutation(len(faces))[:count]:
        yield Picture(TEST_FACES, np.ascontiguousarray(faces[int(number)].permute(1, 2, 0).numpy()))


def in_turn(*sets: Sequence[Picture]) -> list[Picture]:
    """All pictures, so that every beginning of the list holds the same share of every set."""
    places = [((place + 1) / len(pictures), picture) for pictures in sets for place, picture in enumerate(pictures)]
    return [picture for _, picture in sorted(places, key=lambda item: item[0])]


def outcomes(
    pictures: Sequence[Picture],
    recipes: dict[str, Recipe],
    presets: Sequence[str],
    known: Sequence[Outcome],
    keep: Callable[[Outcome], None],
    plan: Plan = ALL,
) -> Iterator[Outcome]:
    """Every photo under every case at every strength; what is not ``known`` is measured and told to ``keep``."""
    answers = {outcome.run: outcome for outcome in known}
    models = models_in_use()
    for picture in pictures:
        for preset in presets:
            for case, recipe in recipes.items():
                strong = replace(recipe.with_preset(preset), whole=picture.whole)
                asked = Outcome(picture.set, picture.sha256, case, strong, models, None)
                found = answers.get(asked.run)
                if found is None:
                    found = replace(asked, measured=_measured(picture, strong, plan))
                    keep(found)
                yield found


def _measured(picture: Picture, recipe: Recipe, plan: Plan) -> Measured | None:
    try:
        return Measured.of(protect(picture.pixels, recipe, plan=plan).report)
    except (BoundError, FaceError) as error:
        console.print(str(error), markup=False, highlight=False)
        return None


def table(found: Sequence[Outcome]) -> Table:
    """A row per set, strength and case: shares with 95 % bootstrap intervals over photos."""
    some = next((outcome.measured for outcome in found if outcome.measured), None)
    ways, manipulators = (list(some.channels), list(some.manipulators)) if some else ([], [])
    result = Table(
        *("set", "LPIPS bound", "case", "photos", "LPIPS", "PSNR", "SSIM", *ways, "noise, as saved"),
        *(f"{name}, as saved" for name in manipulators),
        *("unseen, as saved", "unseen: distance in thresholds", "of noise", "search, s"),
        title="Share of (face x edit x held frame) disrupted, of all manipulators, mean and 95 % interval over photos",
        title_justify="left",
        box=box.MARKDOWN,
    )
    for column in result.columns:
        column.no_wrap = True
    for key in sorted(dict.fromkeys(map(_key, found)), key=lambda key: key[0]):
        result.add_row(*row(key, [o.measured for o in found if _key(o) == key], ways, manipulators))
    return result


def _key(outcome: Outcome) -> tuple[str, float, str]:
    return outcome.set, outcome.recipe.face_lpips, outcome.case


def row(
    key: tuple[str, float, str],
    photos: Sequence[Measured | None],
    ways: Sequence[str],
    manipulators: Sequence[str],
) -> list[str]:
    """One row of the table; a photo that fits no bound counts as not disrupted."""
    done = [measured for measured in photos if measured]
    failed = len(photos) - len(done)
    head = [*map(str, key), f"{len(done)} of {len(photos)}" if failed else str(len(photos))]
    if not done:
        return [*head, "", "", "", *(cell([], failed) for _ in ways)]
    unseen = [m.unseen for m in done if m.unseen is not None]
    return [
        *head,
        _mean([m.face_lpips for m in done], 3),
        _mean([m.psnr for m in done], 1),
        _mean([m.ssim for m in done], 3),
        *(cell([m.channels[way] for m in done], failed) for way in ways),
        cell([m.noise for m in done], 0),
        *(cell([m.manipulators[name] for m in done], failed) for name in manipulators),
        cell(unseen, failed) if unseen else "",
        _mean([m.unseen_distance for m in done], 3),
        _mean([m.noise_distance for m in done], 3),
        f"{statistics.median(m.seconds for m in done):.1f}",
    ]


def _mean(values: Sequence[float | None], places: int) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.mean(known):.{places}f}" if known else ""


def recorded(results: Path) -> list[Outcome]:
    """The outcomes that a file of results holds; one that is not there is begun.

    A last line that was not written to its end is cut off.
    """
    try:
        with results.open("a+", encoding="utf-8") as file:  # what cannot be written is refused before all work
            file.seek(0)
            text = file.read()
            whole = text[: text.rfind("\n") + 1]
            known = [Outcome.of(line) for line in whole.splitlines()]
            if whole != text and known:
                file.truncate(len(whole.encode()))
    except OSError as error:
        raise typer.BadParameter(f"{results} cannot be written; name another file.") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecipeError) as error:
        raise typer.BadParameter(f"{results} holds no results of this command; name another file.") from error
    if text and not known:
        raise typer.BadParameter(f"{results} holds no results of this command; name another file.")
    return known


def append(results: Path, outcome: Outcome) -> None:
    """Add an outcome to a file of results."""
    with results.open("a", encoding="utf-8") as file:
        file.write(outcome.to_json())


def main(
    folder: Annotated[Path, typer.Argument(help="Portraits.")],
    faces: Annotated[Path | None, typer.Option(help="The face archives of training; their test split is used.")] = None,
    count: Annotated[int, typer.Option(help="How many portraits.")] = 20,
    count_faces: Annotated[int, typer.Option(help="How many test faces.")] = 40,
    preset: Annotated[list[str] | None, typer.Option(help="Only this strength (repeatable).")] = None,
    case: Annotated[list[str] | None, typer.Option(help="Only cases whose name has this in it (repeatable).")] = None,
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    threads: Annotated[int, typer.Option()] = 2,
    results: Annotated[
        Path | None,
        typer.Option(help="A file to which every measurement is added; what it holds is not measured again."),
    ] = None,
) -> None:
    """Print attack x bound x robustness within the same face LPIPS, seen and unseen, on portraits and test faces."""
    torch.set_num_threads(threads)
    every = cases([surrogate.name for surrogate in load_surrogates(CPU) if surrogate.makes_pictures])
    chosen = {
        name: replace(recipe, steps=steps)
        for name, recipe in every.items()
        if not case or any(word in name for word in case)
    }
    if not chosen:
        raise typer.BadParameter(f"no case has that in its name; there are: {', '.join(every)}")
    known = recorded(results) if results else []

    def keep(outcome: Outcome) -> None:
        if results:
            append(results, outcome)
        held = f"{outcome.measured.channels[AS_SAVED]:.2f}" if outcome.measured else "not protected"
        where = f"{outcome.set} {outcome.photo[:8]}, {outcome.case}, {outcome.recipe.face_lpips:g}"
        console.print(f"{where}: {held}", highlight=False)

    pictures = in_turn(list(portraits(folder, count)), list(test_faces(faces, count_faces, SOURCES)) if faces else [])
    if not pictures:
        raise typer.BadParameter(f"{folder} holds no photos")
    console.print(table(list(outcomes(pictures, chosen, preset or list(PRESETS), known, keep))))
    console.print(f"{steps} steps at most, {threads} threads, peak memory {peak_memory():.2f} GB.", highlight=False)
