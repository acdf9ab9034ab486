"""What an experiment is: cases that are measured one by one, and what their rows come to. One file, one name each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from shield.errors import InputError
from shield.recipe import Recipe
from shield.registry import Registry

if TYPE_CHECKING:  # only whoever plots needs it
    from matplotlib.figure import Figure

Value: TypeAlias = str | float | int | bool | None
Row: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True)
class Setting:
    """What experiments are run with.

    ``photos``: files with a face each. ``faces``: the archives of training, for whoever needs many faces, of which
    ``count`` are taken of every source; None where they are not at hand. ``recipe``: of the protection.
    ``trainings``: a folder with a folder for every recipe that was trained; None where there is none.
    """

    photos: Sequence[Path] = ()
    faces: Path | None = None
    count: int = 100
    recipe: Recipe = field(default_factory=lambda: Recipe(format="png"))
    trainings: Path | None = None

    def archives(self) -> Path:
        """The archives. Raises InputError where there are none."""
        if self.faces is None:
            raise InputError("This experiment needs the face archives of training; name their folder with --faces.")
        return self.faces

    def trainings_folder(self) -> Path:
        """What was trained. Raises InputError where nothing was."""
        if self.trainings is None:
            raise InputError("This experiment needs networks that were trained for it; name their folder, --trainings.")
        return self.trainings


@dataclass(frozen=True)
class Case:
    """One measurement: its name, unlike every other's of the experiment, how it is made, and the files it is of."""

    name: str
    measure: Callable[[], Sequence[Row]]
    files: Sequence[Path] = ()


class Experiment(Protocol):
    """Cases, and what their rows say together.

    ``title``: one line. ``paper``: whose protocol it is, "" of shield's own. ``published``: the paper's own figures,
    rows with the columns of ``table``, as far as they were read in its text or in its authors' repository.
    """

    title: str
    paper: str
    published: Sequence[Row]

    def cases(self, setting: Setting) -> Iterator[Case]:
        """In the order in which they are measured, so that every beginning says something of everything.

        Raises InputError where something is missing.
        """
        ...

    def table(self, rows: Sequence[Row]) -> list[Row]:
        """The rows of all cases, summed up: as they are printed."""
        ...

    def plot(self, rows: Sequence[Row]) -> "Figure | None":
        """The same drawn, where a picture says more; here no picture."""
        return None


experiments: Registry[Experiment] = Registry("experiment")


def photos_of(setting: Setting) -> Sequence[Path]:
    """The photos. Raises InputError where there are none."""
    if not setting.photos:
        raise InputError("This experiment needs photos; name a folder that holds some.")
    return setting.photos


def name_of(photo: Path) -> str:
    """A photo's name in cases and rows: that of its folder stands before it, for others may hold one of that name."""
    return f"{photo.parent.name}/{photo.name}"


def grouped(rows: Sequence[Row], *columns: str) -> dict[tuple[Value, ...], list[Row]]:
    """Rows by their values in these columns, in the order in which they came."""
    groups: dict[tuple[Value, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def numbers(rows: Sequence[Row], column: str) -> list[float]:
    """A column's numbers, without its gaps."""
    return [float(value) for row in rows if isinstance(value := row.get(column), int | float)]


def mean_of(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return sum(values) / len(values) if values else None


def per_photo(rows: Sequence[Row], column: str) -> list[float]:
    """A column's mean on every photo: photos are what a mean and its interval go over."""
    means = (numbers(own, column) for own in grouped(rows, "photo").values())
    return [sum(values) / len(values) for values in means if values]
