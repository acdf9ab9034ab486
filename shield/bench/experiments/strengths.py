"""What protection costs the eye, and what it buys, at five strengths: the presets and half-way between them.

Every network, kind of frames and channel of every photo, so that one run draws everything: effect against what is seen,
by frames, by channel, by recogniser, and the time it takes. Beside it a search in the face's own frame alone, as
published attacks search: what frames cost, and what it is worth without them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shield import PRESETS, BoundError, Plan, Recipe, protect
from shield.bench.experiments.experiment import (
    Case,
    Experiment,
    Row,
    Setting,
    Value,
    experiments,
    grouped,
    mean_of,
    name_of,
    per_photo,
    photos_of,
)
from shield.bench.statistics import interval
from shield.channels import AS_SAVED
from shield.recipe import STRENGTH, Strength
from shield.surrogates import judges
from shield.verify import EXACT, HELD, PROTECTED
from shield.verify.rows import SOCIAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EDITOR = "stargan"
SENT = (AS_SAVED, "jpeg75", "half", SOCIAL)
SEARCHES = {"frames": 1.0, "one frame": 0.0}  # how widely the frames are drawn that a search sees
FRAMES, ONE = SEARCHES
SEEN = {"face_lpips": "face LPIPS", "flip": "FLIP"}
STYLES = {(FRAMES, HELD): "-o", (ONE, HELD): "--", (ONE, EXACT): ":"}  # of search and judging frames
KNOWN, BROKEN = "{} knows the person", "edits by {} break"


def strengths() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A name, and the settings of a Recipe."""
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


class Strengths(Experiment):
    """See above."""

    title = "What is still known and what breaks, against what is seen, at five strengths"
    paper = ""
    published: Sequence[Row] = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        for photo in photos_of(setting):
            for search, (name, settings) in product(SEARCHES, strengths()):
                recipe = replace(setting.recipe, **settings, spread=SEARCHES[search])
                yield Case(
                    f"{name_of(photo)} {name}, {search}", partial(self.measure, photo, name, search, recipe), [photo]
                )

    def measure(self, photo: Path, strength: str, search: str, recipe: Recipe) -> list[Row]:
        """A row per channel, kind of frames and network: the share of frames in which it is broken, over its edits.

        A photo that cannot be protected is as it was: nothing is seen of it, and nothing breaks.
        """
        asked = *recipe.searched, *judges
        plan = Plan(surrogates=asked, channels=SENT, exact=SENT, unseen=True, controls=())
        first: dict[str, Value] = {"photo": name_of(photo), "strength": strength, "search": search}
        try:
            report = protect(photo, recipe, plan=plan).report
        except BoundError:
            places = [(channel, frame) for channel in SENT for frame in plan.rows(PROTECTED, channel, full=True)]
            seen = dict.fromkeys(SEEN, 0.0)
            return [
                first | {"network": name, "channel": channel, "frames": frame, "broken": 0.0} | seen
                for name in asked
                for channel, frame in places
            ]
        face = report.worst_face.visibility
        first |= {name: float(getattr(face, name)) for name in SEEN}
        first |= {f"{part}_s": report.seconds[part] for part in ("search", "verification")}
        rows: list[Row] = [
            {"network": row.surrogate, "channel": row.channel, "frames": row.frame, "broken": row.share}
            for row in report.effects
            if row.picture == PROTECTED
        ]
        places_of = "network", "channel", "frames"
        return [
            first | dict(zip(places_of, key, strict=True)) | {"broken": sum(own) / len(own)}
            for key, part in grouped(rows, *places_of).items()
            if (own := [float(row["broken"] or 0) for row in part])
        ]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        columns = "search", "strength", "network", "frames", "channel"
        summed = list[Row]()
        for key, part in grouped(rows, *columns).items():
            mean, low, high = interval(per_photo(part, "broken"))
            measures = {name: mean_of(per_photo(part, name)) for name in (*SEEN, "search_s", "verification_s")}
            ends = {"broken": mean, "low": low, "high": high, "photos": len(grouped(part, "photo"))}
            summed.append(dict(zip(columns, key, strict=True)) | ends | measures)
        return summed

    def plot(self, rows: Sequence[Row]) -> "Figure":
        """Six panels: two of effect against what is seen, and by frames, channel, recogniser and time."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, 8), layout="constrained")
        table, axes = self.table(rows), figure.subplots(2, 3).flatten()
        names = [str(name) for (name,) in grouped(rows, "network")]
        asked = [name for name in names if name != EDITOR]
        never = [name for name in asked if name in judges]
        for panel, measure in zip(axes[:2], SEEN, strict=True):
            _against(panel, table, measure, [*((name, True) for name in never), (EDITOR, False)])
        table = [row for row in table if row["search"] == FRAMES]
        _bars(axes[2], table, "frames", {"channel": AS_SAVED}, never or asked, "as saved, by frames")
        _bars(axes[3], table, "channel", {"frames": HELD}, never or asked, "held frames, by what happens to the file")
        _bars(axes[4], table, "network", {"frames": HELD, "channel": AS_SAVED}, asked, "as saved, by recogniser")
        _seconds(axes[5], table)
        photos = len(grouped(rows, "photo"))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9)
        figure.suptitle(f"photos: {photos}; shares are means over photos x frames, with 95 % intervals over photos")
        return figure


experiments.register("strengths")(Strengths())


def _against(panel: "Axes", table: Sequence[Row], measure: str, networks: Sequence[tuple[str, bool]]) -> None:
    """Shares against what is seen: of the search over frames, with intervals, and of one in a single frame."""
    for number, (name, known) in enumerate(networks):
        for (search, frame), style in STYLES.items():
            place = search, name, frame, AS_SAVED
            own = [it for it in table if (it["search"], it["network"], it["frames"], it["channel"]) == place]
            shares = [_ends(row, known) for row in own]
            x, y = [float(row[measure] or 0) for row in own], [mean for mean, _, _ in shares]
            label = (KNOWN if known else BROKEN).format(name) if search == FRAMES else None
            panel.plot(x, y, style, color=f"C{number}", label=label)
            if search == FRAMES:
                panel.vlines(x, [low for _, low, _ in shares], [high for _, _, high in shares], color=f"C{number}")
    panel.set(xlabel=SEEN[measure], ylim=(-0.03, 1.03), xlim=(0, None))
    panel.set_title(
        "full: frames no search saw; dashed: the same, of a search\nin one frame; dotted: in that frame", fontsize=9
    )


def _ends(row: Row, known: bool) -> tuple[float, float, float]:
    """A row's mean share and the ends of its interval; of those who are known where that is asked."""
    mean, low, high = (float(row[name] or 0) for name in ("broken", "low", "high"))
    return (1 - mean, 1 - high, 1 - low) if known else (mean, low, high)


def _bars(panel: "Axes", table: Sequence[Row], column: str, fixed: Row, networks: Sequence[str], title: str) -> None:
    """Who is still known, by the values of a column, a bar for each preset."""
    rows = [it for it in table if it["network"] in networks and all(it[key] == value for key, value in fixed.items())]
    values = [str(value) for (value,) in grouped(rows, column)]
    for number, preset in enumerate(PRESETS):
        own = {row[column]: _ends(row, True)[0] for row in rows if row["strength"] == preset}
        places = [place + (number - 1) * 0.27 for place in range(len(values))]
        panel.bar(places, [own.get(value, 0.0) for value in values], 0.25, label=preset)
    panel.set_xticks(range(len(values)), values, rotation=20, ha="right", fontsize=8)
    whose = ", ".join(networks) if len(networks) == 1 else "a recogniser"
    panel.set(ylim=(0, 1.2), ylabel=f"{whose} knows the person")  # with room for the legend
    panel.set_title(title, fontsize=10)
    panel.legend(fontsize=9, ncols=len(PRESETS), loc="upper center")


def _seconds(panel: "Axes", table: Sequence[Row]) -> None:
    """Search and verification by preset."""
    rows = {row["strength"]: row for row in table if row["strength"] in PRESETS}
    below = [0.0] * len(rows)
    for part in ("search", "verification"):
        seconds = [float(row[f"{part}_s"] or 0) for row in rows.values()]
        panel.bar([str(name) for name in rows], seconds, bottom=below, label=part)
        below = [one + other for one, other in zip(below, seconds, strict=True)]
    panel.set(ylabel="seconds a photo")
    panel.margins(y=0.2)
    panel.legend(fontsize=9, ncols=2, loc="upper center")
