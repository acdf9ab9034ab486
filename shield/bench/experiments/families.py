"""Is a person hidden from recognisers of an architecture that the search never asked? Each family left out in turn.

A change that is fitted to copies of one architecture says little of others. So every family of recognisers is left out
of the search once and judged then, beside the judges, which no search ever asks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from shield import Plan, Recipe, protect
from shield.bench.experiments.experiment import (
    Case,
    Experiment,
    Row,
    Setting,
    experiments,
    grouped,
    name_of,
    numbers,
    per_photo,
    photos_of,
)
from shield.bench.statistics import interval
from shield.channels import AS_SAVED
from shield.surrogates import judges
from shield.verify import EXACT, HELD, NOISE, PROTECTED
from shield.verify.rows import SOCIAL

NOBODY = "nobody"
# By architecture; the two students learned the answers of the published ones.
FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        NOBODY: (),
        "dlib's ResNet": ("dlib",),
        "MobileFaceNets": ("mobilefacenet", "fr_feature"),
        "IResNet": ("iresnet",),
        "transformer": ("transformer",),
    }
)
SENT = (AS_SAVED, "jpeg75", SOCIAL)


class Families(Experiment):
    """See above."""

    title = "Who still knows the person where a family of recognisers was left out of the search"
    paper = ""
    published: Sequence[Row] = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        for photo in photos_of(setting):
            for family, left_out in FAMILIES.items():
                kept = tuple(name for name in setting.recipe.surrogates if name not in left_out)
                recipe = replace(setting.recipe, surrogates=kept)
                yield Case(f"{name_of(photo)} without {family}", partial(self.measure, photo, family, recipe), [photo])

    def measure(self, photo: Path, family: str, recipe: Recipe) -> list[Row]:
        """A row per picture, channel, kind of frames and recogniser: the share of frames in which it knows the person.

        ``distance``: the mean squared distance to the clean face, in lines; 1 is where the recogniser draws it.
        """
        asked = *(name for names in FAMILIES.values() for name in names), *judges
        report = protect(photo, recipe, plan=Plan(surrogates=asked, channels=SENT, unseen=True, donors=())).report
        return [
            {
                "photo": name_of(photo),
                "left out": family,
                "picture": row.picture,
                "network": row.surrogate,
                "channel": row.channel,
                "frames": row.frame,
                "known": 1 - row.share,
                "distance": row.distance / row.threshold,
                "face_lpips": report.face_lpips,
            }
            for row in report.effects
            if row.picture in (PROTECTED, NOISE) and row.frame != EXACT
        ]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        """Of what no search asked: by what was left out and network, in the kind of frames in which most is known."""
        summed = list[Row]()
        for (family, name, channel), part in grouped(rows, "left out", "network", "channel").items():
            if name not in judges and name not in FAMILIES[str(family)]:
                continue
            own = [row for row in part if row["picture"] == PROTECTED]
            frames = max(grouped(own, "frames").values(), key=lambda some: sum(numbers(some, "known")) / len(some))
            mean, low, high = interval(per_photo(frames, "known"))
            noise = per_photo([row for row in part if row["picture"] == NOISE and row["frames"] == HELD], "known")
            summed.append(
                {
                    "left out": family,
                    "network": name,
                    "channel": channel,
                    "frames": frames[0]["frames"],
                    "known": mean,
                    "low": low,
                    "high": high,
                    "distance": sum(distances := per_photo(frames, "distance")) / len(distances),
                    "known, noise": sum(noise) / len(noise) if noise else None,
                    "photos": len(grouped(frames, "photo")),
                }
            )
        return summed


experiments.register("families")(Families())
