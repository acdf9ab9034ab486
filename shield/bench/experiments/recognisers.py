"""How well recognisers know people, and where each draws its line: on the photos of LFW's test persons.

With ``--trainings DIR`` the students that were trained there (DIR/NAME/weights.safetensors) are measured as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from shield.bench.experiments.experiment import Case, Experiment, Row, Setting, experiments
from shield.bench.photos import LFW, STORED
from shield.errors import InputError
from shield.faces import warp, whole_picture
from shield.surrogates import STUDENTS, Surrogate, load_surrogates
from shield.surrogates.recognisers import student_of
from shield.training.data import FaceSet, load_faces

BATCH = 64
RATES = (0.01, 0.001)  # false accepts
CPU = torch.device("cpu")


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


class Recognisers(Experiment):
    """See above."""

    title = "How well recognisers know people, and where each draws its line"
    paper = ""
    published: Sequence[Row] = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        test = load_faces(setting.archives(), "test", STORED, (LFW,))
        recognisers = {it.name: it for it in load_surrogates(CPU) if not it.makes_pictures}
        for name, recogniser in recognisers.items():
            yield Case(name, partial(self.measure, name, recogniser, test))
        for name, file in students_in(setting.trainings).items() if setting.trainings else ():
            title = f"{name}, as trained"
            yield Case(title, partial(self.measure, title, trained(name, file), test), [file])

    def measure(self, name: str, recogniser: Surrogate, test: FaceSet) -> list[Row]:
        """One row: of pairs of one person the share that is known, and the squared distance of the line."""
        pairs = pairs_of(recogniser, test)
        lines = {rate: pairs.threshold(rate) for rate in RATES}
        return [
            {
                "recogniser": name,
                "AUC": pairs.auc,
                **{f"known at {rate:.1%} false accepts": pairs.known(line) for rate, line in lines.items()},
                **{f"squared distance at {rate:.1%}": line for rate, line in lines.items()},
                "photos": len(test),
                "persons": len(set(test.persons)),
            }
        ]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        return list(rows)


experiments.register("recognisers")(Recognisers())


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


def students_in(trainings: Path) -> dict[str, Path]:
    """The weights of the students that were trained there. Raises InputError where none was."""
    files = {name: trainings / name / "weights.safetensors" for name in STUDENTS}
    found = {name: file for name, file in files.items() if file.exists()}
    if not found:
        raise InputError(f"{trainings} holds no {' and no '.join(f'{name}/weights.safetensors' for name in STUDENTS)}.")
    return found


def trained(name: str, file: Path) -> Surrogate:
    """A student with the weights that a training left. Raises InputError where the file holds no such student."""
    try:
        return student_of(name, load_file(file))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file} cannot be read ({error}); train the student again.") from error
