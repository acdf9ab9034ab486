"""The photos that benchmarks work on: those of a folder, copies of another size, and test faces of the archives."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shield import Plan
from shield.batch import photos_in
from shield.errors import InputError
from shield.training.data import load_faces

Pixels: TypeAlias = NDArray[np.uint8]
NOTHING = Plan(surrogates=(), channels=(), frames=())  # what is measured of a photo that is only to be protected
ORDER = 0  # seed of the order in which test faces are taken
LFW, STORED = "lfw", 128  # the source, and the px of its faces in the archives


def photos_below(folder: Path) -> list[Path]:
    """The photos of a folder, and those of each folder in it but hidden ones, by name.

    Raises InputError where it is no folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name one that holds photos.")
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return [photo for part in (folder.resolve(), *inner) for photo in photos_in(part)]


def lfw_faces(folder: Path, count: int) -> Iterator[Pixels]:
    """LFW's test faces from the archives of training, in an order of their own, so that fewer are a part of more."""
    faces = load_faces(folder, "test", sources=(LFW,)).faces
    for number in np.random.default_rng(ORDER).permutation(len(faces))[:count]:
        yield np.ascontiguousarray(faces[int(number)].permute(1, 2, 0).numpy())


def lfw_photos(faces: Path, count: int, folder: Path) -> list[Path]:
    """So many of LFW's test faces as files."""
    paths = []
    for number, pixels in enumerate(lfw_faces(faces, count)):
        paths.append(folder / f"face{number:02}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def scaled(photo: Path, folder: Path, scale: float) -> Path:
    """A copy of the photo at ``scale``, lossless, in a folder in ``folder`` that is called like the photo's own."""
    image = Image.open(photo).convert("RGB")
    size = round(image.width * scale), round(image.height * scale)
    target = folder / photo.parent.name / f"{photo.name}.small.png"
    target.parent.mkdir(exist_ok=True)
    image.resize(size, Image.Resampling.LANCZOS).save(target)
    return target
