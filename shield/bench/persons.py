"""Does the average of several protected photos bring a person back? With one false identity, and without.

shield bench persons FOLDER            (a folder of photos for each person)
shield bench persons --faces ARCHIVES
"""

import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from shield import BoundError, FaceError, Plan, Recipe, SearchError, find_faces, protect
from shield.batch import photos_in
from shield.faces.sampling import cut
from shield.photo import read
from shield.surrogates import Surrogate, judges, load_surrogate
from shield.training.data import load_faces

Pixels = NDArray[np.uint8]
CLEAN, ALONE, TOWARDS = "clean", "protected", "protected, one false identity"
LFW_SIDE = 128  # px of its faces in the archives
NOTHING = Plan(surrogates=(), channels=(), frames=())  # the photos are measured together, here
CPU = torch.device("cpu")
console = Console(width=140)


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


def mean_of(embeddings: Tensor) -> Tensor:
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
    distance = float(recogniser.distance(mean_of(embeddings), clean)) / recogniser.threshold
    return Known(float(each.double().mean()), distance <= 1, distance)


def protected(photos: Sequence[Path], recipe: Recipe) -> list[Pixels]:
    """The photos that can be protected, as they come out."""
    results = []
    for path in photos:
        try:
            results.append(protect(path, recipe, plan=NOTHING).photo.pixels)
        except (BoundError, FaceError, SearchError) as error:
            console.print(f"{path}: {error}", highlight=False)
    return results


def measured(person: str, photos: Sequence[Path], recipe: Recipe) -> Iterator[tuple[str, str, Known]]:
    """By network and by what was done to all photos but the last, which stays clean."""
    *mine, other = photos
    ways: dict[str, list[Pixels]] = {
        CLEAN: [read(path).pixels for path in mine],
        ALONE: protected(mine, replace(recipe, person=None)),
        TOWARDS: protected(mine, replace(recipe, person=person)),
    }
    for name in dict.fromkeys((*recipe.searched, *judges)):
        recogniser = load_surrogate(name, CPU)
        for way, pictures in ways.items():
            if pictures and not recogniser.makes_pictures:
                yield name, way, known(recogniser, pictures, read(other).pixels)


def table(results: Mapping[tuple[str, str], Sequence[Known]]) -> Table:
    """Means over persons, by network and by what was done to the photos."""
    head = "network", "photos", "persons", "known, each", "known by their mean", "distance of the mean, in lines"
    rows = Table(*head, box=box.MARKDOWN)
    for (name, way), found in results.items():
        figures: list[Any] = [[one.each for one in found], [one.mean for one in found], [one.distance for one in found]]
        rows.add_row(name, way, str(len(found)), *(f"{statistics.mean(map(float, figure)):.2f}" for figure in figures))
    return rows


def persons_in(folder: Path, photos: int) -> dict[str, list[Path]]:
    """The first photos of every person who has so many: a folder each."""
    found = {path.name: photos_in(path, photos) for path in sorted(folder.iterdir()) if path.is_dir()}
    return {person: paths for person, paths in found.items() if len(paths) == photos}


def written(faces: Path, count: int, photos: int, side: int, folder: Path) -> None:
    """Test persons of the archives of training as such folders, their photos ``side`` px large."""
    test = load_faces(faces, "test", LFW_SIDE, ("lfw",))
    by_person: dict[str, list[int]] = {}
    for number, person in enumerate(test.persons):
        by_person.setdefault(person, []).append(number)
    for person in [person for person, numbers in by_person.items() if len(numbers) >= photos][:count]:
        (folder / person).mkdir()
        for number in by_person[person][:photos]:
            picture = Image.fromarray(np.ascontiguousarray(test.faces[number].permute(1, 2, 0).numpy()))
            picture.resize((side, side), Image.Resampling.BICUBIC).save(folder / person / f"{number:05}.png")


def main(
    folder: Annotated[Path | None, typer.Argument(help="A folder of photos for each person.")] = None,
    faces: Annotated[Path | None, typer.Option(help="The face archives of training, for LFW's test persons.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many of LFW's persons.")] = 10,
    photos: Annotated[int, typer.Option(min=2, help="Of each person; the last one stays clean.")] = 6,
    side: Annotated[int, typer.Option(min=64, help="Of LFW's photos, px.")] = 320,
    preset: Annotated[str, typer.Option()] = "balanced",
    surrogate: Annotated[list[str] | None, typer.Option()] = None,
    steps: Annotated[int, typer.Option()] = Recipe().steps,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Print by whom persons are known on each of their protected photos, and by the mean of all of these."""
    torch.set_num_threads(threads)
    names = tuple(surrogate or Recipe().surrogates)
    recipe = Recipe(surrogates=names, format="png", steps=steps).with_preset(preset)
    results: dict[tuple[str, str], list[Known]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        if faces is not None:
            written(faces, count, photos, side, Path(temporary))
        persons = persons_in(Path(temporary) if folder is None else folder, photos)
        if not persons:
            raise typer.BadParameter(f"name a folder with a folder of {photos} photos or more for each person")
        for person, paths in persons.items():
            for name, way, found in measured(person, paths, recipe):
                results.setdefault((name, way), []).append(found)
                console.print(f"{person}, {name}, {way}: {found}", highlight=False)
    console.print(table(results))
