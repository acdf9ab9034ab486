"""Surrogates from outside shield: registered in Python, or by an installed package's entry points."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint, entry_points

import torch

from shield.errors import InputError, ShieldError
from shield.surrogates.promises import check_promises
from shield.surrogates.surrogate import Loader, Surrogate, surrogates

GROUP = "shield.surrogates"
CPU = torch.device("cpu")


def register_surrogate(name: str) -> Callable[[Loader], Loader]:
    """Decorator: from now on ``name`` is a surrogate, made by the decorated function of a torch.device.

    ``shield.Surrogate`` says what the function returns. It is called at once for the processor, to try the surrogate on
    two faces, and then once per device, when it is first used there. Raises InputError where the surrogate does not
    keep what is promised of it, ValueError where the name is taken. A package that shield should find by itself names
    such a function in its pyproject.toml, under ``[project.entry-points."shield.surrogates"]``.
    """

    def enter(loader: Loader) -> Loader:
        with torch.random.fork_rng(devices=[]):
            check_promises(name, loader(CPU), CPU)
        return surrogates.register(name)(loader)

    return enter


def installed() -> dict[str, Loader]:
    """The surrogates that installed packages offer; their code is imported when one is used."""
    return {point.name: partial(_load, point) for point in entry_points(group=GROUP)}


def _load(point: EntryPoint, device: torch.device) -> Surrogate:
    try:
        surrogate: Surrogate = point.load()(device)
    except ShieldError:
        raise
    except Exception as error:  # whatever goes wrong in another's package
        package = f" of the package {point.dist.name}" if point.dist else ""
        raise InputError(
            f"The surrogate {point.name!r}{package} ({point.value}) cannot be loaded "
            f"({type(error).__name__}: {error}); mend or uninstall that package."
        ) from error
    check_promises(point.name, surrogate, device)
    return surrogate


surrogates.follow(installed())
