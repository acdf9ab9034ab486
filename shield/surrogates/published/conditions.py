"""What the conditions of a network mean: as whoever imports it says, and numbered where nobody does.

A file holds how many conditions a network takes and never which, so that a name that is guessed may be a wrong one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from shield.errors import InputError

Edits = Mapping[str, Sequence[float]]  # names to condition vectors; an empty vector where a network takes none
DataSets = Sequence[Sequence[str]]  # the names of the attributes of every data set that a network was trained on

PUBLISHED = "published"  # said for the names: the file is the authors' own, or was trained on what they trained on
NUMBERED = "condition {}"
BETWEEN_NAMES, BETWEEN_SETS = ",", "+"


@dataclass(frozen=True)
class Conditions:
    """What the networks of a family are conditioned on.

    ``published``: the edits that the authors' networks are asked for, by their number of conditions; ``certain``:
    whether that number alone says which conditions they are. ``present``, ``absent``: the values of the attribute that
    is edited and of the others. ``masked``: the numbers of conditions that mean several data sets, and how many
    attributes each has; a mask follows, with a place for every data set and a 1 at the one that is asked.
    """

    published: Mapping[int, Edits]
    certain: bool = False
    present: float = 1
    absent: float = 0
    masked: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def edits(self, count: int, attributes: str = "") -> Edits:
        """The edits of a network of ``count`` conditions.

        ``attributes``: their names in the order of training, divided by commas, of two data sets by a plus
        (``Smiling,Young+happy,sad``): an edit each. "published": the edits of the authors' networks. Where nothing is
        said and the number does not say it, the edits are numbered. Raises InputError where the names do not suit.
        """
        if attributes == PUBLISHED or (self.certain and not attributes and count in self.published):
            return self._of_the_authors(count)
        sets = self._named(count, attributes) if attributes else numbered(self.masked.get(count, (count,)))
        return {name: self._vector(sets, name) for name in chain(*sets)}

    def _of_the_authors(self, count: int) -> Edits:
        if count not in self.published:
            known = " or ".join(map(str, self.published))
            raise InputError(
                f"The network has {count} conditions, the published ones have {known}; name its attributes instead."
            )
        return self.published[count]

    def _named(self, count: int, attributes: str) -> DataSets:
        sets = [[name.strip() for name in part.split(BETWEEN_NAMES)] for part in attributes.split(BETWEEN_SETS)]
        names = list(chain(*sets))
        if not all(name and name.isprintable() for name in names):
            raise InputError(f"One of the attributes in {attributes!r} has no name or one that cannot be printed.")
        if twice := next((name for name in names if sum(name.casefold() == n.casefold() for n in names) > 1), None):
            raise InputError(f"The attribute {twice!r} is named twice; every attribute has a name of its own.")
        if len(sets) > 1 and not self.masked:
            raise InputError(f"{attributes!r} names two data sets; networks of this family know one.")
        mask = _mask_size(sets)
        if len(names) + mask != count:
            places = f", and {mask} of them are the mask of {mask} data sets" if mask else ""
            raise InputError(
                f"The network has {count or 'no'} conditions{places}, where {len(names)} attributes are named; name "
                "every one in the order of training, or none."
            )
        return sets

    def _vector(self, sets: DataSets, edited: str) -> tuple[float, ...]:
        values = [self.present if name == edited else self.absent for name in chain(*sets)]
        mask = [float(edited in names) for names in sets] if _mask_size(sets) else []
        return (*values, *mask)


def numbered(sizes: Sequence[int]) -> DataSets:
    """Names for the attributes of data sets of these sizes, of which nothing else is known."""
    numbers = iter(range(1, sum(sizes) + 1))
    return [[NUMBERED.format(next(numbers)) for _ in range(size)] for size in sizes]


def are_numbered(edits: Edits) -> bool:
    """Whether nothing is known of the edits but their places."""
    return NUMBERED.format(1) in edits


def _mask_size(sets: DataSets) -> int:
    return len(sets) if len(sets) > 1 else 0
