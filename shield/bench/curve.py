"""What protection costs the eye: who is still known and what breaks, against how much is seen, at five strengths.

shield bench curve FOLDER docs/curve.png --every 4
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from PIL import Image, ImageDraw, ImageFont
from rich import box
from rich.console import Console
from rich.table import Table

from shield import PRESETS, BoundError, FaceError, Plan, Recipe, Report, protect
from shield.bench.frames import share
from shield.bench.portraits import cell, photos_in
from shield.bench.statistics import interval
from shield.channels import AS_SAVED
from shield.recipe import STRENGTH, Strength
from shield.verify import EXACT, HELD, PROTECTED

JUDGE, EDITOR = "sface", "stargan"
KNOWN, BROKEN = "SFace knows the person", "StarGAN broken"
MEASURES = {"face LPIPS": "face_lpips", "FLIP": "flip"}
console = Console(width=140)

# Of the picture, in px of a drawing that is then made smaller, so that lines are smooth.
FINER = 3
PANEL, MARGIN, DOT, LINE = 420 * FINER, 70 * FINER, 5 * FINER, 2 * FINER
INK, PAPER, GRID = (32, 32, 36), (250, 250, 248), (220, 220, 216)
COLOURS = {KNOWN: (170, 40, 30), BROKEN: (15, 118, 110)}
MARKS, ROUND = 5, 0.05  # on an axis, whose end is a multiple of this


def strengths() -> Iterator[tuple[str, dict[str, Any]]]:
    """The presets, and half-way from one to the next: a name, and the settings of a Recipe."""
    names = list(PRESETS)
    for name, following in zip(names, [*names[1:], None], strict=True):
        yield name, _settings(PRESETS[name])
        if following is not None:
            pair = _settings(PRESETS[name]), _settings(PRESETS[following])
            yield f"{name} to {following}", {key: _middle(*(one[key] for one in pair)) for key in STRENGTH}


def _settings(strength: Strength) -> dict[str, Any]:
    return {setting: getattr(strength, setting) for setting in STRENGTH}


def _middle(one: float, other: float) -> float:
    middle = (one + other) / 2
    return round(middle) if isinstance(one, int) else middle


def plan() -> Plan:
    """What is measured at every strength."""
    return Plan(surrogates=(JUDGE, EDITOR), channels=(AS_SAVED,), frames=(HELD, EXACT), unseen=True, controls=())


@dataclass(frozen=True)
class Point:
    """One strength: by measure what is seen of every photo, and by curve and kind of frames the share of each.

    A photo that could not be protected is as it was: nothing is seen of it, and nothing breaks.
    """

    strength: str
    seen: Mapping[str, Sequence[float]]
    shares: Mapping[tuple[str, str], Sequence[float]]


def point(strength: str, reports: Sequence[Report], failed: int) -> Point:
    """Of the reports on every photo that was protected."""
    whole, unchanged = [1.0] * failed, [0.0] * failed
    seen = {
        measure: [float(getattr(report.worst_face.visibility, name)) for report in reports] + unchanged
        for measure, name in MEASURES.items()
    }
    shares = dict[tuple[str, str], list[float]]()
    for frame in (HELD, EXACT):
        lost, broken = ([_share(report, frame, network) for report in reports] for network in (JUDGE, EDITOR))
        shares[KNOWN, frame] = [1 - value for value in lost] + whole
        shares[BROKEN, frame] = broken + unchanged
    return Point(strength, seen, shares)


def _share(report: Report, frame: str, network: str) -> float:
    """Of a report that ``plan`` made: it holds both networks in both kinds of frames."""
    return share(report, PROTECTED, AS_SAVED, frame, network) or 0.0


def table(points: Sequence[Point]) -> Table:
    """Mean and 95 % interval over photos, a row per strength and kind of frames."""
    result = Table("strength", "frames", *MEASURES, KNOWN, BROKEN, box=box.MARKDOWN)
    for it in points:
        for frame in (HELD, EXACT):
            cells = [*it.seen.values(), it.shares[KNOWN, frame], it.shares[BROKEN, frame]]
            result.add_row(it.strength, frame, *(cell(list(values), 0) for values in cells))
    return result


def plot(points: Sequence[Point]) -> Image.Image:
    """The shares against what is seen, a panel per measure. Full lines: held frames, with intervals; thin: exact."""
    size = (len(MEASURES) * (PANEL + MARGIN) + MARGIN, PANEL + 5 * MARGIN // 2)
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    for number, measure in enumerate(MEASURES):
        panel = Panel(draw, MARGIN + number * (PANEL + MARGIN), MARGIN, measure, _reach(points, measure))
        panel.axes()
        for name in COLOURS:
            panel.curve(points, name, EXACT)
            panel.curve(points, name, HELD)
    for number, (name, colour) in enumerate(COLOURS.items()):
        left, top = MARGIN + number * PANEL // 2, MARGIN // 3
        draw.line((left, top + 8 * FINER, left + 24 * FINER, top + 8 * FINER), colour, 2 * LINE)
        draw.text((left + 32 * FINER, top), name, INK, _font(14))
    note = "share of photos x frames; bars: 95 % over photos; thin: in the one frame that the search knew"
    draw.text((MARGIN, size[1] - MARGIN // 2), note, INK, _font(12))
    return image.resize((size[0] // FINER, size[1] // FINER), Image.Resampling.LANCZOS)


def _reach(points: Sequence[Point], measure: str) -> float:
    """How far an axis goes."""
    return ROUND * (int(max(interval(it.seen[measure])[0] for it in points) / ROUND) + 1)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * FINER)


@dataclass(frozen=True)
class Panel:
    """A diagram whose upper left corner is (left, top); across goes what is seen, up to ``reach``, and up a share."""

    draw: ImageDraw.ImageDraw
    left: int
    top: int
    measure: str
    reach: float

    def at(self, seen: float, share: float) -> tuple[float, float]:
        """Where a value is drawn."""
        return self.left + PANEL * seen / self.reach, self.top + PANEL * (1 - share)

    def axes(self) -> None:
        """Lines, numbers and what they are of."""
        for mark in range(MARKS + 1):
            share, seen = mark / MARKS, self.reach * mark / MARKS
            self.draw.line([self.at(0, share), self.at(self.reach, share)], GRID, LINE // 2)
            self.draw.line([self.at(seen, 0), self.at(seen, 1)], GRID, LINE // 2)
            x, y = self.at(0, share)
            self.draw.text((x - 8 * FINER, y), f"{share:.1f}", INK, _font(12), anchor="rm")
            x, y = self.at(seen, 0)
            self.draw.text((x, y + 8 * FINER), f"{seen:.2f}", INK, _font(12), anchor="mt")
        x, y = self.at(self.reach / 2, 0)
        self.draw.text((x, y + 28 * FINER), self.measure, INK, _font(14), anchor="mt")

    def curve(self, points: Sequence[Point], name: str, frame: str) -> None:
        """One curve: full with intervals in held frames, thin in the search's own."""
        colour, full = COLOURS[name], frame == HELD
        seen = [interval(it.seen[self.measure])[0] for it in points]
        shares = [interval(it.shares[name, frame]) for it in points]
        line = [self.at(x, mean) for x, (mean, _, _) in zip(seen, shares, strict=True)]
        self.draw.line(line, colour, LINE if full else LINE // 2)
        for x, (mean, low, high) in zip(seen, shares, strict=True) if full else ():
            self.draw.line([self.at(x, low), self.at(x, high)], colour, LINE)
            self.draw.circle(self.at(x, mean), DOT, colour)


def measured(photos: Sequence[Path], recipe: Recipe) -> tuple[list[Report], int]:
    """The report of every photo, and how many could not be protected."""
    reports = list[Report]()
    for path in photos:
        try:
            reports.append(protect(path, recipe, plan=plan()).report)
        except (BoundError, FaceError) as error:
            console.print(f"{path.name}: {error}", markup=False, highlight=False)
    return reports, len(photos) - len(reports)


def main(
    folder: Annotated[Path, typer.Argument(help="Portraits.")],
    out: Annotated[Path, typer.Argument(help="The picture to write (PNG).")],
    surrogate: Annotated[list[str] | None, typer.Option()] = None,
    every: Annotated[int, typer.Option(help="One portrait in so many, by name.")] = 4,
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    device: Annotated[str, typer.Option()] = Recipe().device,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Protect every photo at five strengths; draw what holds against what is seen, and print the same as a table."""
    torch.set_num_threads(threads)
    names = tuple(surrogate or Recipe().surrogates)
    recipe = Recipe(surrogates=names, format="png", steps=steps, device=device)
    photos, points = photos_in(folder)[::every], list[Point]()
    if not photos:
        raise typer.BadParameter(f"{folder} holds no photo")
    for name, settings in strengths():
        points.append(point(name, *measured(photos, replace(recipe, **settings))))
        console.print(table(points[-1:]))
    plot(points).save(out)
    console.print(table(points))
    console.print(f"{len(photos)} photos, searched: {', '.join(names)}, {steps} steps; wrote {out}", highlight=False)
