"""Verification: opens the two files, measures, reports. Trusts nobody, least of all the search."""

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shield.device import pick_device
from shield.errors import FaceError, InputError
from shield.faces import Face, detect, whole_picture
from shield.photo import Photo, encode, open_photo, write_atomically
from shield.recipe import Recipe
from shield.region import region_of
from shield.surrogates import load_surrogate, surrogates
from shield.verify.controls import resaved, sign_noise
from shield.verify.effects import Manipulation, measure_effects
from shield.verify.report import NOISE, PROTECTED, RESAVED, SCHEMA, FaceReport, FileReport, Report
from shield.verify.sheet import contact_sheet
from shield.verify.visibility import FaceVisibility, face_visibility, photo_visibility
from shield.weights import manifest

PACKAGES = ("shield", "torch", "lpips", "pillow", "numpy", "kornia", "onnxruntime")
Source = str | Path | NDArray[Any] | Image.Image | Photo


@dataclass(frozen=True)
class Verification:
    """What was found (``report``) and the pictures to look at."""

    report: Report
    original: NDArray[np.uint8]
    protected: NDArray[np.uint8]
    manipulations: tuple[Manipulation, ...]

    @cached_property
    def sheet(self) -> Image.Image:
        """The contact sheet."""
        return contact_sheet(self.original, self.protected, self.manipulations, self.report.sentence())

    def save_sheet(self, path: str | Path) -> None:
        """Write the contact sheet as PNG, atomically. Raises PhotoError where that is not possible."""
        write_atomically(encode(open_photo(self.sheet), "png"), Path(path))


def find_faces(photo: Photo, whole: bool) -> list[Face]:
    """The faces to protect. Raises FaceError where there is none."""
    if whole:
        return [whole_picture(photo.width, photo.height)]
    faces = detect(photo.pixels)
    if not faces:
        name = photo.path or "The photo"
        raise FaceError(f"{name} shows no face of 40 pixels or more; use --whole to treat it as one region.")
    return faces


def verify(
    original: Source, protected: Source, *, recipe: Recipe | None = None, faces: Sequence[Face] | None = None
) -> Verification:
    """Measure what protection does, on two photos as they are in their files.

    Every surrogate of the registry is run on the original, on the protected photo and on two controls, after
    every channel. ``recipe``: how the photo was protected; without it, it is read from NAME.shield.json beside the
    protected file where that belongs to it. ``faces``: in the original; found anew where not given.

    Raises PhotoError where a photo cannot be read, InputError where the two differ in size, FaceError without a face.
    """
    began = time.perf_counter()
    before, after = open_photo(original), open_photo(protected)
    if before.pixels.shape != after.pixels.shape:
        raise InputError(
            f"The photos differ in size ({before.width} x {before.height} and {after.width} x {after.height}); "
            "give the original and the protected photo of the same size."
        )
    recipe = recipe or recorded_recipe(after)
    settings = recipe or Recipe()
    device = pick_device(settings.device)
    faces = list(faces or find_faces(before, settings.whole))
    regions = [region_of(face, before.width, before.height) for face in faces]
    visible = [face_visibility(before.pixels, after.pixels, region, device) for region in regions]
    noise, noise_lpips = sign_noise(before.pixels, regions, [v.face_lpips for v in visible], settings.seed, device)
    pictures = {
        PROTECTED: after.pixels,
        RESAVED: resaved(before, after.format, settings.quality),
        NOISE: noise,
    }
    parts = [load_surrogate(name, device) for name in surrogates]
    seen = recipe.surrogates if recipe else ()
    effects, manipulations = measure_effects(before.pixels, pictures, faces, parts, seen, device)
    report = Report(
        SCHEMA,
        asdict(recipe) if recipe else None,
        _file(before),
        _file(after),
        tuple(map(_face, faces, visible, noise_lpips)),
        photo_visibility(before.pixels, after.pixels, regions, device),
        tuple(effects),
        {name: entry.sha256 for name, entry in manifest().items()},
        {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        {"verification": time.perf_counter() - began},
    )
    return Verification(report, before.pixels, after.pixels, tuple(manipulations))


def report_path(protected: Path) -> Path:
    """Where the report of a protected file lies: NAME.shield.json."""
    return protected.with_name(protected.stem.removesuffix(".shield") + ".shield.json")


def recorded_recipe(photo: Photo) -> Recipe | None:
    """The Recipe in the report beside a protected file, if it is there and speaks of this very file."""
    if photo.path is None:
        return None
    try:
        report = json.loads(report_path(photo.path).read_text(encoding="utf-8"))
        if report["protected"]["sha256"] != photo.sha256:
            return None
        known = {field.name for field in fields(Recipe)}
        settings = {name: value for name, value in report["recipe"].items() if name in known}
        return Recipe(**settings | {"surrogates": tuple(settings["surrogates"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
        return None  # no report, or not one of shield's: the photo is measured all the same


def _face(face: Face, visible: FaceVisibility, noise_lpips: float) -> FaceReport:
    return FaceReport(face.box, face.score, face.side, visible, noise_lpips)


def _file(photo: Photo) -> FileReport:
    name = photo.path.name if photo.path else None
    return FileReport(name, photo.sha256, photo.format, photo.width, photo.height)
