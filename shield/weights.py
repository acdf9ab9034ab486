"""The weights in models/: where they lie, what the manifest says of them, and that not a byte has changed."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from shield.errors import WeightsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class WeightsEntry:
    """One model of manifest.toml. ``size`` is the side of the network's input in px (0: any)."""

    name: str
    file: str
    sha256: str
    licence: str
    source: str
    size: int
    what: str
    training: str


def models_folder() -> Path:
    """models/ inside the installed package, or at the top of a checkout."""
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "models"


def manifest() -> dict[str, WeightsEntry]:
    """Every entry of manifest.toml by name. Raises WeightsError where the manifest is missing or broken."""
    path = models_folder() / "manifest.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: WeightsEntry(name=name, **row) for name, row in table.items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); install shield again.") from error


def read_weights(name: str) -> bytes:
    """The bytes of a model's file, after comparing their sha256 with the manifest.

    Raises WeightsError where the file is missing or altered: shield never runs on other weights than it says.
    """
    entry = manifest().get(name)
    if entry is None:
        raise WeightsError(f"models/manifest.toml does not list {name!r}; install shield again.")
    path = models_folder() / entry.file
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The weights {path} are missing; install shield again.") from error
    found = hashlib.sha256(data).hexdigest()
    if found != entry.sha256:
        raise WeightsError(
            f"The weights {path} are not the ones shield was tested with "
            f"(sha256 {found[:12]}..., expected {entry.sha256[:12]}...); install shield again."
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
