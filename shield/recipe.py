"""Recipe: every setting of a protection as one value."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from shield.attacks import attacks
from shield.bounds import bounds
from shield.channels import AS_SAVED, load_channel
from shield.device import AUTO
from shield.errors import RecipeError
from shield.objectives import objectives
from shield.persons import key_of
from shield.photo import JPEG_QUALITY
from shield.starts import Start, protector, random, starts, universal
from shield.surrogates import RECOGNISERS, STUDENTS, judges, surrogates


@dataclass(frozen=True)
class Strength:
    """How visible the change may be, as ``Recipe`` explains it, and what that means in words."""

    face_lpips: float
    flip: float
    loudest: float
    skin: float
    stains: float
    warp: float
    levels: int
    smooth: int
    meaning: str


# The settings that a preset decides.
STRENGTH = ("face_lpips", "flip", "loudest", "skin", "stains", "warp", "levels", "smooth")
CLASSES = ("joint", "iterative")
# Attacks that are no search, and the starts that they are.
UNSEARCHED: Mapping[str, str] = MappingProxyType({"universal": universal.NAME, "instant": protector.NAME})
WARP, PIXELS = "warp", "pixels"
CARRIERS = (WARP, PIXELS)
PIXELS_ALONE = (PIXELS,)  # without a warp
LARGEST_WARP = 0.05
LARGEST_SPREAD = 3.0  # beyond that frames miss the face
# What the search goes through in turn by default. Each sees frames drawn anew.
ROBUST = (AS_SAVED, AS_SAVED, "jpeg75")
PLAIN = (AS_SAVED,)
BALANCED = Strength(0.05, 0.07, 0.20, 1.05, 1.6, 0.005, 32, 3, "hard to see, right for most photos")
PRESETS: Mapping[str, Strength] = MappingProxyType(
    {
        "subtle": Strength(0.02, 0.05, 0.12, 1.03, 0.8, 0.0025, 24, 3, "hardest to see, holds least"),
        "balanced": BALANCED,
        "strong": Strength(0.10, 0.10, 0.30, 1.1, 2.4, 0.005, 48, 8, "holds most, may be seen"),
    }
)


@dataclass(frozen=True)
class Recipe:
    """What to do to a photo. Same Recipe, photo, processor and number of threads: same bytes.

    ``face_lpips``, ``flip``: the bounds on every face's LPIPS and mean FLIP in the saved file. ``loudest``, ``skin``,
    ``stains``: what the search keeps FLIP's 99th percentile, the skin ratio and broad changes of colour to; a face
    keeps its colours. Of all of these but LPIPS what the warp does counts not. ``warp``: how far a point may
    move, in sides of the face's frame; the expression stays.
    ``levels``: the largest change of a value before encoding, in 8-bit levels. ``carriers``: how the change is written,
    as a "warp" of the face (where the search asks recognisers) and as "pixels". ``bound``: the shape of a change within
    these (a registered name). ``steered``: search where LPIPS is low, instead of only shrinking the change to the bound
    at the end. ``masked``: hide the change in texture, so that smooth places change by ``smooth`` levels at most (from
    ``levels`` on: anywhere), and in grey
    rather than colour. ``surrogates``, ``transforms``, ``objective``, ``attack``: registered names; the search goes
    through the transforms in turn, of which "half+jpeg75" is one after the other and "none" just saving: a JPEG is
    searched through its codec. ``edits``: of the surrogates, to work against (none named: all). ``classes``: "joint"
    climbs them together, "iterative" one after the other (Ruiz et al. 2020). ``steps``: of the search, at most.
    ``spread``: how widely the frames are drawn in which the search sees a face, in the widths by which tools differ
    (0: the face's own frame alone, which nobody else hits).
    ``start``: what the search begins with (a registered name), as a "random" change, the "universal" one of models/ or
    what its "protector" makes of the face; the attacks "universal" and "instant" are those changes and no search.
    ``person``: any name of who is on the photo, the same for all photos of that person, for all faces on them then move
    towards one false identity; of the name only a key is kept, which may be given instead (None: towards nobody).
    ``format``: of the file (None: the photo's own); ``quality``: of JPEG, HEIF and AVIF, 1..100. ``keep_exif``: keep
    the EXIF of camera and picture. ``whole``: treat the picture as one region instead of looking for faces.
    ``device``: "auto" or a torch device.

    Raises RecipeError where a setting is unknown or out of range.
    """

    face_lpips: float = BALANCED.face_lpips
    flip: float = BALANCED.flip
    loudest: float = BALANCED.loudest
    skin: float = BALANCED.skin
    stains: float = BALANCED.stains
    warp: float = BALANCED.warp
    levels: int = BALANCED.levels
    smooth: int = BALANCED.smooth
    surrogates: tuple[str, ...] = (*RECOGNISERS, *STUDENTS, "stargan")
    transforms: tuple[str, ...] = ROBUST
    edits: tuple[str, ...] = ()
    classes: str = CLASSES[1]
    objective: str = "output"
    attack: str = "tangent"
    bound: str = "linf"
    steered: bool = True
    masked: bool = False
    steps: int = 120
    spread: float = 1.0
    start: str = random.NAME
    seed: int = 0
    format: str | None = None
    quality: int = JPEG_QUALITY
    keep_exif: bool = False
    carriers: tuple[str, ...] = CARRIERS
    whole: bool = False
    device: str = AUTO
    person: str | None = None

    def __post_init__(self) -> None:
        for name in TUPLES:
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        if self.person is not None:
            object.__setattr__(self, "person", key_of(self.person))
        attacks[self.attack]
        bounds[self.bound]
        objectives[self.objective]
        starts[self.start]
        for name in self.surrogates:
            if name not in surrogates and name in judges:
                raise RecipeError(
                    f"{name!r} is a judge, which no search may ask: what it says of a photo is what a stranger's "
                    f"network says; choose from: {', '.join(surrogates)}."
                )
            surrogates[name]
        for name in self.transforms:
            load_channel(name)
        for ok, sentence in (
            (
                self.classes in CLASSES,
                f"There is no way {self.classes!r} through the edits; choose {' or '.join(CLASSES)}.",
            ),
            (len(self.surrogates) > 0, "Name at least one surrogate to protect against."),
            (
                len(self.transforms) > 0,
                f"Name at least one transform to go through ({AS_SAVED!r} is just the saved file).",
            ),
            (0 < self.face_lpips <= 1, f"The face LPIPS is {self.face_lpips}; choose a bound above 0, at most 1."),
            (0 < self.flip <= 1, f"The FLIP is {self.flip}; choose a bound above 0, at most 1."),
            (0 < self.loudest <= 1, f"The loudest FLIP is {self.loudest}; choose a bound above 0, at most 1."),
            (self.skin > 1, f"The skin ratio is {self.skin}; choose a bound above 1."),
            (self.stains > 0, f"Stains are bounded by {self.stains}; choose a bound above 0."),
            (0 < self.warp <= LARGEST_WARP, f"The warp is {self.warp}; choose above 0, at most {LARGEST_WARP}."),
            (
                len(self.carriers) > 0 and {*self.carriers} <= {*CARRIERS},
                f"The carriers are {', '.join(self.carriers) or 'none'}; choose from: {', '.join(CARRIERS)}.",
            ),
            (
                PIXELS in self.carriers or self.beginning.change is None,
                "Without pixels there is nothing to begin with; keep them among the carriers, or begin at random.",
            ),
            (
                self.attack not in UNSEARCHED or not (self.edits or self.person),
                f"The attack {self.attack!r} is no search and takes neither edits nor a person; leave them out, or "
                "choose another attack.",
            ),
            (1 <= self.levels <= 255, f"The largest change is {self.levels}; choose 1 to 255 levels."),
            (0 <= self.smooth <= 255, f"Smooth places change by {self.smooth}; choose 0 to 255 levels."),
            (
                0 <= self.spread <= LARGEST_SPREAD,
                f"The frames' spread is {self.spread}; choose 0 to {LARGEST_SPREAD:g}.",
            ),
            (self.steps >= 1, f"The search has {self.steps} steps; choose at least 1."),
            (1 <= self.quality <= 100, f"The quality is {self.quality}; choose 1 to 100."),
            (0 <= self.seed < 2**63, f"The seed is {self.seed}; choose a number from 0 to 2**63 - 1."),
        ):
            if not ok:
                raise RecipeError(sentence)

    @property
    def searched(self) -> tuple[str, ...]:
        """The surrogates that the search asks: none where the attack is no search."""
        return () if self.attack in UNSEARCHED else self.surrogates

    @property
    def beginning(self) -> Start:
        """Where the change begins: the attack that is no search is a start itself."""
        return starts[UNSEARCHED.get(self.attack, self.start)]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Recipe":
        """The Recipe with these settings, as ``settings()`` or JSON gives them; the others are the defaults.

        Raises RecipeError on an unknown setting, or a value of another type or out of range.
        """
        defaults = cls().settings()
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
        }
        for name, value in values.items():
            if name not in defaults:
                raise RecipeError(f"There is no setting named {name!r}; choose from: {', '.join(defaults)}.")
            if not _fits(value, defaults[name]):
                raise RecipeError(f"The setting {name!r} is {value!r}; give a value like {defaults[name]!r}.")
        return cls(**values)

    def settings(self) -> dict[str, Any]:
        """Every setting by name."""
        return asdict(self)

    def to_json(self) -> str:
        """JSON text that ``Recipe.of`` understands once parsed."""
        return json.dumps(self.settings(), indent=2) + "\n"

    @property
    def preset(self) -> str | None:
        """The preset that has this strength, if there is one."""
        own = [getattr(self, setting) for setting in STRENGTH]
        return next((name for name, it in PRESETS.items() if [getattr(it, s) for s in STRENGTH] == own), None)

    def with_preset(self, name: str) -> "Recipe":
        """This Recipe at another strength: "subtle", "balanced" or "strong"."""
        if name not in PRESETS:
            raise RecipeError(f"There is no preset named {name!r}; choose from: {', '.join(PRESETS)}.")
        strength: dict[str, Any] = {setting: getattr(PRESETS[name], setting) for setting in STRENGTH}
        return replace(self, **strength)


TUPLES = tuple(setting.name for setting in fields(Recipe) if isinstance(setting.default, tuple))


def _names(setting: str, value: object) -> tuple[str, ...]:
    """Names as they are kept: one alone may be given by itself, several in any sequence."""
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        raise RecipeError(f"The setting {setting!r} is {value!r}; give a name or a tuple of names.")
    return tuple(names)


def _fits(value: object, default: object) -> bool:
    """Whether ``value`` is of the kind that the setting with this ``default`` takes."""
    if default is None:
        return value is None or isinstance(value, str)
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    return type(value) is type(default) or (isinstance(default, float) and type(value) is int)
