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
from shield.faces.templates import ARCFACE, templates
from shield.files import write_atomically
from shield.registry import Named
from shield.surrogates.promises import check_promises
from shield.surrogates.published import Checkpoint, Editor, Family, families, fit, read_checkpoint
from shield.surrogates.published.conditions import Edits, are_numbered
from shield.surrogates.recognisers.graph import module_of, simplified
from shield.surrogates.recognisers.recogniser import ONNX, load_recogniser, recogniser_of
from shield.surrogates.surrogate import Surrogate, forget, judges, surrogates
from shield.torch_state import own_torch_state
from shield.weights import (
    ORDERS,
    ImportedEntry,
    Reading,
    imported_models,
    load_tensors,
    manifest,
    sha256_of,
    user_manifest,
    user_models_folder,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # what is a file's name on every system
LISTED = 8  # edits that a model's description names
RECOGNISER = "recogniser"
GENERATOR = "generator:"  # how the family of what makes faces of nothing begins
HALF = 127.5  # of the levels: what networks that do not scale by themselves are given lies in [-1, 1]
UNCALIBRATED = 0.3  # a cosine; the ArcFace networks that were measured draw their line at .28 to .47
LOCK, PATIENCE = ".lock", 60  # a file in the model folder, and seconds
HEADER = "# Models imported into shield; written by it. 'shield models remove NAME' takes one out.\n"


@own_torch_state()
def import_recogniser(
    path: str | Path,
    name: str | None = None,
    template: str = ARCFACE.name,
    order: str = "rgb",
    cosine: float | None = None,
    judge: bool = False,
) -> ImportedEntry:
    """Make an ONNX file of the ArcFace family a surrogate, or a judge that no search may ask.

    It takes faces (N, 3, s, s) in the frame ``template``, in ``order`` "rgb" or "bgr", and gives embeddings of which
    the direction counts (insightface's packs, AdaFace, FaceNet, SFace). Where its first layers subtract and scale, it
    is given levels, otherwise (levels - 127.5) / 127.5. ``cosine``: above which it takes two faces for one person's;
    without one it is not calibrated, and the entry's ``training`` says so.

    Raises RecipeError for an unknown template, InputError where the file cannot be read or is no such network, the name
    is taken or no name, ``order`` or ``cosine`` is none, PhotoError where the folder cannot be written to, WeightsError
    where the manifest that is there is broken.
    """
    path = Path(path)
    name = free_name(name, path, RECOGNISER)
    templates[template]
    if order not in ORDERS:
        raise InputError(f"The order of colours is {order!r}; choose {' or '.join(ORDERS)}.")
    if cosine is not None and not -1 < cosine < 1:
        raise InputError(f"The cosine is {cosine}; choose one between -1 and 1.")
    original = _read(path)
    data, size, levels = simplified(original)
    mean, scale = (0.0, 1.0) if levels else (HALF, HALF)
    same = 2 - 2 * (UNCALIBRATED if cosine is None else cosine)
    line = f"a cosine of {UNCALIBRATED}, not calibrated" if cosine is None else f"a cosine of {cosine}"
    entry = ImportedEntry(
        name=name,
        file=f"{name}{ONNX}",
        sha256=sha256_of(data),
        licence="the user's",
        source=path.name.encode(errors="replace").decode(),
        size=size,
        what=f"Face recogniser{', a judge' if judge else ''}: a face of {size} px to an embedding.",
        training=f"Imported from ONNX, float32; given {'levels' if levels else '[-1, 1]'}; its line is {line}.",
        family=RECOGNISER,
        source_sha256=sha256_of(original),
        reading=Reading(template, mean, scale, order, True, same, judge),
    )
    check_promises(name, recogniser_of(entry, module_of(data)), torch.device("cpu"))
    keep(entry, data)
    return entry


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); name another file.") from error


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
    name = free_name(name, path, family)  # before the work, and again after it
    checkpoint = read_checkpoint(path)
    fitted = fit(kind, checkpoint.tensors, str(path), attributes)
    side = _suitable_size(kind, fitted.sides, size)
    data = packed(kind.cleaned(checkpoint.tensors))
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
    keep(entry, data)
    return entry


def keep(entry: ImportedEntry, data: bytes) -> None:
    """Write an imported model into the user's model folder. Raises as ``free_name``, and PhotoError where it cannot."""
    with _alone():
        _check_free(entry.name)
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


def _imported(judges: bool) -> list[str]:
    """The surrogates that the user imported: those that no search may ask, or the rest. Reads the manifest alone."""
    entries = imported_models().items()
    return [name for name, entry in entries if _is_surrogate(entry) and _is_judge(entry) == judges]


def _is_surrogate(entry: ImportedEntry) -> bool:
    return not entry.family.startswith(GENERATOR)


def _is_judge(entry: ImportedEntry) -> bool:
    return entry.reading is not None and entry.reading.judge


def load_imported(name: str, device: torch.device) -> Surrogate:
    """An imported model as a surrogate. Raises WeightsError where its file is missing or altered."""
    entry = imported_models()[name]
    if entry.reading is not None:
        return load_recogniser(entry, device)
    family = families[entry.family]
    network, edits, _ = fit(family, load_tensors(name), entry.file, entry.attributes)
    return Editor(name, family.licence, family.framing, network, edits, entry.size).to(device)


def free_name(name: str | None, path: Path, family: str) -> str:
    """What to call a model: ``name``, or what family and file make of it. Raises InputError where it cannot be had."""
    wanted = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{family}-{path.stem}")[:64] if name is None else name
    _check_free(wanted)
    return wanted


def _check_free(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot be a model's name; take up to 64 letters, digits, dots, dashes.")
    # Folders of macOS and Windows know one file for two names that differ in case alone.
    taken = {known.casefold() for known in (*surrogates, *judges, *manifest(), *imported_models())}
    if name.casefold() in taken:
        raise InputError(f"There is a model named {name!r} already; choose another name with --name.")


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


def origin(title: str, checkpoint: Checkpoint) -> str:
    """What an imported model was made of, in words without a full stop."""
    part = f", from {'its smoothed weights ' * checkpoint.smoothed}{checkpoint.part}" if checkpoint.part else ""
    return f"Imported as {title}, float16{part}"


def _origin(family: Family, checkpoint: Checkpoint, edits: Edits) -> str:
    numbers = "; its conditions are numbered, since a file does not name them" if are_numbered(edits) else ""
    return f"{origin(family.title, checkpoint)}{numbers}."


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    """A safetensors file of them, in float16 where their numbers fit."""
    return safetensors.torch.save({key: _stored(value) for key, value in tensors.items()})


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
    keys = [field.name for field in fields(entry) if field.name not in ("name", "reading")]
    table = f'\n["{entry.name}"]\n' + _rows({key: getattr(entry, key) for key in keys})
    return table if entry.reading is None else f'{table}["{entry.name}".reading]\n{_rows(vars(entry.reading))}'


def _rows(values: Mapping[str, object]) -> str:
    # A string, number or truth of JSON is one of TOML, but for DEL, which TOML wants escaped.
    rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()]
    return "".join(rows).replace("\x7f", "\\u007f")


surrogates.follow(Named(partial(_imported, False), lambda name: partial(load_imported, name)))
judges.follow(Named(partial(_imported, True), lambda name: partial(load_imported, name)))
