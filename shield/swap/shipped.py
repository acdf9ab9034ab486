"""Donors: pictures of people who do not exist, that a report puts the photo's face on."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from shield.errors import WeightsError
from shield.photo import read
from shield.registry import Registry
from shield.swap.canvas import Canvas, Pixels
from shield.swap.tool import largest_face
from shield.weights import REINSTALL, models_folder

ENDING = ".jpg"

donors: Registry[Pixels] = Registry("donor")


def donors_folder() -> Path:
    """Where the pictures lie, one file per name."""
    return models_folder() / "donors"


class _Files(Mapping[str, Pixels]):
    """The files of the folder, opened when they are asked for."""

    def __getitem__(self, name: str) -> Pixels:
        if name not in set(self):
            raise KeyError(name)
        return read(donors_folder() / f"{name}{ENDING}").pixels

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(donors_folder().glob(f"*{ENDING}")))

    def __len__(self) -> int:
        return len(list(iter(self)))


donors.follow(_Files())


@lru_cache(maxsize=16)
def donor(name: str) -> Canvas:
    """The donor of that name and the face in it, found once.

    Raises RecipeError for an unknown name, WeightsError where an installation lost the pictures.
    """
    if not donors:
        raise WeightsError(f"{donors_folder()} holds no donors; {REINSTALL}.")
    return Canvas.around(donors[name], largest_face(donors[name], f"donor {name!r}"))
