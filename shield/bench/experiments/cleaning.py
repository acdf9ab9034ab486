"""What cleaning a protected photo brings back: who knows the person after what is cheap to do to the file.

Ruiz et al. 2020 name blur; the others are those of ``shield verify --adversaries``. Beside it the same done to the
original: what loses the person of the original as well undoes nothing.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from shield import Plan, Recipe, protect, verify_photo
from shield.bench.experiments.experiment import (
    Case,
    Experiment,
    Row,
    Setting,
    experiments,
    grouped,
    mean_of,
    per_photo,
    photos_of,
)
from shield.bench.statistics import spread
from shield.channels import AS_SAVED
from shield.surrogates import judges
from shield.verify import PROTECTED, RESAVED


class Cleaning(Experiment):
    """See above."""

    title = "Who knows the person after a protected photo was cleaned"
    paper = ""
    published: Sequence[Row] = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        for photo in photos_of(setting):
            yield Case(photo.name, partial(self.measure, photo, setting.recipe), photo)

    def measure(self, photo: Path, recipe: Recipe) -> list[Row]:
        """A row per picture, adversary and recogniser: the share of held frames in which it knows the person."""
        asked = *recipe.searched, *judges
        plan = Plan(surrogates=asked, channels=(AS_SAVED,), controls=(), found=(), exact=(), donors=(), unseen=True)
        saved = protect(photo, recipe, plan=plan).photo
        report = verify_photo(photo, saved, recipe=recipe, adversaries=True, plan=plan).report
        return [
            {
                "photo": photo.name,
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
