"""Models that the user imported: checked, converted, kept in the user's model folder, and surrogates from then on."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path

import safetensors.torch
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from shield.errors import InputError
from shield.files import write_atomically
from shield.surrogates.published import Checkpoint, Editor, Family, families, fit, read_checkpoint
from shield.surrogates.published.conditions import Edits, are_numbered
from shield.surrogates.surrogate import Loader, forget, surrogates
from shield.torch_state import own_torch_state
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
LISTED = 8  # edits that a model's description names
LOCK, PATIENCE = ".lock", 60  # a file in the model folder, and seconds
HEADER = "# Models imported into shield; written by it. 'shield models remove NAME' takes one out.\n"


@own_torch_state()
def import_model(
    path: str | Path, family: str, name: str | None = None, size: int | None = None, attributes: str = ""
) -> ImportedEntry:
    """Make a published checkpoint a surrogate: check it, convert it to float16 safetensors, and record it.

    ``family``: a name in ``shield.FAMILIES``. ``name``: of the surrogate; made of the family's and the file's where
    not given. ``size``: of the faces the network is given, in px; the family's own where not given. ``attributes``:
    what the network's conditions are, in the order of training, divided by commas, of two data sets by a plus;
    "published" where they are those of the authors' own files; without, the edits are numbered, since no file says it.

    The file lands in the user's model folder, beside a manifest.toml that holds its sha256 and licence; the original
    stays as it is. Other processes may import and remove at the same time. Of several generators in a file the smoothed
    one is taken, and the entry's ``training`` says so.

    Raises RecipeError for an unknown family, InputError where the file cannot be read, the name is taken or no name, or
    size or attributes do not suit the network, PhotoError where the folder cannot be written to, WeightsError where the
    file is not a whole checkpoint of the family or the manifest that is there is broken.
    """
    path, kind = Path(path), families[family]
    name = _free_name(name if name is not None else _name_for(path, family))  # before the work, and again after it
    checkpoint = read_checkpoint(path)
    fitted = fit(kind, checkpoint.tensors, str(path), attributes)
    side = _suitable_size(kind, fitted.sides, size)
    data = safetensors.torch.save({key: _stored(value) for key, value in kind.cleaned(checkpoint.tensors).items()})
    entry = ImportedEntry(
        name=name,
        file=f"{name}.safetensors",
        sha256=sha256_of(data),
        licence=kind.licence,
        source=path.name.encode(errors="replace").decode(),
        size=side,
        what=_what(kind, fitted.edits),
        training=_origin(kind, checkpoint, fitted.edits),
        family=family,
        source_sha256=checkpoint.sha256,
        attributes=attributes,
    )
    _keep(entry, data)
    return entry


def _keep(entry: ImportedEntry, data: bytes) -> None:
    with _alone():
        _free_name(entry.name)
        write_atomically(data, user_models_folder() / entry.file)
        _record(imported_models() | {entry.name: entry})


def remove_model(name: str) -> None:
    """Take an imported model out of the user's model folder. Raises InputError where there is none of that name."""
    _known(name)  # before a folder is made for the lock
    with _alone():
        entry = _known(name)
        _record({known: other for known, other in imported_models().items() if known != name})
        (user_models_folder() / entry.file).unlink(missing_ok=True)
    forget(name)


def _known(name: str) -> ImportedEntry:
    entries = imported_models()
    if name not in entries:
        known = ", ".join(entries) or "none"
        raise InputError(f"There is no imported model named {name!r}; imported are: {known}.")
    return entries[name]


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
    network, edits, _ = fit(family, load_tensors(name), entry.file, entry.attributes)
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


def _suitable_size(family: Family, sides: range, size: int | None) -> int:
    size = family.size if size is None else size
    if size not in sides:
        raise InputError(
            f"The size is {size} px; {family.title} takes multiples of {sides.step} from {sides[0]} to {sides[-1]}."
        )
    return size


def _what(family: Family, edits: Edits) -> str:
    names = list(edits)
    rest = f"; {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{family.what}: {'; '.join(names[:LISTED])}{rest}."


def _origin(family: Family, checkpoint: Checkpoint, edits: Edits) -> str:
    part = f", from {'its smoothed weights ' * checkpoint.smoothed}{checkpoint.part}" if checkpoint.part else ""
    numbers = "; its conditions are numbered, since a file does not name them" if are_numbered(edits) else ""
    return f"Imported as {family.title}, float16{part}{numbers}."


def _stored(value: Tensor) -> Tensor:
    """float16, but for the rare tensor whose numbers do not fit."""
    half = value.detach().to(torch.float16, copy=True).contiguous()
    return half if half.isfinite().all() else value.detach().to(torch.float32, copy=True).contiguous()


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the user's model folder: no other process records anything in it meanwhile."""
    folder = user_models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=PATIENCE)
        lock.acquire()
    except Timeout as error:
        raise InputError(f"{folder} is held by another shield; try again when that is done.") from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{folder} cannot be created or held ({reason}); name another in SHIELD_MODELS.") from error
    try:
        yield
    finally:
        lock.release()


def _record(entries: Mapping[str, ImportedEntry]) -> None:
    write_atomically((HEADER + "".join(map(_table, entries.values()))).encode(), user_manifest())


def _table(entry: ImportedEntry) -> str:
    values = {field.name: getattr(entry, field.name) for field in fields(entry) if field.name != "name"}
    # A string of JSON is one of TOML, but for DEL, which TOML wants escaped.
    rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return f'\n["{entry.name}"]\n' + "\n".join(rows).replace("\x7f", "\\u007f") + "\n"


surrogates.follow(Imported())
