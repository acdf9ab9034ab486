"""What protection does to every photo, on the reopened file: what breaks, and which edits still make a deepfake.

By network, by what happens to the file, and by the frames in which the face is taken: those that no search saw, those
where aligners find the face in the very file, and the search's own, an upper limit. Beside it the same of noise that is
seen as much, and of the original saved again.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from shield import BoundError, Plan, Recipe, protect
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
from shield.frames import HELD as DRAWS
from shield.verify import NOISE, PROTECTED, RESAVED

# All held frames and the exact one after every channel, for controls too; aligners as saved and after one codec.
THOROUGH = Plan(few=DRAWS, exact=verified(), found=(AS_SAVED, "jpeg75"), controls=verified(), donors=())
SEEN = "face_lpips", "flip", "loudest", "skin", "stains", "warp", "psnr", "ssim"
PARTS = "search", "verification"  # of the time


class Portraits(Experiment):
    """See above."""

    title = "What breaks on protected photos, and which edits still make a usable deepfake"
    paper = ""
    published: Sequence[Row] = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        for photo in photos_of(setting):
            yield Case(name_of(photo), partial(self.measure, photo, setting.recipe), [photo])

    def measure(self, photo: Path, recipe: Recipe) -> list[Row]:
        """A row per picture, channel, kind of frames, network and edit.

        ``disrupted``: the share of frames in which the result is; of a recogniser, in which it does not know the
        person. ``usable``, ``usable_clean``: those in which it is a usable deepfake, of this picture and of the
        original. A photo that fits no bound has one row, which says so.
        """
        first: Row = {"photos": photo.parent.name, "photo": name_of(photo), "refused": False}
        try:
            report = protect(photo, recipe, plan=THOROUGH).report
        except BoundError:
            return [{**first, "refused": True}]
        face = report.worst_face.visibility
        seen = {name: float(getattr(face, name)) for name in SEEN}
        seconds = {f"{part}_s": report.seconds[part] for part in PARTS}
        return [
            {
                **first,
                "picture": row.picture,
                "network": row.surrogate,
                "searched": row.seen,
                "channel": row.channel,
                "frames": row.frame,
                "edit": row.edit,
                "disrupted": row.share,
                "distance": row.distance / row.threshold,
                "usable": row.usable,
                "usable_clean": row.usable_clean,
                "works": row.works,
                **seen,
                **seconds,
            }
            for row in report.effects
        ]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        """By photos, network, channel and kind of frames, and what is seen on the mean.

        A photo that fits no bound counts as not disrupted; ``usable`` goes over the photos on which edits work, and
        over these edits, so many of those that a judge reads.
        """
        summed = list[Row]()
        for (photos,), part in grouped(rows, "photos").items():
            whole = [row for row in part if not row["refused"]]
            refused = [0.0] * (len(part) - len(whole))  # one row each
            count = len(grouped(part, "photo"))
            measured = f"{count - len(refused)} of {count}"
            for (network, channel, frames), own in grouped(whole, "network", "channel", "frames").items():
                place: Row = {"photos": photos, "network": network, "channel": channel, "frames": frames}
                summed.append({**place, **_disrupted(own, refused), "measured": measured, **_usable(own)})
            means = {name: mean_of(per_photo(whole, name)) for name in (*SEEN, *(f"{part}_s" for part in PARTS))}
            summed.append({"photos": photos, "network": "(means)", "measured": measured, **means})
        return summed


experiments.register("portraits")(Portraits())


def _disrupted(own: Sequence[Row], refused: list[float]) -> Row:
    shares = {
        picture: per_photo([row for row in own if row["picture"] == picture], "disrupted")
        for picture in (PROTECTED, NOISE, RESAVED)
    }
    return {
        "disrupted": spread(shares[PROTECTED] + refused),
        "noise": mean_of(shares[NOISE]),
        "re-saved": mean_of(shares[RESAVED]),
    }


def _usable(own: Sequence[Row]) -> Row:
    """Nothing where no judge reads the edits, or none works on the original."""
    working = {
        picture: [row for row in own if row["picture"] == picture and row["works"]]
        for picture in (PROTECTED, NOISE, RESAVED)
    }
    if not working[PROTECTED]:
        return {}
    read = [row for row in own if row["picture"] == PROTECTED and row["usable"] is not None]
    photos = len(grouped(working[PROTECTED], "photo"))
    return {
        "usable, original": mean_of(per_photo(working[PROTECTED], "usable_clean")),
        "usable": spread(per_photo(working[PROTECTED], "usable")),
        "usable, noise": mean_of(per_photo(working[NOISE], "usable")),
        "usable, re-saved": mean_of(per_photo(working[RESAVED], "usable")),
        "works": f"{len(working[PROTECTED])} of {len(read)} edits, {photos} photos",
    }
