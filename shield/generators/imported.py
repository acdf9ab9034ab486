"""Generators that the user imported: checked, converted, kept in the user's model folder beside other models."""

from functools import partial
from pathlib import Path

import torch

from shield.generators.generator import Seeded, generators
from shield.generators.layout import fit, layouts
from shield.registry import Named
from shield.surrogates.imported import GENERATOR, free_name, keep, origin, packed
from shield.surrogates.published import read_checkpoint
from shield.torch_state import own_torch_state
from shield.weights import ImportedEntry, imported_models, load_tensors, sha256_of


@own_torch_state()
def import_generator(path: str | Path, layout: str, name: str | None = None) -> ImportedEntry:
    """Make a published generator one of shield's: check it, convert it to float16 safetensors, and record it.

    ``layout``: a name in ``shield.LAYOUTS``. ``name``: of the generator; made of the layout's and the file's where not
    given. The file lands in the user's model folder; the original stays as it is. Of several generators in a file the
    smoothed one is taken, and the entry's ``training`` says so.

    Raises RecipeError for an unknown layout, InputError where the file cannot be read, or the name is taken or no name,
    PhotoError where the folder cannot be written to, WeightsError where the file is no whole generator of the layout or
    the manifest that is there is broken.
    """
    path, kind = Path(path), layouts[layout]
    name = free_name(name, path, layout)
    checkpoint = read_checkpoint(path)
    tensors = kind.renewed(checkpoint.tensors)
    size = fit(kind, tensors, str(path)).size
    data = packed(tensors)
    entry = ImportedEntry(
        name=name,
        file=f"{name}.safetensors",
        sha256=sha256_of(data),
        licence=kind.licence,
        source=path.name.encode(errors="replace").decode(),
        size=size,
        what=f"Generator: pictures of {size} px of nothing.",
        training=f"{origin(kind.title, checkpoint)}.",
        family=f"{GENERATOR}{layout}",
        source_sha256=checkpoint.sha256,
    )
    keep(entry, data)
    return entry


def _names() -> list[str]:
    return [name for name, entry in imported_models().items() if entry.family.startswith(GENERATOR)]


def load_imported(name: str, device: torch.device) -> Seeded:
    """An imported generator on a device. Raises WeightsError where its file is missing or altered."""
    entry = imported_models()[name]
    made = fit(layouts[entry.family.removeprefix(GENERATOR)], load_tensors(name), entry.file)
    return Seeded(name, made.size, entry.licence, made.network.to(device), made.draw, device)


generators.follow(Named(_names, lambda name: partial(load_imported, name)))
