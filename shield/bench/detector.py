"""How well detection tells made faces from photographed ones: by generator and by what happened to the file.

And every check on forgeries of several strengths, and the calibration of both. Faces are those of the archives that
training reads: its test split for the tables, held-back faces of the training split for calibration.

shield bench detector FOLDER --portraits examples
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from shield.bench.forgeries import FORGERIES
from shield.channels import AS_SAVED, channels
from shield.detection import DEFAULT_CHECKS, Shipped, called, probability_of
from shield.detection.calibration import FAKE_FROM, flaw_weight
from shield.detection.flaws import flaws
from shield.detection.view import FaceView
from shield.faces import detect, warp
from shield.faces.landmarks import load_landmarks, portrait_landmarks
from shield.photo import read, to_levels, to_tensor
from shield.surrogates import load_surrogates
from shield.surrogates.published import Editor
from shield.training.data import SOURCES, FaceSet, levels_of, load_faces
from shield.training.detector import LEARNED, REAL, real_rows
from shield.training.hardening import Hardening, changed
from shield.training.makers import EDITORS, Maker, makers

CPU = torch.device("cpu")
BATCH = 25
FILES = (AS_SAVED, "jpeg75", "jpeg50", "blur", "half")
PROTECTION = Hardening(critic=False, levels=8, steps=4, share=0.4)
ALARMS = 0.04  # of untouched faces: where a check's threshold is set; at most one in twenty on others
CALLED_FAKE, DOUBTED = 0.005, 0.1  # of photographs, protected ones too: called fake, and not called real
BESIDE = "real, beside {}"  # photographs with the history of what a maker makes
FEWER = 10  # of the faces on which thresholds are set, one in so many is also judged after every channel
console = Console(width=180)

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Faces:
    """Faces of one kind: uint8 (N, 3, s, s). ``held_out``: the detector did not learn from their maker."""

    name: str
    made: bool
    faces: Tensor
    held_out: bool = False

    def after(self, channel: str) -> Tensor:
        """The faces in [0, 1] after a channel that keeps their size."""
        pixels = [channels[channel].apply(face.permute(1, 2, 0).contiguous().numpy()) for face in self.faces]
        return torch.cat([to_tensor(part) for part in pixels])


def chosen(data: FaceSet, rows: Tensor, count: int, skip: int = 0, seed: int = 0) -> list[Faces]:
    """``count`` photographed faces of every source among these rows, after the first ``skip``."""
    kinds = []
    for source in REAL:
        own = rows[data.source[rows] == SOURCES.index(source)]
        order = torch.randperm(len(own), generator=torch.Generator().manual_seed(seed))
        kinds.append(Faces(source, False, data.faces[own[order[skip : skip + count]]]))
    return kinds


@torch.no_grad()
def made_by(editor: Editor, faces: Tensor, seed: int = 0) -> Faces:
    """What a generator makes of faces, each with one of its edits."""
    made = _in_batches(editor.network, editor, faces, seed)
    return Faces(editor.name, True, made, held_out=editor.name not in LEARNED)


@cache
def unseen_faces(folder: Path) -> FaceSet:
    """The faces of the archives that no training saw."""
    return load_faces(folder, "test")


@cache
def compared(name: str, folder: Path, count: int) -> tuple[Faces, Faces]:
    """Photographed test faces, ``count`` of every source, as those of a maker compare with them, and those."""
    test = unseen_faces(folder)
    photographs = torch.cat([kind.faces for kind in chosen(test, torch.arange(len(test)), count)])
    return beside(makers[name](test), photographs)


@torch.no_grad()
def beside(maker: Maker, photographs: Tensor) -> tuple[Faces, Faces]:
    """Photographed faces, uint8 (N, 3, s, s), as a maker's compare with them, and what it makes (of them)."""
    random, faces = torch.Generator().manual_seed(0), (photographs.float() / 127.5 - 1).split(1)
    real, made = ([maker.partner(face) for face in faces], [maker.made(face, random) for face in faces])
    faces_made = Faces(maker.name, True, levels_of(torch.cat(made)), held_out=maker.name not in LEARNED)
    return Faces(BESIDE.format(maker.name), False, levels_of(torch.cat(real))), faces_made


def compared_with(photographs: Tensor, teachers: Iterable[Maker]) -> Iterator[Faces]:
    """What makers make of photographs, and these as they compare with it where that is not as they are."""
    for maker in teachers:
        real, made = beside(maker, photographs)
        if not torch.equal(real.faces, photographs):
            yield real
        yield made


def protected_from(editor: Editor, faces: Tensor, seed: int = 0) -> Faces:
    """Faces changed within 8 levels so that the generator breaks on them: what protection comes to."""
    random = torch.Generator().manual_seed(seed)

    def protect(part: Tensor, asked: Tensor) -> Tensor:
        return changed(editor.network, part, asked, PROTECTION, random)

    return Faces(f"protected from {editor.name}", False, _in_batches(protect, editor, faces, seed))


def _in_batches(make: Callable[[Tensor, Tensor], Tensor], editor: Editor, faces: Tensor, seed: int) -> Tensor:
    """What ``make`` makes of faces and random edits of the editor, both uint8 (N, 3, s, s)."""
    random = torch.Generator().manual_seed(seed)
    asked = editor.conditions[torch.randint(len(editor.conditions), (len(faces),), generator=random)]
    parts = zip((faces.float() / 127.5 - 1).split(BATCH), asked.split(BATCH), strict=True)
    return levels_of(torch.cat([make(*part) for part in parts]))


def editors() -> list[Editor]:
    """The generators of faces, those that the detector learned from first."""
    parts = [part for part in load_surrogates(CPU) if isinstance(part, Editor)]
    return sorted(parts, key=lambda part: part.name not in LEARNED)


@torch.no_grad()
def scored(asked: Callable[[Tensor], Tensor], faces: Tensor) -> Scores:
    """What is said of faces (N, 3, s, s), a few at a time: (N,)."""
    scores: Scores = torch.cat([asked(part) for part in faces.split(BATCH)]).double().numpy()
    return scores


def network_log_odds(detector: Shipped, faces: Tensor) -> Scores:
    """By the network alone, (N,)."""
    return scored(detector.log_odds, faces)


@torch.no_grad()
def views(faces: Tensor) -> list[FaceView]:
    """What the checks see of faces in portrait framing, (N, 3, s, s) in [0, 1]."""
    network, side = load_landmarks(), faces.shape[-1]
    points = torch.cat([portrait_landmarks(network, part) for part in faces.split(BATCH)]) * side
    pictures = faces.permute(0, 2, 3, 1).contiguous().numpy()
    return [FaceView(picture, own.numpy(), picture) for picture, own in zip(pictures, points, strict=True)]


def measured(faces: Sequence[FaceView], check: str) -> Scores:
    """A check's scores, (N,)."""
    return np.array([flaws[check].measure(view).score for view in faces])


def excesses(faces: Sequence[FaceView], checks: Sequence[str] = DEFAULT_CHECKS) -> Scores:
    """How many steps every check's score lies above its threshold, (N, checks)."""
    return np.array([[flaws[check].excess(flaws[check].measure(view).score) for check in checks] for view in faces])


def log_odds(detector: Shipped, faces: Tensor) -> Scores:
    """By the network and the checks, (N,): what a verdict says."""
    weights = np.array([flaw_weight(check) for check in DEFAULT_CHECKS])
    odds: Scores = network_log_odds(detector, faces) + excesses(views(faces)) @ weights
    return odds


def average_precision(real: Scores, made: Scores) -> float:
    """The mean precision over the made faces, each taken as the threshold (ties count against it)."""
    ranks = np.array([(made >= score).sum() / ((made >= score).sum() + (real >= score).sum()) for score in made])
    return float(ranks.mean())


def found(odds: Scores) -> float:
    """The share that is called fake."""
    return float(np.mean([called(probability_of(value)) == "fake" for value in odds]))


def network_tables(kinds: Sequence[Faces], detector: Shipped) -> list[Table]:
    """After every channel: average precision and accuracy by generator, false alarms by kind of real face."""
    precision, accuracy, alarms = (Table(title, *FILES) for title in ("average precision", "accuracy", "called fake"))
    odds = {kind.name: {file: network_log_odds(detector, kind.after(file)) for file in FILES} for kind in kinds}
    photographs = {file: np.concatenate([odds[name][file] for name in REAL if name in odds]) for file in FILES}
    for kind in kinds:
        real = odds.get(BESIDE.format(kind.name), photographs)
        own, title = odds[kind.name], f"{kind.name}, held out" if kind.held_out else kind.name
        alarms.add_row(title, *(f"{found(own[file]):.3f}" for file in FILES))
        if kind.made:
            precision.add_row(title, *(f"{average_precision(real[file], own[file]):.3f}" for file in FILES))
            right = {file: (found(own[file]) + 1 - found(real[file])) / 2 for file in FILES}
            accuracy.add_row(title, *(f"{right[file]:.3f}" for file in FILES))
    return [precision, accuracy, alarms]


def verdict_table(kinds: Sequence[Faces], detector: Shipped) -> Table:
    """What the whole verdict, checks included, says of every kind as it is."""
    table = Table("verdict, checks included", "real", "unsure", "fake", "faces")
    for kind in kinds:
        odds = log_odds(detector, kind.after(AS_SAVED))
        words = [called(probability_of(value)) for value in odds]
        shares = [f"{words.count(word) / len(words):.3f}" for word in ("real", "unsure", "fake")]
        table.add_row(kind.name, *shares, str(len(words)))
    return table


def flaw_table(kinds: Sequence[Faces]) -> Table:
    """Every check: alarms on untouched faces by source, forgeries found by strength."""
    table = Table("check", *(f"alarms {kind.name}" for kind in kinds), "forgeries found by strength", "mean", "shipped")
    untouched = [views(kind.after(AS_SAVED)) for kind in kinds]
    pool = [view for part in untouched for view in part]
    for name, flaw in flaws.items():
        alarms = [f"{np.mean(measured(part, name) > flaw.threshold):.3f}" for part in untouched]
        forgery, random = FORGERIES[name], np.random.default_rng(0)
        shares = {}
        for strength in forgery.strengths:
            forged = [forgery.forge(view, strength, random) for view in pool]
            shares[strength] = float(np.mean(measured(forged, name) > flaw.threshold))
        words = ", ".join(f"{strength:g}: {share:.2f}" for strength, share in shares.items())
        mean = f"{np.mean([*shares.values()]):.2f}"
        table.add_row(name, *alarms, f"{words} ({forgery.unit})", mean, "on" if flaw.reliable else "off")
    return table


def calibrate(data: FaceSet, count: int) -> None:
    """Print thresholds, spreads and weights from held-back faces of the training split."""
    detector, rows = Shipped(), real_rows(data, validation=True)
    real = torch.cat([kind.faces for kind in chosen(data, rows, count)])
    untouched = views(real.float() / 255)
    for name in flaws:
        scores = measured(untouched, name)
        low, high = np.quantile(scores, (0.25, 0.75))
        console.print(f"{name}: threshold {np.quantile(scores, 1 - ALARMS):.3f}, spread {high - low:.3f}")
    real, untouched = real[::FEWER], untouched[::FEWER]
    kinds = [Faces("real", False, real), *compared_with(real, [makers[name](data) for name in LEARNED])]
    kinds += [protected_from(editor, real[::4]) for editor in editors() if editor.name in EDITORS]
    features, made = _features(detector, kinds)
    random = np.random.default_rng(0)
    for name in DEFAULT_CHECKS:
        forgery = FORGERIES[name]
        forged = [forgery.forge(view, random.choice(forgery.strengths), random) for view in untouched]
        pictures = torch.from_numpy(np.stack([view.pixels for view in forged])).permute(0, 3, 1, 2)
        features.append(_row(detector, pictures, forged))
        made.append(np.ones(len(forged)))
    inputs, answers = np.concatenate(features), np.concatenate(made)
    weights = fitted(inputs, answers)
    console.print("slope {:.3f}, offset {:.3f}".format(*weights[[0, -1]]))
    console.print(dict(zip(DEFAULT_CHECKS, weights[1:-1].round(2).tolist(), strict=True)))
    odds = (inputs @ weights[:-1] + weights[-1])[answers == 0]
    for title, share in (("FAKE_FROM", CALLED_FAKE), ("REAL_TO", DOUBTED)):
        console.print(f"{title} {probability_of(float(np.quantile(odds, 1 - share))):.3f}")


def _features(detector: Shipped, kinds: Sequence[Faces]) -> tuple[list[Scores], list[Scores]]:
    """Logit and excesses of every kind after every channel, and whether they are made."""
    features, made = [], []
    for kind in kinds:
        for file in FILES:
            faces = kind.after(file)
            features.append(_row(detector, faces, views(faces)))
            made.append(np.full(len(faces), float(kind.made)))
    return features, made


@torch.no_grad()
def _row(detector: Shipped, faces: Tensor, seen: Sequence[FaceView]) -> Scores:
    logits = torch.cat([detector.network(part) for part in faces.split(BATCH)]).double().numpy()
    return np.concatenate([logits[:, None], excesses(seen)], axis=1)


def fitted(inputs: Scores, answers: Scores, steps: int = 100) -> Scores:
    """Logistic regression whose weights are not negative; both classes count the same. The offset comes last."""
    x, y = torch.from_numpy(inputs), torch.from_numpy(answers)
    balance = torch.where(y > 0, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    raw = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([raw], max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = x @ F.softplus(raw[:-1]) + raw[-1]
        value = F.binary_cross_entropy_with_logits(logits, y, balance)
        value.backward()  # type: ignore[no-untyped-call,unused-ignore]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call,unused-ignore]
    found = raw.detach()
    weights: Scores = torch.cat([F.softplus(found[:-1]), found[-1:]]).numpy()
    return weights


def portraits(folder: Path) -> Faces:
    """The largest face of every JPEG of a folder, in portrait framing."""
    crops = []
    for path in sorted(folder.glob("*.jpg")):
        pixels = read(path).pixels
        crops += [warp(to_levels(pixels), face, 128) for face in detect(pixels)[:1]]
    return Faces(folder.name, True, (255 * torch.cat(crops)).round().byte())


def main(
    data: Annotated[Path, typer.Argument(help="Folder with labels.csv and the archives of aligned faces.")],
    count: Annotated[int, typer.Option(help="Faces of every source.")] = 200,
    skip: Annotated[int, typer.Option(help="So many photographs of every source are passed over first.")] = 0,
    photos: Annotated[Path | None, typer.Option("--portraits", help="A folder of generated portraits, too.")] = None,
    threads: Annotated[int, typer.Option()] = 2,
    only_calibrate: Annotated[bool, typer.Option("--calibrate", help="Print thresholds and weights instead.")] = False,
) -> None:
    """Print how well detection works on the test faces in DATA."""
    torch.set_num_threads(threads)
    if only_calibrate:
        calibrate(load_faces(data, "train", sources=REAL), count)
        return
    test, detector = load_faces(data, "test"), Shipped()
    real = chosen(test, torch.arange(len(test)), count, skip)
    faces = torch.cat([kind.faces for kind in real])
    generators = editors()
    protected = [protected_from(editor, faces[::4]) for editor in generators]
    pairs = zip(generators, protected, strict=True)  # as many faces, the same seed: asked for what they are safe from
    broken = [replace(made_by(editor, kind.faces), name=f"{editor.name}, broken") for editor, kind in pairs]
    kinds = [*real, *protected, *compared_with(faces, (make(test) for make in makers.values()))]
    kinds += [made_by(editor, faces) for editor in generators if editor.name not in makers]
    kinds += [*broken, *([portraits(photos)] if photos else [])]
    for table in (*network_tables(kinds, detector), verdict_table(kinds, detector), flaw_table(real)):
        console.print(table)
    console.print(
        f"{count} faces of every source after {skip}; fake from a probability of {FAKE_FROM:g}.", highlight=False
    )
