"""Detectors that every maker of faces taught but one, and how well each tells the faces of that one.

``shield train detector-without-NAME --data ARCHIVES --out TRAININGS/detector-without-NAME`` makes each of them first.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from shield.bench.detector import FILES, average_precision, compared, scored
from shield.bench.experiments.experiment import Case, Experiment, Row, Setting, experiments, grouped, mean_of, numbers
from shield.detection.network import DetectorNet
from shield.errors import InputError
from shield.training.detector import WITHOUT
from shield.training.loop import trained
from shield.training.makers import makers


class LeaveOneOut(Experiment):
    """See above."""

    title = "Average precision of detectors by who makes the faces: left out of what teaches them, and taught"
    paper = ""
    published = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        setting.archives()
        for name in makers.registered():
            path = weights_of(WITHOUT.format(name), setting)
            yield Case(name, partial(self.measure, name, setting), [path] if path.exists() else [])

    def measure(self, name: str, setting: Setting) -> list[Row]:
        """Of the detector without ``name``: a row per maker and channel."""
        recipe = WITHOUT.format(name)
        path = weights_of(recipe, setting)
        if not path.exists():
            raise InputError(
                f"There is no {path}; make it with: shield train {recipe} --data FACES --out {path.parent}."
            )
        network, rows = trained(DetectorNet(), path), list[Row]()
        for maker in makers.registered():
            real, made = compared(maker, setting.archives(), setting.count)
            for channel in FILES:
                scores = [scored(network, kind.after(channel)) for kind in (real, made)]
                precision = average_precision(*scores)
                rows.append({"without": name, "maker": maker, "channel": channel, "precision": precision})
        return rows

    def table(self, rows: Sequence[Row]) -> list[Row]:
        """By maker and channel: where it was left out, and the mean over the detectors that it taught."""
        lines = list[Row]()
        for (maker, channel), own in grouped(rows, "maker", "channel").items():
            left_out = numbers([row for row in own if row["without"] == maker], "precision")
            taught = numbers([row for row in own if row["without"] != maker], "precision")
            lines.append({"maker": maker, "channel": channel, "left out": mean_of(left_out), "taught": mean_of(taught)})
        for (channel,), own in grouped(lines, "channel").items():
            means = {column: mean_of(numbers(own, column)) for column in ("left out", "taught")}
            lines.append({"maker": "mean", "channel": channel, **means})
        return lines


experiments.register("leave_one_out")(LeaveOneOut())


def weights_of(recipe: str, setting: Setting) -> Path:
    """The file that the recipe's training left, or will."""
    return setting.trainings_folder() / recipe / "weights.safetensors"
