"""The table of Wang et al. 2020 (arXiv 1912.11035): average precision of the detector by generator, and after files.

The paper trains on one generator, with and without blur and JPEG, and tests on all others; shield's detector learned
from several, which the column ``learned`` tells apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shield.bench.detector import (
    CPU,
    FILES,
    Faces,
    Scores,
    average_precision,
    chosen,
    editors,
    found,
    made_by,
    network_log_odds,
)
from shield.bench.experiments.experiment import Case, Experiment, Row, Setting, experiments
from shield.channels import AS_SAVED
from shield.detection import Shipped
from shield.surrogates import load_surrogate
from shield.surrogates.published import Editor
from shield.training.data import SOURCES, FaceSet, load_faces

SYNTHETIC, STYLEGAN = "synthetic", "stylegan"  # the archive of generated faces, and what made them
# Average precision in percent, cut to 224 px, from the authors' repository: trained on ProGAN alone, with blur and
# JPEG in half and in a tenth of the pictures.
PUBLISHED = {
    "progan": (100.0, 100.0),
    "stylegan": (98.5, 99.6),
    "biggan": (88.2, 84.5),
    "cyclegan": (96.8, 93.5),
    "stargan": (95.4, 98.2),
    "gaugan": (98.1, 89.5),
    "stylegan2": (98.0, 99.1),
    "deepfake": (66.3, 89.0),
}
TRAINED = "ProGAN, blur and JPEG .5", "ProGAN, blur and JPEG .1"


class Wang(Experiment):
    """See above."""

    title = "Average precision of the detector by generator"
    paper = "Wang et al. 2020, CNN-generated images are surprisingly easy to spot... for now, arXiv 1912.11035"
    published: Sequence[Row] = tuple(
        {"generator": name, "detector": detector, "channel": AS_SAVED, "precision": value / 100}
        for name, values in PUBLISHED.items()
        for detector, value in zip(TRAINED, values, strict=True)
    )

    def cases(self, setting: Setting) -> Iterator[Case]:
        setting.archives()
        for name in (*(editor.name for editor in editors()), STYLEGAN):
            yield Case(name, partial(self.measure, name, setting))

    def measure(self, name: str, setting: Setting) -> list[Row]:
        """A row per channel."""
        real = _real(setting.archives(), setting.count)
        kind, detector = _made(name, real, setting.count), Shipped()
        rows = list[Row]()
        for channel in FILES:
            made = network_log_odds(detector, kind.after(channel))
            rows.append(
                {
                    "generator": name,
                    "detector": "shield's",
                    "learned": not kind.held_out,
                    "channel": channel,
                    "precision": average_precision(real.odds[channel], made),
                    "accuracy": (found(made) + 1 - found(real.odds[channel])) / 2,
                    "faces": len(made),
                }
            )
        return rows

    def table(self, rows: Sequence[Row]) -> list[Row]:
        return list(rows)


experiments.register("wang")(Wang())


@dataclass(frozen=True)
class Real:
    """Photographed test faces, uint8 (N, 3, s, s), what the detector says of them by channel, and all test faces."""

    faces: Tensor
    odds: Mapping[str, Scores]
    test: FaceSet


@cache
def _real(folder: Path, count: int) -> Real:
    test, detector = load_faces(folder, "test"), Shipped()
    kinds = chosen(test, torch.arange(len(test)), count)
    odds = {it: np.concatenate([network_log_odds(detector, kind.after(it)) for kind in kinds]) for it in FILES}
    return Real(torch.cat([kind.faces for kind in kinds]), odds, test)


def _made(name: str, real: Real, count: int) -> Faces:
    if name == STYLEGAN:
        return Faces(name, True, real.test.faces[real.test.source == SOURCES.index(SYNTHETIC)][:count], held_out=True)
    editor = load_surrogate(name, CPU)
    assert isinstance(editor, Editor)
    return made_by(editor, real.faces)
