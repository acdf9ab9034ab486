"""Attack x bound x robustness within the same face LPIPS, on editors seen and unseen: the table of the papers.

How much of the bound each case used stands beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from shield import PLAIN, BoundError, Plan, Recipe, protect
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
from shield.bench.statistics import spread
from shield.channels import AS_SAVED, verified
from shield.device import pick_device
from shield.surrogates import load_surrogates
from shield.verify import HELD, NOISE, PROTECTED

ALL = Plan(frames=(HELD,), unseen=True, donors=())  # compared over all editors, after every channel
SEEN = "face_lpips", "psnr", "ssim"


def ways(recipe: Recipe, editors: Sequence[str]) -> Mapping[str, Recipe]:
    """What is compared, by name; each within the limits of ``recipe``."""
    every = replace(recipe, surrogates=tuple(editors), attack=Recipe().attack)
    plain = replace(every, transforms=PLAIN)
    steered = replace(plain, attack="adam", classes="joint")
    bare = replace(steered, steered=False)  # shrunk to what may be seen only at the end
    return {
        "fgsm, linf": replace(bare, attack="fgsm"),
        "pgd, linf": replace(bare, attack="pgd"),
        "mifgsm, linf": replace(bare, attack="mifgsm"),
        "adam, linf": bare,
        "adam, lab": replace(bare, bound="lab"),
        "adam, l2, steered": replace(bare, bound="l2", steered=True),
        "adam, steered": steered,
        "adam, steered and mask": replace(steered, masked=True),
        "tangent": plain,
        "the same, robust": every,
        "the same, all classes together": replace(every, classes="joint"),
    } | {
        f"robust, without {name}": replace(every, surrogates=tuple(n for n in editors if n != name)) for name in editors
    }


class Ablation(Experiment):
    """See above."""

    title = "Attacks and bounds within the same LPIPS, against editors: share of (edit x held frame) disrupted"
    paper = ""
    published: Sequence[Row] = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        photos = photos_of(setting)
        editors = [it.name for it in load_surrogates(pick_device(setting.recipe.device)) if it.makes_pictures]
        for photo in photos:
            for way, recipe in ways(setting.recipe, editors).items():
                measure = partial(self.measure, photo, way, recipe)
                yield Case(f"{name_of(photo)} {way}", measure, [photo])

    def measure(self, photo: Path, way: str, recipe: Recipe) -> list[Row]:
        """A row per picture, channel, editor and edit; a photo that fits no bound has one, which says so."""
        first: Row = {"photos": photo.parent.name, "photo": name_of(photo), "case": way, "refused": False}
        try:
            report = protect(photo, recipe, plan=ALL).report
        except BoundError:
            return [{**first, "refused": True}]
        face = report.worst_face.visibility
        seen = {name: float(getattr(face, name)) for name in SEEN}
        return [
            {
                **first,
                "picture": row.picture,
                "editor": row.surrogate,
                "searched": row.seen,
                "channel": row.channel,
                "edit": row.edit,
                "disrupted": row.share,
                "distance": row.distance / row.threshold,
                **seen,
                "search_s": report.seconds["search"],
            }
            for row in report.effects
            if row.picture in (PROTECTED, NOISE) and row.l2 is not None
        ]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        """A line per set of photos and case; a photo that fits no bound counts as not disrupted."""
        return [
            {"photos": photos, "case": case, **_summed(part)}
            for (photos, case), part in grouped(rows, "photos", "case").items()
        ]


experiments.register("ablation")(Ablation())


def _summed(part: Sequence[Row]) -> Row:
    """Means over photos, with intervals: by channel of all editors, then as saved by editor, then of unseen ones."""
    whole = [row for row in part if not row["refused"]]
    refused = [0.0] * (len(part) - len(whole))
    own, noise = (
        [row for row in whole if row["picture"] == picture and row["channel"] == AS_SAVED]
        for picture in (PROTECTED, NOISE)
    )
    unseen, unseen_noise = ([row for row in rows if not row["searched"]] for rows in (own, noise))
    editors = dict.fromkeys(str(row["editor"]) for row in own)

    def share(rows: Sequence[Row]) -> str:
        return spread(per_photo(rows, "disrupted") + refused)

    sent = {
        channel: share([row for row in whole if row["picture"] == PROTECTED and row["channel"] == channel])
        for channel in verified()
    }
    count = len(grouped(part, "photo"))
    return {
        "measured": f"{count - len(refused)} of {count}",
        **{name: mean_of(per_photo(own, name)) for name in SEEN},
        **sent,
        "noise": mean_of(per_photo(noise, "disrupted")),
        **{f"{name}, as saved": share([row for row in own if row["editor"] == name]) for name in editors},
        "unseen": share(unseen) if unseen else None,
        "unseen: distance": mean_of(per_photo(unseen, "distance")),
        "of noise": mean_of(per_photo(unseen_noise, "distance")),
        "search, s": median(seconds) if (seconds := per_photo(own, "search_s")) else None,
    }
