"""Attack x bound x robustness at equal face LPIPS, on networks seen and unseen: the table of the papers.

shield bench ablation PORTRAITS --faces FOLDER --results FILE
"""

import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table

from shield import PLAIN, PRESETS, BoundError, Recipe, Report, protect
from shield.bench.portraits import cell, photos_in
from shield.bench.statistics import peak_memory
from shield.surrogates import load_surrogates
from shield.training.data import load_faces
from shield.verify import NOISE, PROTECTED
from shield.verify.channels import AS_SAVED

Pixels = NDArray[np.uint8]
console = Console(width=600)  # a row of Markdown is not broken
CPU = torch.device("cpu")
PORTRAITS, TEST_FACES = "portraits", "test faces"
ORDER = 0  # seed of the order in which test faces are taken


def cases(manipulators: Sequence[str]) -> dict[str, Recipe]:
    """What is compared, by name; every strength is put on top of it."""
    every = Recipe(surrogates=tuple(manipulators), format="png")
    plain = replace(every, transforms=PLAIN)
    bare = replace(plain, steered=False, masked=False)  # shrunk to the face LPIPS only at the end
    return {
        "fgsm, linf": replace(bare, attack="fgsm"),
        "pgd, linf": replace(bare, attack="pgd"),
        "mifgsm, linf": replace(bare, attack="mifgsm"),
        "adam, linf": bare,
        "adam, lab": replace(bare, bound="lab"),
        "adam, l2 and lpips": replace(bare, bound="l2", steered=True),
        "adam, lpips": replace(bare, steered=True),
        "adam, lpips and mask": plain,
        "the same, robust": every,
        "the same, one class after the other": replace(every, classes="iterative"),
    } | {
        f"robust, without {name}": replace(every, surrogates=tuple(n for n in manipulators if n != name))
        for name in manipulators
    }


@dataclass(frozen=True)
class Picture:
    """One photo to protect. ``whole``: it is a face crop already."""

    set: str
    name: str
    pixels: Pixels

    @property
    def whole(self) -> bool:
        """Whether it is taken as one region."""
        return self.set == TEST_FACES


@dataclass(frozen=True)
class Measured:
    """What a report says, in the numbers of the table; shares are of (face x edit) disrupted.

    ``seen``: by channel, of manipulators that the search saw. ``noise``: the same of the noise control, as saved.
    ``manipulators``: as saved, by name, seen or not. ``unseen``, ``effect`` and ``noise_effect``: as saved, of
    manipulators that it did not see: share, and mean distance in thresholds of the protected photo and of the noise.
    """

    face_lpips: float
    psnr: float
    ssim: float
    seen: dict[str, float]
    noise: float
    manipulators: dict[str, float]
    unseen: float
    effect: float
    noise_effect: float
    seconds: float

    @classmethod
    def of(cls, report: Report) -> "Measured":
        """From the report of one photo."""
        face = report.worst_face.visibility
        made = [effect.surrogate for effect in report.select() if effect.l2 is not None]
        return cls(
            face.face_lpips,
            face.psnr,
            face.ssim,
            {channel: rate(report, PROTECTED, channel, True) for channel in report.channels()},
            rate(report, NOISE, AS_SAVED, True),
            {
                name: _share(effect.disrupted for effect in report.select(surrogate=name))
                for name in dict.fromkeys(made)
            },
            rate(report, PROTECTED, AS_SAVED, False),
            effect_of_unseen(report, PROTECTED),
            effect_of_unseen(report, NOISE),
            report.seconds["search"],
        )


@dataclass(frozen=True)
class Outcome:
    """One photo under one case at one strength. ``measured`` is None where no change fits the bound."""

    set: str
    photo: str
    case: str
    recipe: dict[str, Any]
    measured: Measured | None

    @classmethod
    def of(cls, line: str) -> "Outcome":
        """From a line of a file of results."""
        values = json.loads(line)
        measured = values.pop("measured")
        return cls(**values, measured=measured and Measured(**measured))

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    def answers(self, picture: Picture, case: str, recipe: Recipe) -> bool:
        """Whether it is the outcome of this very run."""
        run = picture.set, picture.name, case, json.loads(recipe.to_json())
        return (self.set, self.photo, self.case, self.recipe) == run


def portraits(folder: Path, count: int) -> Iterator[Picture]:
    """The first photos of a folder."""
    for path in photos_in(folder, count):
        yield Picture(PORTRAITS, path.name, np.asarray(Image.open(path).convert("RGB")))


def test_faces(folder: Path, count: int) -> Iterator[Picture]:
    """Held-out faces from the archives of training, in an order of their own, so that fewer are a part of more."""
    faces = load_faces(folder, "test").faces
    for number in np.random.default_rng(ORDER).permutation(len(faces))[:count]:
        yield Picture(TEST_FACES, str(number), np.ascontiguousarray(faces[int(number)].permute(1, 2, 0).numpy()))


def in_turn(*sets: Sequence[Picture]) -> list[Picture]:
    """All pictures, so that every beginning of the list holds the same share of every set."""
    places = [((place + 1) / len(pictures), picture) for pictures in sets for place, picture in enumerate(pictures)]
    return [picture for _, picture in sorted(places, key=lambda item: item[0])]


def outcomes(
    pictures: Sequence[Picture],
    recipes: dict[str, Recipe],
    presets: Sequence[str],
    known: Sequence[Outcome] = (),
    keep: Callable[[Outcome], None] = lambda outcome: None,
) -> Iterator[Outcome]:
    """Every photo under every case at every strength; what is not ``known`` is measured and told to ``keep``."""
    for picture in pictures:
        for preset in presets:
            for case, strong in recipes.items():
                recipe = replace(strong.with_preset(preset), whole=picture.whole)
                found = next((outcome for outcome in known if outcome.answers(picture, case, recipe)), None)
                if found is None:
                    found = _measure(picture, case, recipe)
                    keep(found)
                yield found


def _measure(picture: Picture, case: str, recipe: Recipe) -> Outcome:
    try:
        measured = Measured.of(protect(picture.pixels, recipe).report)
    except BoundError:
        measured = None
    return Outcome(picture.set, picture.name, case, json.loads(recipe.to_json()), measured)


def _share(disrupted: Iterator[bool]) -> float:
    rows = list(disrupted)
    return sum(rows) / len(rows) if rows else math.nan


def rate(report: Report, picture: str, channel: str, seen: bool) -> float:
    """Share of the edits of networks seen, or of those unseen, that are disrupted; NaN where there is none."""
    return _share(e.disrupted for e in report.select(picture, channel) if e.seen == seen and e.l2 is not None)


def effect_of_unseen(report: Report, picture: str) -> float:
    """Mean distance, in thresholds, of what unseen manipulators make of the picture; NaN where there is none."""
    rows = [e for e in report.select(picture) if not e.seen and e.l2 is not None]
    return statistics.mean(e.distance / e.threshold for e in rows) if rows else math.nan


def table(found: Sequence[Outcome]) -> Table:
    """A row per set, strength and case: shares with 95 % bootstrap intervals over photos."""
    some = next((outcome.measured for outcome in found if outcome.measured), None)
    channels, manipulators = (list(some.seen), list(some.manipulators)) if some else ([], [])
    head = ("set", "bound", "case", "photos", "LPIPS", "PSNR", "SSIM", *channels, "noise")
    result = Table(
        *head,
        *(f"{name}, as saved" for name in manipulators),
        *("unseen", "unseen, effect", "noise, effect", "s"),
        title="Share disrupted, of networks that the search saw",
        title_justify="left",
        box=box.MARKDOWN,
    )
    for column in result.columns:
        column.no_wrap = True
    for key in sorted(dict.fromkeys(map(_key, found)), key=lambda key: key[0]):
        result.add_row(*row(key, [o.measured for o in found if _key(o) == key], channels, manipulators))
    return result


def _key(outcome: Outcome) -> tuple[str, float, str]:
    return outcome.set, outcome.recipe["face_lpips"], outcome.case


def row(
    key: tuple[str, float, str],
    photos: Sequence[Measured | None],
    channels: Sequence[str],
    manipulators: Sequence[str],
) -> list[str]:
    """One row of the table; a photo that fits no bound counts as not disrupted."""
    done = [measured for measured in photos if measured]
    head = [*map(str, key), str(len(photos))]
    if not done:
        return head
    failed = len(photos) - len(done)

    def shares(values: Sequence[float]) -> str:
        return "" if any(map(math.isnan, values)) else cell(list(values), failed)

    def mean(values: Sequence[float], places: int) -> str:
        average = statistics.mean(values)
        return "" if math.isnan(average) else f"{average:.{places}f}"

    return [
        *head,
        mean([m.face_lpips for m in done], 3),
        mean([m.psnr for m in done], 1),
        mean([m.ssim for m in done], 3),
        *(shares([m.seen[channel] for m in done]) for channel in channels),
        shares([m.noise for m in done]),
        *(shares([m.manipulators[name] for m in done]) for name in manipulators),
        shares([m.unseen for m in done]),
        mean([m.effect for m in done], 3),
        mean([m.noise_effect for m in done], 3),
        f"{statistics.median(m.seconds for m in done):.1f}",
    ]


def recorded(results: Path) -> list[Outcome]:
    """The outcomes that a file of results holds; one that is not there is begun."""
    try:
        results.touch()  # what cannot be written is refused before the first minute of work
        return [Outcome.of(line) for line in results.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise typer.BadParameter(
            f"{results} cannot be written or holds no results of this command; name another file."
        ) from error


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
    """Print attack x bound x robustness at equal face LPIPS, seen and unseen, on portraits and test faces."""
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
            with results.open("a", encoding="utf-8") as file:
                file.write(outcome.to_json())
        held = f"{outcome.measured.seen[AS_SAVED]:.2f}" if outcome.measured else "no change fits"
        strength = outcome.recipe["face_lpips"]
        console.print(f"{outcome.set} {outcome.photo}, {outcome.case}, {strength}: {held}", highlight=False)

    pictures = in_turn(list(portraits(folder, count)), list(test_faces(faces, count_faces)) if faces else [])
    console.print(table(list(outcomes(pictures, chosen, preset or list(PRESETS), known, keep))))
    console.print(f"{steps} steps at most, {threads} threads, peak memory {peak_memory():.2f} GB.", highlight=False)
