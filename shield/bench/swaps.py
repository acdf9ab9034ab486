"""Does the face swap put a person's face on others, and does protection keep it from doing so?

shield bench swaps FOLDER --faces ARCHIVES --pairs 100
"""

import statistics
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table

from shield import BoundError, FaceError, Plan, Recipe, Report, detect, protect, verify_photo
from shield.batch import photos_in
from shield.bench.portraits import cell, scaled
from shield.channels import AS_SAVED
from shield.detection import Verdict
from shield.faces import Face
from shield.faces.aligners import aligners
from shield.faces.landmarks import FRAMING, SIZE, landmark_network
from shield.faces.sampling import cut
from shield.photo import read
from shield.swap import ALIGNER, SWAP, Canvas, Swapper, donor, donors, identity, pasted, repainted, shipped_swap
from shield.training.data import FaceSet, load_faces
from shield.verify import PROTECTED
from shield.verify.rows import ORIGINAL, SOURCE, TARGET, Swap
from shield.verify.sheet import Pixels, sample_sheet
from shield.verify.swaps import KNOWN_BY, Readers, found_anew

CPU = torch.device("cpu")
SENT = (AS_SAVED, "jpeg75", "social")
ORDER = 0  # seed of the order in which test persons are taken
console = Console(width=160)


@dataclass(frozen=True)
class Pair:
    """A test person's photo, another photo of the same person, and somebody else's photo that gets the face."""

    source: Pixels
    other: Pixels
    target: Pixels


@dataclass(frozen=True)
class Outcome:
    """What became of one pair. ``known``: by how many recognisers the person of the source is known.

    In the swap, by the source (``known``) and by the other photo (``known_as_other``); in the target as it was
    (``before``); ``left``: how many still know the target's person in the swap. ``moved``: mean distance of the 68
    landmarks between target and swap, in eye distances. ``verdict``: of ``shield detect``; None where it saw no face.
    """

    known: int
    known_as_other: int
    before: int
    left: int
    moved: float
    verdict: Verdict | None


def plan() -> Plan:
    """Swaps with every donor and, so that a report has its sentences, one judge."""
    own = tuple(donors)
    return Plan(surrogates=("sface",), channels=SENT, held=4, few=1, found=(), donors=own, put_on=len(own))


def pairs(faces: FaceSet, count: int) -> Iterator[Pair]:
    """So many persons with two photos or more, each with the photo of another person of the same sex."""
    male = faces.columns("Male")[:, 0]
    random = np.random.default_rng(ORDER)
    rows = sorted(range(len(faces)), key=lambda row: faces.persons[row])
    several = [own for _, group in groupby(rows, lambda row: faces.persons[row]) if len(own := list(group)) > 1]
    for number in random.permutation(len(several))[:count]:
        one, other = several[number][:2]
        alike = torch.nonzero(male == male[one])[:, 0].tolist()
        strangers = [row for row in alike if faces.persons[row] != faces.persons[one]]
        chosen = faces.faces[[one, other, strangers[int(random.integers(len(strangers)))]]]
        yield Pair(*(np.ascontiguousarray(face.permute(1, 2, 0).numpy()) for face in chosen))


def found(pixels: Pixels) -> Face | None:
    """The largest face, by the swap's own aligner."""
    return next(iter(aligners[ALIGNER](pixels)), None)


@torch.no_grad()
def landmarks(canvas: Canvas) -> torch.Tensor:
    """The 68 points of a face, in eye distances of its frame, (68, 2)."""
    points: torch.Tensor = landmark_network()(cut(canvas.pixels, canvas.face, SIZE, FRAMING))[0]
    return points / FRAMING.eye_distance


def swapped(pair: Pair, network: Swapper, readers: Readers) -> Outcome | None:
    """The swap of one pair; None where a face is not found."""
    source, other, target = (found(pixels) for pixels in (pair.source, pair.other, pair.target))
    if source is None or other is None or target is None:
        return None
    before = Canvas.around(pair.target, target)
    (made,) = pasted([before], repainted([before], identity(pair.source, source), network))
    after = found_anew(made, before)
    read = readers([Canvas(pair.source, source), Canvas(pair.other, other), before, after])
    persons = [[faces[row : row + 1] for faces in read] for row in range(3)]
    # Who knows each person (rows: source, another photo of him, the target's) in the target as it was and in the swap.
    known = [[len(readers.knowing(own)) for own in readers.between(read, person)[2:]] for person in persons]
    return Outcome(
        known[0][1],
        known[1][1],
        known[0][0],
        known[2][1],
        # Both in the frame that the target's own points give: what the swap moves there counts.
        float((landmarks(Canvas(made, before.face)) - landmarks(before)).norm(dim=1).mean()),
        _judged(made),
    )


def _judged(pixels: Pixels) -> Verdict | None:
    try:
        return detect(pixels)
    except FaceError:
        return None


def clean_table(outcomes: Sequence[Outcome], missing: int) -> Table:
    """What swaps of clean photos show; a pair in which a face was not found counts as a swap that shows nobody."""
    table = Table("swaps of clean photos", "value", box=box.MARKDOWN)

    def share(title: str, values: Iterable[bool]) -> None:
        table.add_row(title, cell([float(value) for value in values], missing))

    share(f"person known by {KNOWN_BY} of 3", (one.known >= KNOWN_BY for one in outcomes))
    share("the same, from another photo of the person", (one.known_as_other >= KNOWN_BY for one in outcomes))
    share("the target as it was taken for the person", (one.before >= KNOWN_BY for one in outcomes))
    share("the target's person still known", (one.left >= KNOWN_BY for one in outcomes))
    moved = [one.moved for one in outcomes]
    spread = f"median {statistics.median(moved):.3f}, nine in ten below {np.quantile(moved, 0.9):.3f}"
    table.add_row("68 landmarks moved, in eye distances", f"{cell(moved, 0)}; {spread}")
    share("called fake", (one.verdict is not None and one.verdict.verdict == "fake" for one in outcomes))
    share("called unsure", (one.verdict is not None and one.verdict.verdict == "unsure" for one in outcomes))
    table.add_row("why", reasons([one.verdict for one in outcomes if one.verdict is not None]))
    return table


def reasons(verdicts: Sequence[Verdict]) -> str:
    """What spoke for a fake, and on how many pictures."""
    counts = Counter(reason.name for verdict in verdicts for reason in verdict.reasons)
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "nothing"


def known(report: Report, picture: str, channel: str) -> list[float]:
    """One 0 or 1 per face and donor on whom the original's swap works: does this picture's show the person?"""
    return [float(swap.works) for swap in report.lent(picture, channel)]


def protected_table(reports: Mapping[str, Sequence[Report]]) -> Table:
    """By set of photos, picture and channel: the share of swaps that show the person, a mean over photos."""
    table = Table("photos", "role", "picture", "channel", "photos measured", "share that works", "l2", box=box.MARKDOWN)
    for name, own in reports.items():
        looks = dict.fromkeys(
            (row.picture, row.channel) for report in own for row in report.swaps if row.role == SOURCE
        )
        for picture, channel in looks:
            shares = [statistics.mean(ones) for report in own if (ones := known(report, picture, channel))]
            if shares:
                count = f"{len(shares)} of {len(own)}"
                table.add_row(name, "lends its face", picture, channel, count, cell(shares, 0), "")
        for picture in (ORIGINAL, PROTECTED):
            sides = [side for report in own if (side := put_on(report, picture))]
            if sides:
                shares = [statistics.mean(float(row.works) for row in side) for side in sides]
                distance = statistics.mean(row.l2 or 0.0 for side in sides for row in side)
                count = f"{len(sides)} of {len(own)}"
                table.add_row(name, "gets another", picture, AS_SAVED, count, cell(shares, 0), f"{distance:.4f}")
    return table


def put_on(report: Report, picture: str) -> list[Swap]:
    """The swaps that put a donor's face on this picture."""
    return [row for row in report.swaps if (row.role, row.picture) == (TARGET, picture)]


def detections_table(reports: Sequence[Report]) -> Table:
    """What the detector's network says of swaps, made from the original and from the protected photo."""
    table = Table("the detector's network on swaps", "mean probability", "called fake", box=box.MARKDOWN)
    rows = [row for report in reports for row in report.detections if row.surrogate == SWAP]
    for picture in dict.fromkeys(row.picture for row in rows):
        own = [row for row in rows if row.picture == picture]
        fakes = statistics.mean(row.verdict == "fake" for row in own)
        table.add_row(picture, f"{statistics.mean(row.probability for row in own):.3f}", f"{fakes:.3f}")
    return table


def measured(photos: Sequence[Path], recipe: Recipe, done: Path | None) -> Iterator[Report]:
    """The report of every photo that can be protected, or whose protected file lies in ``done``."""
    for photo in photos:
        ready = sorted(done.glob(f"{photo.stem}.shield.*")) if done else []
        pictures = [path for path in ready if path.suffix not in (".json",) and ".sheet" not in path.suffixes]
        try:
            if done:
                report = verify_photo(photo, pictures[0], plan=plan()).report if pictures else None
            else:
                report = protect(photo, recipe, plan=plan()).report
        except (BoundError, FaceError) as error:
            console.print(f"{photo.name}: {error}", markup=False, highlight=False)
            continue
        if report is None:
            console.print(f"{photo.name}: no protected file in {done}", markup=False, highlight=False)
            continue
        console.print(f"{photo.name}: {report.swap_sentence()}", markup=False, highlight=False)
        yield report


def swap_sheet(photos: Sequence[Path], network: Swapper) -> Image.Image:
    """People who may be shown, each on every donor; all but the photo is marked."""
    rows = []
    for photo in photos:
        pixels = read(photo).pixels
        face = found(pixels)
        if face is not None:
            canvases = [donor(name) for name in donors]
            made = pasted(canvases, repainted(canvases, identity(pixels, face), network))
            rows.append((Canvas.around(pixels, face).pixels, made))
    return sample_sheet(SWAP, list(donors), rows)


def main(
    folder: Annotated[Path, typer.Argument(help="Portraits, only such as may be shown where --look is given.")],
    faces: Annotated[Path | None, typer.Option(help="The face archives of training, for LFW's test persons.")] = None,
    pairs_: Annotated[int, typer.Option("--pairs", help="How many of LFW's test persons.")] = 100,
    preset: Annotated[str, typer.Option()] = "balanced",
    every: Annotated[int, typer.Option(help="One portrait in so many, by name; 0: none.")] = 4,
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    scale: Annotated[float, typer.Option(help="Scale the portraits first.")] = 1.0,
    count_faces: Annotated[int, typer.Option(help="How many of LFW's test persons to protect as well.")] = 0,
    protected: Annotated[Path | None, typer.Option(help="Protected already: NAME.shield.* of each photo.")] = None,
    look: Annotated[Path | None, typer.Option(help="Write a marked sheet of the portraits' clean swaps here.")] = None,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Print whom swaps of clean photos show and how far they move a face, and what protection leaves of that."""
    torch.set_num_threads(threads)
    network = shipped_swap(CPU)
    if network is None:
        raise typer.BadParameter("models/ holds no swap network; train one (shield train swap)")
    photos = photos_in(folder)[::every] if every else []
    test = load_faces(faces, "test", 128, ("lfw",)) if faces else None
    if test is not None:
        readers = Readers(CPU)
        outcomes = [swapped(pair, network, readers) for pair in pairs(test, pairs_)]
        whole = [outcome for outcome in outcomes if outcome is not None]
        console.print(clean_table(whole, len(outcomes) - len(whole)))
    if look is not None:
        swap_sheet(photos, network).save(look, quality=85)
    recipe = Recipe(format="png", steps=steps).with_preset(preset)
    with tempfile.TemporaryDirectory() as temporary:
        copies = Path(temporary)
        sets = {"portraits": [scaled(path, copies, scale) for path in photos] if scale != 1 else photos}
        if test is not None and count_faces:
            sets["LFW's test persons"] = _written(test, count_faces, copies)
        reports = {name: list(measured(paths, recipe, protected)) for name, paths in sets.items()}
    if any(reports.values()):
        console.print(protected_table(reports))
        console.print(detections_table([report for own in reports.values() for report in own]))


def _written(test: FaceSet, count: int, folder: Path) -> list[Path]:
    """The photos that lend their faces, as files."""
    paths = []
    for number, pair in enumerate(pairs(test, count)):
        paths.append(folder / f"face{number:02}.png")
        Image.fromarray(pair.source).save(paths[-1])
    return paths
