"""Does the average of several protected photos bring a person back? With one false identity, and without.

Of a folder of photos for each person, or of LFW's test persons. The last photo of each stays clean: it is what somebody
knows of the person who finds the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shield import BoundError, Recipe, find_faces, protect
from shield.bench.experiments.experiment import (
    Case,
    Experiment,
    Row,
    Setting,
    experiments,
    grouped,
    mean_of,
    numbers,
)
from shield.bench.photos import LFW, NOTHING, STORED, Pixels
from shield.errors import InputError
from shield.faces.sampling import cut
from shield.photo import read
from shield.surrogates import Surrogate, judges, load_surrogate
from shield.training.data import FaceSet, load_faces

CLEAN, ALONE, TOWARDS = "clean", "protected", "protected, one false identity"
PHOTOS = 6  # of every person
SIDE = 320  # px of LFW's photos, enlarged
CPU = torch.device("cpu")
Source: TypeAlias = Path | Pixels


@dataclass(frozen=True)
class Known:
    """What a recogniser makes of a person's N photos beside another, clean one.

    ``each``: share of the photos that it takes for the person's. ``mean``: whether it does so with the mean of all
    their embeddings, whose squared ``distance`` is in shares of its line.
    """

    each: float
    mean: bool
    distance: float


@torch.no_grad()
def embedding(recogniser: Surrogate, pixels: Pixels) -> Tensor:
    """Of a photo's largest face, (1, 1, D). Raises FaceError where there is none."""
    face = find_faces(pixels)[0]
    return recogniser(cut(pixels, face, recogniser.size, recogniser.framing)).float()


def central(embeddings: Tensor) -> Tensor:
    """The mean (1, 1, D) of embeddings (N, 1, D), as long as these are."""
    mean = embeddings.mean(0, keepdim=True)
    length: Tensor = embeddings.norm(dim=2).mean() / mean.norm()
    return mean * length


def known(recogniser: Surrogate, photos: Sequence[Pixels], other: Pixels) -> Known:
    """What a recogniser makes of photos of one person, beside another of that person.

    Raises FaceError where one of them shows no face.
    """
    embeddings = torch.cat([embedding(recogniser, pixels) for pixels in photos])
    clean = embedding(recogniser, other)
    each = recogniser.distance(embeddings, clean) <= recogniser.threshold
    distance = float(recogniser.distance(central(embeddings), clean)) / recogniser.threshold
    return Known(float(each.double().mean()), distance <= 1, distance)


class Persons(Experiment):
    """See above."""

    title = "Who knows a person by the mean of several protected photos"
    paper = ""
    published: Sequence[Row] = ()

    def cases(self, setting: Setting) -> Iterator[Case]:
        for person, photos in persons_of(setting).items():
            files = [photo for photo in photos if isinstance(photo, Path)]
            yield Case(person, partial(self.measure, person, photos, setting.recipe), files)

    def measure(self, person: str, photos: Sequence[Source], recipe: Recipe) -> list[Row]:
        """A row per recogniser and by what was done to all photos but the last, which stays clean."""
        *mine, other = [read(photo).pixels if isinstance(photo, Path) else photo for photo in photos]
        ways = {
            CLEAN: mine,
            ALONE: protected(mine, replace(recipe, person=None)),
            TOWARDS: protected(mine, replace(recipe, person=person)),
        }
        recognisers = [load_surrogate(name, CPU) for name in dict.fromkeys((*recipe.searched, *judges))]
        rows = list[Row]()
        for recogniser in recognisers:
            for way, pictures in ways.items():
                if pictures and not recogniser.makes_pictures:
                    found = known(recogniser, pictures, other)
                    first: Row = {"person": person, "network": recogniser.name, "photos": way, "of": len(pictures)}
                    rows.append({**first, **vars(found)})
        return rows

    def table(self, rows: Sequence[Row]) -> list[Row]:
        """Means over persons."""
        return [
            {
                "network": network,
                "photos": way,
                "persons": len(part),
                "known, each": mean_of(numbers(part, "each")),
                "known by their mean": mean_of(numbers(part, "mean")),
                "distance of the mean, in lines": mean_of(numbers(part, "distance")),
            }
            for (network, way), part in grouped(rows, "network", "photos").items()
        ]


experiments.register("persons")(Persons())


def protected(photos: Sequence[Pixels], recipe: Recipe) -> list[Pixels]:
    """The photos as they come out; those that fit no bound are left out."""
    results = []
    for pixels in photos:
        try:
            results.append(protect(pixels, recipe, plan=NOTHING).photo.pixels)
        except BoundError:
            continue
    return results


def persons_of(setting: Setting) -> Mapping[str, Sequence[Source]]:
    """The first photos of every person who has so many: of the photos, or of LFW where there are none.

    Raises InputError where there is nobody.
    """
    if setting.faces is not None and not setting.photos:
        test = load_faces(setting.faces, "test", STORED, (LFW,))
        everybody: Mapping[str, Sequence[Source]] = lfw_persons(test, setting.count)
    else:
        roots = {photo.parent.parent for photo in setting.photos}  # what lies beside the folders is nobody's
        folders: dict[str, list[Source]] = {}
        for photo in setting.photos:
            if photo.parent not in roots:
                folders.setdefault(photo.parent.name, []).append(photo)
        everybody = {person: photos[:PHOTOS] for person, photos in folders.items() if len(photos) >= PHOTOS}
    if not everybody:
        raise InputError(f"This experiment needs persons; name a folder with a folder of {PHOTOS} photos for each.")
    return everybody


def lfw_persons(test: FaceSet, count: int) -> dict[str, list[Source]]:
    """So many of LFW's test persons, their photos enlarged."""
    by_person: dict[str, list[int]] = {}
    for number, person in enumerate(test.persons):
        by_person.setdefault(person, []).append(number)
    several = {person: numbers[:PHOTOS] for person, numbers in by_person.items() if len(numbers) >= PHOTOS}
    return {person: [_enlarged(test, number) for number in several[person]] for person in list(several)[:count]}


def _enlarged(test: FaceSet, number: int) -> Pixels:
    picture = Image.fromarray(np.ascontiguousarray(test.faces[number].permute(1, 2, 0).numpy()))
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
