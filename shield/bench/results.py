"""The table of the README: what tools still do with protected photos, measured photo by photo into a file that stays.

shield bench results FOLDER --store docs/results.jsonl --into README.md --into docs/results.md
"""

import hashlib
import json
import statistics
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from shield import PRESETS, BoundError, FaceError, Plan, Recipe, Report, SearchError, protect
from shield.batch import photos_in
from shield.bench.photos import lfw_photos
from shield.bench.statistics import interval
from shield.bench.store import append, kept
from shield.channels import AS_SAVED, load_channel
from shield.surrogates import judges
from shield.verify import EXACT, HELD, NOISE, PROTECTED
from shield.verify.rows import ORIGINAL, SOCIAL
from shield.weights import weights_in_use

SENT = (AS_SAVED, "jpeg75", SOCIAL)
PORTRAITS, PERSONS = "portraits", "LFW's test persons"
TITLES = {PORTRAITS: "Portraits of 1024 px", PERSONS: "Photos of 128 px of LFW's test persons"}
JUDGES = ("attributes", "landmarks68", "swap")  # beside those that know persons
BLOCK = "<!-- results: {} -->"
SWAP = "a face swap shows the person"
KNOWN, EDITED = "{} knows the person", "edits by {} make a usable deepfake"
console = Console(width=160)

Shares = dict[str, float]  # by row of the table
Key = tuple[str, str, str]  # set of photos, photo, preset


@dataclass(frozen=True)
class Result:
    """One photo at one preset: what tools do with the original, with noise, and with the protected photo by channel.

    Shares in [0, 1] by row of the table; a row stands only where the tool works on the original. ``seen``: figures of
    the least lucky face. ``digest``: as ``digest_of`` makes it. ``error``: why there is no protected photo; then
    nothing was changed.
    """

    photos: str
    photo: str
    preset: str
    digest: str
    original: Shares
    noise: Shares
    protected: dict[str, Shares]
    seen: dict[str, float]
    seconds: dict[str, float]
    error: str = ""

    @property
    def key(self) -> Key:
        """What a later measurement of the same photo and preset replaces."""
        return self.photos, self.photo, self.preset


def of(report: Report) -> tuple[Shares, Shares, dict[str, Shares]]:
    """What tools do with the original, with noise as saved, and with the protected photo by channel."""
    protected = {channel: dict[str, float]() for channel in SENT}
    original, noise = dict[str, float](), dict[str, float]()
    clean = report.lent(ORIGINAL)
    if any(swap.works for swap in clean):  # of all donors, whatever of them the original's works on
        original[SWAP], noise[SWAP] = (sum(s.works for s in own) / len(clean) for own in (clean, report.lent(NOISE)))
        for channel in SENT:
            protected[channel][SWAP] = sum(s.works for s in report.lent(channel=channel)) / len(clean)
    for name in report.surrogates():
        rows = {channel: _still(report, name, channel) for channel in SENT}
        title = (KNOWN if _knows(report, name) else EDITED).format(name)
        for channel, pair in rows.items():
            if pair is not None:
                original.setdefault(title, pair[0])
                protected[channel][title] = pair[1]
        if title in original and (pair := _still(report, name, AS_SAVED, NOISE)) is not None:
            noise[title] = pair[1]
    return original, noise, protected


def _knows(report: Report, name: str) -> bool:
    return report.select(surrogate=name, frame=None)[0].l2 is None


def _still(report: Report, name: str, channel: str, picture: str = PROTECTED) -> tuple[float, float] | None:
    """The share that works of the original and of a picture, in the kind of frames in which most still does.

    Of a recogniser: frames in which it knows the person of the clean photo, which the original always shows. Of an
    editor: its edits that make a usable deepfake. None where that was not measured, or nothing works on the original.
    """
    pairs = []
    for frame in report.frames(channel) if picture == PROTECTED else (HELD,):
        rows = report.select(picture, channel, name, frame)
        if frame == EXACT or not rows:
            continue
        if rows[0].l2 is None:
            pairs.append((1.0, 1 - statistics.mean(row.share for row in rows)))
        elif any(row.works for row in rows):
            judged = [row for row in rows if row.usable is not None]
            pairs.append((_share(row.works for row in judged), _share(row.still_works for row in judged)))
    return max(pairs, key=lambda pair: pair[1] / pair[0]) if pairs else None


def _share(values: Iterable[bool]) -> float:
    return statistics.mean(map(float, values))


def measured(photo: Path, photos: str, preset: str) -> Result:
    """Protect one photo and measure what tools do with the file."""
    recipe = Recipe(format="png").with_preset(preset)
    key = photos, photo.name, preset, digest_of(recipe)
    try:
        report = protect(photo, recipe, plan=Plan(channels=SENT)).report
    except (BoundError, FaceError, SearchError) as error:
        return Result(*key, {}, {}, {}, {}, {}, str(error))
    seen = asdict(report.worst_face.visibility)
    figures = {
        name: round(float(seen[name]), 4) for name in ("face_lpips", "flip", "loudest", "skin", "stains", "warp")
    }
    return Result(*key, *of(report), figures, {name: round(value, 1) for name, value in report.seconds.items()})


def digest_of(recipe: Recipe) -> str:
    """Of the Recipe and of the weights that its search and the judges ask; after a change of the search itself
    ``store`` has to go.
    """
    weights = weights_in_use()  # whatever is registered in code has none
    parts = [recipe.settings(), {name: weights.get(name) for name in (*recipe.searched, *judges, *JUDGES)}]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def load(store: Path) -> dict[Key, Result]:
    """What was measured before; of one photo and preset the last line counts, and a torn one does not."""
    return {result.key: result for result in kept(store, Result)}


def table(results: Sequence[Result]) -> Iterator[str]:
    """Markdown: by row what works on the original and, at every preset, on the protected photo; mean over photos.

    "as saved / after a social network", with the 95 % interval of the former over photos. A photo that could not be
    protected counts as it was.
    """
    presets = [name for name in PRESETS if any(result.preset == name for result in results)]
    rows = list(dict.fromkeys(title for result in results for title in result.original))
    yield f"| | original | noise, held frames | {' | '.join(presets)} |"
    yield "|---" * (len(presets) + 3) + "|"
    for title in sorted(rows, key=_order):
        before = [result.original[title] for result in results if title in result.original]
        noise = [result.noise[title] for result in results if title in result.noise]
        unchanged = statistics.mean(before)
        cells = [_cell(title, [it for it in results if it.preset == name], unchanged) for name in presets]
        words = _never_asked().get(title, title)
        yield f"| {words} | {_mean(before)} | {_mean(noise)} | {' | '.join(cells)} |"
    for name, title in (("face_lpips", "face LPIPS"), ("flip", "FLIP")):
        seen = [[it.seen[name] for it in results if it.preset == preset and name in it.seen] for preset in presets]
        yield f"| {title} | | | {' | '.join(f'{statistics.mean(own):.3f}' if own else '' for own in seen)} |"


def _never_asked() -> dict[str, str]:
    """The rows of judges, in words that say so."""
    return {KNOWN.format(name): KNOWN.format(f"{name}, which no search asks,") for name in judges}


def _order(title: str) -> tuple[int, str]:
    """The swap first, then who was never asked, then who was, then editors."""
    return (0 if title == SWAP else 1 if title in _never_asked() else 2 if title.endswith("the person") else 3), title


def _cell(title: str, results: Sequence[Result], unchanged: float) -> str:
    saved, social = (list(_values(title, results, channel, unchanged)) for channel in (AS_SAVED, SOCIAL))
    if not any(title in result.original for result in results):
        return ""
    mean, low, high = interval(saved)
    after = f" / {_mean(social)}" if any(title in result.protected.get(SOCIAL, {}) for result in results) else ""
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]{after}"


def _values(title: str, results: Sequence[Result], channel: str, unchanged: float) -> Iterator[float]:
    """The share of every photo on which the tool works; of one that could not be protected that of originals."""
    for result in results:
        if result.error:
            yield unchanged
        elif (share := result.protected[channel].get(title)) is not None:
            yield share


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.2f}" if values else ""


def words(results: Mapping[Key, Result], photos: str) -> str:
    """The block of one set of photos, as it stands in a text."""
    own = [result for result in results.values() if result.photos == photos]
    counts = {name: sum(result.preset == name for result in own) for name in PRESETS}
    number = ", ".join(f"{count} at {name}" for name, count in counts.items() if count)
    failed = sum(bool(result.error) for result in own)
    first = f"*{TITLES[photos]}* ({number}"
    first += f"; {failed} could not be protected and count as they were)" if failed else ")"
    sent = load_channel(SOCIAL).words
    lines = [
        f"{first}: the share that works, mean over photos and [95 % interval] / after {sent}.",
        "",
        *table(own),
    ]
    return "\n".join(lines)


def placed(text: str, results: Mapping[Key, Result]) -> str:
    """A text with every block of results in it as the results are."""
    for photos in dict.fromkeys(result.photos for result in results.values()):
        mark = BLOCK.format(photos)
        before, *rest = text.split(mark)
        if len(rest) == 2:
            text = f"{before}{mark}\n{words(results, photos)}\n{mark}{rest[1]}"
    return text


def main(
    folder: Annotated[Path | None, typer.Argument(help="Portraits to measure; none: print what is stored.")] = None,
    store: Annotated[Path, typer.Option(help="Where results are kept; what is there is not measured again.")] = Path(
        "docs/results.jsonl"
    ),
    preset: Annotated[list[str] | None, typer.Option(help="Only these (repeatable).")] = None,
    every: Annotated[int, typer.Option(help="One portrait in so many, by name.")] = 4,
    faces: Annotated[Path | None, typer.Option(help="The face archives of training, for LFW's test persons.")] = None,
    count_faces: Annotated[int, typer.Option(help="How many of them.")] = 0,
    into: Annotated[list[Path] | None, typer.Option(help="Texts whose blocks of results are written anew.")] = None,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Print what tools still do with protected photos, from results that are kept and gone on with."""
    torch.set_num_threads(threads)
    results = load(store)
    with tempfile.TemporaryDirectory() as temporary:
        sets = {PORTRAITS: photos_in(folder)[::every] if folder else []}
        sets[PERSONS] = lfw_photos(faces, count_faces, Path(temporary)) if faces else []
        for name in preset or PRESETS:
            digest = digest_of(Recipe(format="png").with_preset(name))
            for photos, paths in sets.items():
                for photo in paths:
                    before = results.get((photos, photo.name, name))
                    if before is not None and before.digest == digest:
                        continue
                    result = measured(photo, photos, name)
                    results[result.key] = result
                    append(store, result)
                    console.print(f"{photos} {photo.stem} {name}: {result.error or result.protected}", markup=False)
    for photos in dict.fromkeys(result.photos for result in results.values()):
        console.print(words(results, photos), markup=False, highlight=False, soft_wrap=True)
    for path in into or ():
        path.write_text(placed(path.read_text(encoding="utf-8"), results), encoding="utf-8")
