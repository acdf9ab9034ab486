"""What cleaning a protected photo brings back: who knows the person after what is cheap to do to the file.

Ruiz et al. 2020 name blur; the others are those of ``shield verify --adversaries``. Beside it the same done to the
original: what loses the person of the original as well undoes nothing.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from shield import BoundError, Plan, Recipe, protect, verify_photo
from shield.bench.experiments.experiment import (
    Case,
    Experiment,
    Row,
    Setting,
    experiments,
    grouped,
    mean_of,
    name_of,
    per_photo,
    photos_of,
)
from shield.bench.photos import NOTHING
from shield.bench.statistics import spread
from shield.photo import open_photo
from shield.surrogates import judges, load_surrogate
from shield.verify import PROTECTED, RESAVED

CPU = torch.device("cpu")


class Cleaning(Experiment):
    """See above."""

    title = "Who knows the person after a protected photo was cleaned"
    paper = ""
    published: Sequence[Row] = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        for photo in photos_of(setting):
            yield Case(name_of(photo), partial(self.measure, photo, setting.recipe), [photo])

    def measure(self, photo: Path, recipe: Recipe) -> list[Row]:
        """A row per picture, adversary and recogniser: the share of held frames in which it knows the person.

        A photo that fits no bound is as it was.
        """
        name, asked = name_of(photo), [it for it in recipe.searched if not load_surrogate(it, CPU).makes_pictures]
        try:
            saved = protect(photo, recipe, plan=NOTHING).photo
        except BoundError:
            saved = open_photo(photo)
        plan = Plan(surrogates=(*asked, *judges), channels=(), controls=(), donors=())
        report = verify_photo(photo, saved, recipe=recipe, adversaries=True, plan=plan).report
        return [
            {
                "photo": name,
                "picture": row.picture,
                "cleaned by": row.channel,
                "network": row.surrogate,
                "known": 1 - row.share,
                "distance": row.distance / row.threshold,
            }
            for row in report.adversaries
            if row.l2 is None
        ]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        """``known``: of the protected photo; ``known, original``: of the original, cleaned alike."""
        summed = list[Row]()
        for (network, way), part in grouped(rows, "network", "cleaned by").items():
            own, other = ([row for row in part if row["picture"] == picture] for picture in (PROTECTED, RESAVED))
            summed.append(
                {
                    "network": network,
                    "cleaned by": way,
                    "known": spread(per_photo(own, "known")),
                    "distance": mean_of(per_photo(own, "distance")),
                    "known, original": mean_of(per_photo(other, "known")),
                    "photos": len(grouped(own, "photo")),
                }
            )
        return summed


experiments.register("cleaning")(Cleaning())
