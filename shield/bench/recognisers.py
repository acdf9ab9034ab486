"""How well recognisers know people, and where each draws its line.

shield bench recognisers ARCHIVES
shield bench recognisers ARCHIVES --student iresnet=OUT/weights.safetensors
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from shield.errors import InputError
from shield.faces import warp, whole_picture
from shield.surrogates import Surrogate, load_surrogates
from shield.surrogates.recognisers import student_of
from shield.training.data import FaceSet, load_faces

SIDE = 128  # px of LFW's faces in the archives
BATCH = 64
RATES = (0.01, 0.001)  # false accepts
CPU = torch.device("cpu")
console = Console(width=140)


@dataclass(frozen=True)
class Pairs:
    """Squared distances of pairs of pictures: of one person, and of two of the same sex."""

    same: Tensor
    others: Tensor

    def threshold(self, rate: float) -> float:
        """The distance below which this share of the pairs of two persons lies."""
        return float(self.others.sort().values[int(rate * len(self.others))])

    def known(self, threshold: float) -> float:
        """Share of the pairs of one person within it."""
        return float((self.same <= threshold).double().mean())

    @property
    def auc(self) -> float:
        """The chance that two pictures of one person lie nearer than two of different ones."""
        ranked = self.others.sort().values
        return 1 - float(torch.searchsorted(ranked, self.same).double().mean() / len(ranked))


@torch.no_grad()
def embedded(recogniser: Surrogate, faces: Tensor) -> Tensor:
    """The embeddings (N, D) of faces in portrait framing, (N, 3, s, s) in levels."""
    frame = whole_picture(faces.shape[-1], faces.shape[-1])
    parts = [warp(part, frame, recogniser.size, recogniser.framing) for part in faces.split(BATCH)]
    return torch.cat([recogniser(part)[:, 0] for part in parts])


def pairs_of(recogniser: Surrogate, faces: FaceSet) -> Pairs:
    """All pairs of a set."""
    embeddings = embedded(recogniser, faces.faces)
    distances = torch.cdist(embeddings.double(), embeddings.double()).square()
    numbers = {person: number for number, person in enumerate(dict.fromkeys(faces.persons))}
    person = torch.tensor([numbers[name] for name in faces.persons])
    male = faces.columns("Male")[:, 0]
    once = torch.ones_like(distances, dtype=torch.bool).triu(1)
    same = person[:, None] == person[None, :]
    return Pairs(distances[once & same], distances[once & ~same & (male[:, None] == male[None, :])])


def trained(student: str) -> Surrogate:
    """A student of the name and the file in "NAME=FILE". Raises InputError where that holds no such student."""
    name, _, file = student.partition("=")
    try:
        return student_of(name, load_file(file))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file!r} cannot be read ({error}); give a student as NAME=FILE.") from error


def main(
    faces: Annotated[Path, typer.Argument(help="The face archives of training.")],
    count: Annotated[int, typer.Option(help="How many of LFW's test photos.")] = 3000,
    threads: Annotated[int, typer.Option()] = 2,
    student: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE: a student's weights, measured in place of those that ship.")
    ] = None,
) -> None:
    """Print what recognisers make of LFW's test persons: AUC, who is known at which rate of false accepts, the line."""
    measured = [trained(each) for each in student] if student else load_surrogates(CPU)
    torch.set_num_threads(threads)
    test = load_faces(faces, "test", SIDE, ("lfw",))
    some = slice(0, count)
    test = FaceSet(test.faces[some], test.labels[some], test.source[some], test.names, test.persons[some])
    table = Table(box=box.MARKDOWN)
    for heading in ("recogniser", "AUC", *(f"known at {rate:.1%} false accepts" for rate in RATES), "squared distance"):
        table.add_column(heading)
    for recogniser in measured:
        if recogniser.makes_pictures:
            continue
        pairs = pairs_of(recogniser, test)
        lines = [pairs.threshold(rate) for rate in RATES]
        known = [f"{pairs.known(line):.3f}" for line in lines]
        table.add_row(recogniser.name, f"{pairs.auc:.4f}", *known, ", ".join(f"{line:.3f}" for line in lines))
    console.print(f"{len(test)} photos, {len(set(test.persons))} persons; pairs of different persons are of one sex.")
    console.print(table)
