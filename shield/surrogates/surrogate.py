"""What a surrogate is: a network like those that will be pointed at the photo, tamed at the door."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from shield.errors import InputError
from shield.faces import Template
from shield.registry import Registry


class Surrogate(Protocol):
    """Takes faces in [0, 1] and owns its normalisation.

    ``edits`` names what it can do to a face. ``distance`` compares results with clean results, (N, E), and beyond
    ``threshold`` an edit counts as disrupted. ``makes_pictures`` is False for networks that only embed.
    """

    name: str
    size: int
    framing: Template
    edits: tuple[str, ...]
    licence: str
    threshold: float
    makes_pictures: bool

    def __call__(self, faces: Tensor) -> Tensor:
        """Faces (N, 3, size, size) in [0, 1] to (N, E, 3, size, size) in [-1, 1], or embeddings (N, E, D)."""
        ...

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        """How far results are from clean results: (N, E)."""
        ...


@runtime_checkable
class Selective(Surrogate, Protocol):
    """A surrogate whose edits cost so much each that it computes those alone that are asked for."""

    def only(self, edits: Sequence[str]) -> Surrogate:
        """The same with these of its edits, in this order."""
        ...


Loader = Callable[[torch.device], Surrogate]
surrogates: Registry[Loader] = Registry("surrogate")
hardened: Registry[Loader] = Registry("hardened manipulator")  # adversaries: no search works on them
# Networks that no search may ever ask: what they say of a protected photo is what a stranger's network says.
judges: Registry[Loader] = Registry("judge")
_loaded: dict[tuple[str, str], Surrogate] = {}


def load_surrogate(name: str, device: torch.device) -> Surrogate:
    """The surrogate, judge or hardened manipulator of that name on a device, loaded once.

    Raises RecipeError for an unknown name, InputError where what its loader returns is no surrogate.
    """
    key = name, str(device)
    if key not in _loaded:
        room = next((room for room in (surrogates, judges, hardened) if name in room), surrogates)
        with torch.random.fork_rng(devices=[]):  # a network is built of random weights before it gets its own
            loaded = room[name](device)
        check_attributes(name, loaded)
        _loaded[key] = loaded
    return _loaded[key]


def load_surrogates(device: torch.device) -> list[Surrogate]:
    """Every surrogate and every judge on a device. Raises what ``load_surrogate`` raises."""
    return [load_surrogate(name, device) for name in (*surrogates, *judges)]


def load_hardened(device: torch.device) -> list[Surrogate]:
    """Every hardened manipulator that there is on a device. Raises what ``load_surrogate`` raises."""
    return [load_surrogate(name, device) for name in hardened]


def forget(name: str) -> None:
    """Let the next ``load_surrogate`` of that name load it anew."""
    for key in [key for key in _loaded if key[0] == name]:
        del _loaded[key]


def check_attributes(name: str, surrogate: Surrogate) -> None:
    """Raise InputError where what was loaded as ``name`` is no surrogate or another's."""
    promised = (*Surrogate.__annotations__, "distance")
    if missing := [what for what in promised if not hasattr(surrogate, what)]:
        raise InputError(f"What is registered as the surrogate {name!r} has no {', '.join(missing)}; add that to it.")
    if surrogate.name != name:
        raise InputError(f"The surrogate registered as {name!r} calls itself {surrogate.name!r}; give both one name.")
