"""The table of Wang et al. 2020 (arXiv 1912.11035): average precision of the detector by generator, and after files.

The paper trains on one generator, with and without blur and JPEG, and tests on all others; shield's detector learned
from several, which the column ``learned`` tells apart.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from shield.bench.detector import FILES, average_precision, compared, found, network_log_odds
from shield.bench.experiments.experiment import Case, Experiment, Row, Setting, experiments
from shield.channels import AS_SAVED
from shield.detection import Shipped
from shield.training.makers import makers

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
        for name in makers:
            yield Case(name, partial(self.measure, name, setting))

    def measure(self, name: str, setting: Setting) -> list[Row]:
        """A row per channel."""
        real, made = compared(name, setting.archives(), setting.count)
        detector, rows = Shipped(), list[Row]()
        for channel in FILES:
            untouched, odds = (network_log_odds(detector, kind.after(channel)) for kind in (real, made))
            rows.append(
                {
                    "generator": name,
                    "detector": "shield's",
                    "learned": not made.held_out,
                    "channel": channel,
                    "precision": average_precision(untouched, odds),
                    "accuracy": (found(odds) + 1 - found(untouched)) / 2,
                    "faces": len(odds),
                }
            )
        return rows

    def table(self, rows: Sequence[Row]) -> list[Row]:
        return list(rows)


experiments.register("wang")(Wang())
