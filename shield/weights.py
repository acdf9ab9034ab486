"""Weights: where they lie, what a manifest says of them, and that not a byte has changed.

Those of models/ come with shield; those of the user's model folder were imported.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from platformdirs import user_data_path
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from shield.errors import WeightsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


REINSTALL = "install shield again"


ORDERS = ("rgb", "bgr")


@dataclass(frozen=True)
class Reading:
    """How a recogniser reads a face and when it knows a person.

    ``template``: the frame it wants. It is given (levels - ``mean``) / ``scale`` in the ``order`` "rgb" or "bgr".
    ``unit``: only the direction of its embeddings counts. ``same``: the squared distance of two embeddings up to which
    it takes both for one person. ``judge``: no search may ask it.
    """

    template: str
    mean: float
    scale: float
    order: str
    unit: bool
    same: float
    judge: bool


@dataclass(frozen=True)
class WeightsEntry:
    """One model of manifest.toml. ``size``: of the network's input, px (0: any). ``reading``: of a recogniser alone."""

    name: str
    file: str
    sha256: str
    licence: str
    source: str
    size: int
    what: str
    training: str
    reading: Reading | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class ImportedEntry(WeightsEntry):
    """One model that the user imported. ``source`` is the name of the file it was made from, of ``source_sha256``.

    ``attributes``: what its conditions are, as they were named when it was imported; "" where they were not.
    """

    family: str
    source_sha256: str
    attributes: str = ""


Entry = TypeVar("Entry", bound=WeightsEntry)


def models_folder() -> Path:
    """models/ inside the installed package, or at the top of a checkout."""
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "models"


def user_models_folder() -> Path:
    """Where imported models lie: the folder that SHIELD_MODELS names, or the platform's for a user's data."""
    named = os.environ.get("SHIELD_MODELS")
    return Path(named).expanduser() if named else user_data_path("shield", appauthor=False) / "models"


def user_manifest() -> Path:
    """The manifest of the imported models."""
    return user_models_folder() / "manifest.toml"


def manifest() -> dict[str, WeightsEntry]:
    """Every entry of manifest.toml by name. Raises WeightsError where the manifest is missing or broken."""
    return _entries(models_folder() / "manifest.toml", WeightsEntry, REINSTALL)


def imported_models() -> dict[str, ImportedEntry]:
    """Every model that the user imported, by name. Raises WeightsError where the manifest is broken."""
    path = user_manifest()
    return _entries(path, ImportedEntry, "mend it, or delete it and import again") if path.exists() else {}


def weights_in_use() -> dict[str, str]:
    """The sha256 of all weights, those that ship and those that the user imported, by name. Raises as both do."""
    return {name: entry.sha256 for name, entry in (manifest() | imported_models()).items()}


def _entries(path: Path, kind: type[Entry], advice: str) -> dict[str, Entry]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _entry(kind, name, row) for name, row in table.items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); {advice}.") from error


def _entry(kind: type[Entry], name: str, row: dict[str, Any]) -> Entry:
    if not isinstance(row, dict):
        raise TypeError(f"{name!r} is {row!r}, expected a table")
    settings = dict(row)
    reading = settings.pop("reading", None)
    entry = kind(name=name, **settings, reading=None if reading is None else Reading(**reading))
    _check(name, {key: value for key, value in vars(entry).items() if key != "reading"}, {"size": int})
    if entry.reading is not None:
        _check(name, vars(entry.reading), {"mean": float, "scale": float, "same": float, "unit": bool, "judge": bool})
        if entry.reading.order not in ORDERS:
            raise TypeError(f"order of {name!r} is {entry.reading.order!r}, expected {' or '.join(ORDERS)}")
    if Path(entry.file).name != entry.file:
        raise TypeError(f"file of {name!r} is {entry.file!r}, expected a name without folders")
    return entry


def _check(name: str, values: Mapping[str, object], kinds: Mapping[str, type]) -> None:
    """Raise TypeError for a value that is not of its kind, which is a string unless ``kinds`` says otherwise."""
    for key, value in values.items():
        if type(value) is not (expected := kinds.get(key, str)):
            raise TypeError(f"{key} of {name!r} is {value!r}, expected {expected.__name__}")


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _located(name: str) -> tuple[WeightsEntry, Path, str]:
    """A model's entry, the path of its file, and what to do where that is broken."""
    if entry := manifest().get(name):
        return entry, models_folder() / entry.file, REINSTALL
    if entry := imported_models().get(name):
        advice = f"take the model out with 'shield models remove {name}' and import it again"
        return entry, user_models_folder() / entry.file, advice
    raise WeightsError(f"models/manifest.toml does not list {name!r}; {REINSTALL}.")


def read_weights(name: str) -> bytes:
    """The bytes of a model's file, after comparing their sha256 with the manifest.

    Raises WeightsError where the file is missing or altered: shield never runs on other weights than it says.
    """
    entry, path, advice = _located(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The weights {path} are missing; {advice}.") from error
    found = sha256_of(data)
    if found != entry.sha256:
        known = "that were imported" if isinstance(entry, ImportedEntry) else "shield was tested with"
        raise WeightsError(
            f"The weights {path} are not the ones {known} "
            f"(sha256 {found[:12]}..., expected {entry.sha256[:12]}...); {advice}."
        )
    return data


def check_weights(name: str) -> str | None:
    """What is wrong with a model's file, as a sentence; None where it is as the manifest says."""
    try:
        read_weights(name)
    except WeightsError as error:
        return str(error)
    return None


def load_tensors(name: str) -> dict[str, Tensor]:
    """A model's tensors by key, as stored (usually float16). Raises WeightsError as ``read_weights`` does."""
    try:
        return load(read_weights(name))
    except SafetensorError as error:
        raise WeightsError(f"The weights of {name!r} are no safetensors file ({error}).") from error


Network = TypeVar("Network", bound=nn.Module)


def load_network(kind: Callable[[], Network], name: str, what: str) -> Network:
    """A network of that kind with the weights of the model ``name``, frozen. ``what``: the network, in words.

    Raises WeightsError where the file is missing, altered or does not fit the network exactly.
    """
    tensors = load_tensors(name)
    with torch.random.fork_rng(devices=[]):  # a network is built of random weights before it gets its own
        network = kind()
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"The weights of {name!r} do not fit {what} ({error}).") from error
    return network.eval().requires_grad_(False)
