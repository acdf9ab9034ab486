"""What is measured: which networks, after which channels, in which frames. The choice that keeps verification short."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shield.channels import AS_SAVED, load_channel, verified
from shield.errors import RecipeError
from shield.frames import HELD as DRAWS
from shield.recipe import Recipe
from shield.surrogates import STUDENTS, judges
from shield.surrogates import surrogates as known
from shield.swap import ALIGNER, donors
from shield.verify.frames import kinds
from shield.verify.rows import EXACT, FOUND, HELD, PROTECTED, SOCIAL

QUICK, FULL = EXTENTS = ("quick", "full")  # how much may be measured, by name
LEAST = 4  # draws of every face as saved, however many faces there are


@dataclass(frozen=True)
class Plan:
    """The rows of a report; the default is what every report holds.

    ``surrogates``, ``channels``, ``frames``: names; of the rows below only those of these (None: all; of channels, all
    but those that only a search goes through; of surrogates, all but students, which know what their teachers know).
    The networks that the search worked on, and judges, are measured on the protected photo as saved in ``held`` draws
    of the distribution of frames, after every other channel in ``few``; after the channels ``exact`` in the search's
    own frame too, and after those of ``found`` where every aligner finds the face.
    Controls are measured after ``controls``, in few draws and in the search's own frame after the same channels.
    Networks that the search did not see are measured as saved alone, in few draws, unless ``unseen`` wants all.

    Swaps put the photo's face on ``donors`` (None: all where no surrogates are named, else none): the original's and
    the controls' as saved, the protected photo's after the channels ``lent_after``. ``put_on``: so many of the donors'
    faces are put on the original and on the protected photo.

    Raises RecipeError for an unknown name.
    """

    surrogates: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    frames: tuple[str, ...] | None = None
    held: int = DRAWS
    few: int = 4
    unseen: bool = False
    exact: tuple[str, ...] = (AS_SAVED,)
    found: tuple[str, ...] = (AS_SAVED,)
    controls: tuple[str, ...] = (AS_SAVED, "jpeg75")
    donors: tuple[str, ...] | None = None
    lent_after: tuple[str, ...] = (AS_SAVED, "jpeg75", SOCIAL)
    put_on: int = 1

    def __post_init__(self) -> None:
        for name in self.surrogates or ():
            if name not in judges:
                known[name]
        for name in self.channels or ():
            load_channel(name)
        for name in self.frames or ():
            kinds[name]
        for name in self.donors or ():
            donors[name]

    @property
    def asked(self) -> tuple[str, ...]:
        """The surrogates."""
        everybody = (name for name in (*known, *judges) if name not in STUDENTS)
        return tuple(everybody) if self.surrogates is None else self.surrogates

    @property
    def sent_through(self) -> tuple[str, ...]:
        """The channels."""
        return verified() if self.channels is None else self.channels

    @property
    def lent_to(self) -> tuple[str, ...]:
        """The donors; none where no frames are wanted in which swaps are made."""
        if self.frames is not None and FOUND + ALIGNER not in self.frames:
            return ()
        if self.donors is None:
            return tuple(donors) if self.surrogates is None else ()
        return self.donors

    def narrowed(
        self,
        surrogates: Sequence[str] | None = None,
        channels: Sequence[str] | None = None,
        frames: Sequence[str] | None = None,
    ) -> "Plan":
        """The plan with these names only; None leaves what there is."""
        return replace(
            self,
            surrogates=self.surrogates if surrogates is None else tuple(surrogates),
            channels=self.channels if channels is None else tuple(channels),
            frames=self.frames if frames is None else tuple(frames),
        )

    def among(self, faces: int) -> "Plan":
        """The plan for a photo of so many faces: they share the draws, so that each further one costs less."""
        held, few = max(min(LEAST, self.held), self.held // faces), max(1, self.few // faces)
        lent_to = self.lent_to[: max(1, len(self.lent_to) // faces)]
        return replace(self, held=held, few=few, donors=lent_to)

    def rows(self, picture: str, channel: str, full: bool) -> Mapping[str, int]:
        """Kinds of frames in which a picture is measured after a channel, and how many draws of each.

        ``full``: by a network that the search worked on.
        """
        saved, full = channel == AS_SAVED, full or self.unseen
        if not (full or saved) or (picture != PROTECTED and channel not in self.controls):
            return {}
        draws = {EXACT: 1} if channel in self.exact else {}
        draws[HELD] = self.held if picture == PROTECTED and full and saved else self.few
        if picture == PROTECTED and channel in self.found:
            draws |= {kind: 1 for kind in kinds if kind.startswith(FOUND)}
        return {kind: count for kind, count in draws.items() if self.frames is None or kind in self.frames}

    def swaps(self, picture: str) -> tuple[str, ...]:
        """The channels after which a picture's faces are lent to donors."""
        if not self.lent_to or AS_SAVED not in self.sent_through:
            return ()
        after = self.lent_after if picture == PROTECTED else (AS_SAVED,)
        return tuple(channel for channel in after if channel in self.sent_through)

    def against_adversaries(self) -> Mapping[str, int]:
        """The same of what is measured after an adversary did its work."""
        return {HELD: self.few}


PLAN = Plan()


def plan_of(extent: str, recipe: Recipe) -> Plan:
    """The plan "full", or "quick": what a search by this Recipe was fitted to, and the judges, as saved in held frames.

    Nothing else: no channels, controls, aligners or swaps. Raises RecipeError for another name.
    """
    if extent not in EXTENTS:
        raise RecipeError(f"There is no verification named {extent!r}; choose {' or '.join(EXTENTS)}.")
    if extent == FULL:
        return PLAN
    fitted = (*recipe.searched, *recipe.beginning.fitted_to)
    asked = tuple(name for name in PLAN.asked if name in fitted or name in judges)
    return Plan(asked, channels=(AS_SAVED,), frames=(HELD,), controls=())
