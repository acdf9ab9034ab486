"""The protocol of CMUA-Watermark (Huang et al. 2022, arXiv 2105.10872): one change for all photos, judged by l2_mask.

l2 where the edit changed the picture, and the share of pictures in which that is above 0.05: as saved in the frame of
the photo's own points, and where the paper does not look: in frames drawn at random and after JPEG. Beside a search of
the photo's own, and noise that is seen as much.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from shield import Plan, Recipe, protect
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
from shield.channels import AS_SAVED
from shield.verify import EXACT, HELD, NOISE, PROTECTED

DISRUPTED = 0.05
WAYS = ("universal", "searched")
SENT = (AS_SAVED, "jpeg75")
PLAN = Plan(channels=SENT, frames=(EXACT, HELD), exact=SENT, unseen=True, donors=())


class Cmua(Experiment):
    """See above."""

    title = "One change for all photos, judged where the edit changed the picture"
    paper = "Huang et al. 2022, CMUA-Watermark, arXiv 2105.10872"
    published: Sequence[Row] = ()  # its table is a picture in its authors' repository

    def cases(self, setting: Setting) -> Iterator[Case]:
        for photo in photos_of(setting):
            for way in WAYS:
                yield Case(f"{name_of(photo)} {way}", partial(self.measure, photo, way, setting.recipe), [photo])

    def measure(self, photo: Path, way: str, recipe: Recipe) -> list[Row]:
        """A row per picture, channel, kind of frames and edit."""
        used = replace(recipe, attack=way) if way == WAYS[0] else recipe
        report = protect(photo, used, plan=PLAN).report
        return [
            {
                "photo": name_of(photo),
                "way": way if row.picture == PROTECTED else f"noise beside {way}",
                "network": row.surrogate,
                "edit": row.edit,
                "frames": row.frame,
                "channel": row.channel,
                "l2_mask": row.l2_mask,
                "success": row.l2_mask > DISRUPTED,
                "face_lpips": report.face_lpips,
            }
            for row in report.effects
            if row.picture in (PROTECTED, NOISE) and row.l2_mask is not None
        ]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        columns = "network", "way", "frames", "channel"
        measures = "l2_mask", "success", "face_lpips"
        return [
            dict(zip(columns, key, strict=True))
            | {name: sum(own) / len(own) for name in measures if (own := per_photo(part, name))}
            | {"photos": len(grouped(part, "photo"))}
            for key, part in grouped(rows, *columns).items()
        ]


experiments.register("cmua")(Cmua())
