"""After Baek et al. 2026, "Proactive Defense Benchmark against Deepfake Generation" (ICML): what is left of an effect.

Disruption where it was searched, how much of it is retained after each transform, and how much of it reaches networks
that the search did not see; pixels and identity apart. On files with real codecs, and, which that benchmark leaves out,
in frames that are not the search's own. Of published ways of protecting and of shield's, at the same face LPIPS.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean

from shield import PLAIN, Plan, Recipe, protect
from shield.bench.experiments.experiment import (
    Case,
    Experiment,
    Row,
    Setting,
    experiments,
    grouped,
    name_of,
    per_photo,
    photos_of,
)
from shield.channels import AS_SAVED, verified
from shield.verify import EXACT, HELD, PROTECTED

EDITOR = "stargan"  # what published ways are searched on, as their papers do


def methods(recipe: Recipe) -> dict[str, Recipe]:
    """What is compared, by name; all within the bound of ``recipe``."""
    published = replace(recipe, surrogates=(EDITOR,), transforms=PLAIN, steered=False, carriers=("pixels",))
    return {
        "pgd on stargan (Ruiz)": replace(published, attack="pgd"),
        "universal (CMUA)": replace(published, attack="universal"),
        "shield": recipe,
    }


class Proactive(Experiment):
    """See above."""

    title = "What is left of the effect after transforms, in other frames and on other networks"
    paper = "Baek et al. 2026, Proactive Defense Benchmark against Deepfake Generation, ICML"
    published: Sequence[Row] = ()  # other generators and other transforms: its figures would stand for nothing here

    def cases(self, setting: Setting) -> Iterator[Case]:
        for photo in photos_of(setting):
            for name, recipe in methods(setting.recipe).items():
                yield Case(f"{name_of(photo)} {name}", partial(self.measure, photo, name, recipe), [photo])

    def measure(self, photo: Path, name: str, recipe: Recipe) -> list[Row]:
        """A row per channel, kind of frames, network and edit of the protected photo."""
        sent = verified()
        plan = Plan(channels=sent, frames=(EXACT, HELD), exact=sent, unseen=True, controls=(), donors=())
        report = protect(photo, recipe, plan=plan).report
        return [
            {
                "photo": name_of(photo),
                "method": name,
                "network": row.surrogate,
                "searched": row.seen,
                "edit": row.edit,
                "frames": row.frame,
                "channel": row.channel,
                "broken": row.share,
                "face_lpips": report.face_lpips,
            }
            for row in report.effects
            if row.picture == PROTECTED
        ]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        columns = "method", "network", "searched", "frames", "channel"
        parts = grouped(rows, *columns)
        shares = {key: mean(per_photo(part, "broken")) for key, part in parts.items()}
        summed = list[Row]()
        for key, part in parts.items():
            whole = shares.get((*key[:3], EXACT, AS_SAVED), 0.0)
            retained = shares[key] / whole if whole else None
            means = {"broken": shares[key], "retained": retained, "face_lpips": mean(per_photo(part, "face_lpips"))}
            summed.append(dict(zip(columns, key, strict=True)) | means | {"photos": len(grouped(part, "photo"))})
        return summed


experiments.register("proactive")(Proactive())
