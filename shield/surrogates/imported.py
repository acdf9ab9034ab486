"""Models that the user imported: checked, converted, kept in the user's model folder, and surrogates from then on."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from shield.errors import InputError
from shield.files import write_atomically
from shield.surrogates.published import LARGEST_SIZE, SMALLEST_SIZE, Editor, Family, families, fit, read_checkpoint
from shield.surrogates.surrogate import Loader, forget, surrogates
from shield.weights import (
    ImportedEntry,
    imported_models,
    load_tensors,
    manifest,
    sha256_of,
    user_manifest,
    user_models_folder,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # what is a file's name on every system
HEADER = "# Models imported into shield; written by it. 'shield models remove NAME' takes one out.\n"


def import_model(path: str | Path, family: str, name: str | None = None, size: int | None = None) -> ImportedEntry:
    """Make a published checkpoint a surrogate: check it, convert it to float16 safetensors, and record it.

    ``family``: a name in ``shield.families``. ``name``: of the surrogate; made of the family's and the file's where
    not given. ``size``: of the faces the network is given, in px; the family's own where not given. The file lands in
    the user's model folder, beside a manifest.toml that holds its sha256 and licence; the original stays as it is.

    Raises RecipeError for an unknown family, InputError where the file cannot be read, the name is taken or no name, or
    the size does not suit the family, PhotoError where the folder cannot be written to, WeightsError where the file is
    not a whole checkpoint of the family or the manifest that is there is broken.
    """
    path, kind = Path(path), families[family]
    name = _free_name(name if name is not None else _name_for(path, family))
    side = _suitable_size(kind, size)
    checkpoint = read_checkpoint(path)
    fit(kind, checkpoint.tensors, str(path))
    data = safetensors.torch.save({key: _stored(value) for key, value in kind.cleaned(checkpoint.tensors).items()})
    entry = ImportedEntry(
        name=name,
        file=f"{name}.safetensors",
        sha256=sha256_of(data),
        licence=kind.licence,
        source=path.name.encode(errors="replace").decode(),
        size=side,
        what=kind.what,
        training=f"Imported as {kind.title}, float16.",
        family=family,
        source_sha256=checkpoint.sha256,
    )
    _create(user_models_folder())
    write_atomically(data, user_models_folder() / entry.file)
    _record(imported_models() | {name: entry})
    return entry


def remove_model(name: str) -> None:
    """Take an imported model out of the user's model folder. Raises InputError where there is none of that name."""
    entries = imported_models()
    if name not in entries:
        known = ", ".join(entries) or "none"
        raise InputError(f"There is no imported model named {name!r}; imported are: {known}.")
    entry = entries.pop(name)
    _record(entries)
    (user_models_folder() / entry.file).unlink(missing_ok=True)
    forget(name)


class Imported(Mapping[str, Loader]):
    """The models that the user imported, as loaders, as they are at every access. Raises WeightsError as the manifest.

    Nothing but the manifest is read before one of them is used.
    """

    def __getitem__(self, name: str) -> Loader:
        if name not in imported_models():
            raise KeyError(name)
        return partial(load_imported, name)

    def __iter__(self) -> Iterator[str]:
        return iter(imported_models())

    def __len__(self) -> int:
        return len(imported_models())


def load_imported(name: str, device: torch.device) -> Editor:
    """An imported model as a surrogate. Raises WeightsError where its file is missing or altered."""
    entry = imported_models()[name]
    family = families[entry.family]
    network, edits = fit(family, load_tensors(name), entry.file)
    return Editor(name, family.licence, family.framing, network, edits, entry.size).to(device)


def _name_for(path: Path, family: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{family}-{path.stem}")[:64]


def _free_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot be a model's name; take up to 64 letters, digits, dots, dashes.")
    # Folders of macOS and Windows know one file for two names that differ in case alone.
    taken = {known.casefold() for known in (*surrogates, *manifest())}
    if name.casefold() in taken:
        raise InputError(f"There is a model named {name!r} already; choose another name with --name.")
    return name


def _suitable_size(family: Family, size: int | None) -> int:
    size = family.size if size is None else size
    if not (SMALLEST_SIZE <= size <= LARGEST_SIZE and size % family.multiple == 0):
        raise InputError(
            f"The size is {size} px; {family.title} takes multiples of {family.multiple} "
            f"from {SMALLEST_SIZE} to {LARGEST_SIZE}."
        )
    return size


def _stored(value: Tensor) -> Tensor:
    """float16, but for the rare tensor whose numbers do not fit."""
    half = value.detach().to(torch.float16, copy=True).contiguous()
    return half if half.isfinite().all() else value.detach().to(torch.float32, copy=True).contiguous()


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be created ({error.strerror}); name another in SHIELD_MODELS.") from error


def _record(entries: Mapping[str, ImportedEntry]) -> None:
    write_atomically((HEADER + "".join(map(_table, entries.values()))).encode(), user_manifest())


def _table(entry: ImportedEntry) -> str:
    values = {field.name: getattr(entry, field.name) for field in fields(entry) if field.name != "name"}
    # A string of JSON is one of TOML, but for DEL, which TOML wants escaped.
    rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return f'\n["{entry.name}"]\n' + "\n".join(rows).replace("\x7f", "\\u007f") + "\n"


surrogates.follow(Imported())
