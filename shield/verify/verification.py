"""Verification: opens the two files, measures, reports. Trusts nobody, least of all the search."""

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shield.carriers import Flow, bent_regions
from shield.channels import AS_SAVED, Pixels, load_channel
from shield.device import AUTO, computes_bfloat16, pick_device
from shield.errors import FaceError, InputError, PhotoError
from shield.faces import Face, detect, whole_picture
from shield.files import check_writable, report_paths, write_atomically
from shield.photo import Photo, as_path, encode, open_photo, resaved
from shield.recipe import Recipe
from shield.region import Region, region_of, window_around
from shield.surrogates import Surrogate, judges, load_hardened, load_surrogate
from shield.swap import shipped_swap
from shield.torch_state import own_torch_state
from shield.verify.adversaries import on_regions
from shield.verify.controls import sign_noise
from shield.verify.detections import measure_detections
from shield.verify.effects import Manipulation, Wanted, face_crop, measure_effects, run, sendings
from shield.verify.frames import Scene
from shield.verify.plan import PLAN, Plan
from shield.verify.report import SCHEMA, Report
from shield.verify.rows import NOISE, ORIGINAL, PROTECTED, RESAVED, FaceReport, FileReport
from shield.verify.sheet import contact_sheet, difference
from shield.verify.swaps import ShownSwap, lendings, measure_swaps
from shield.verify.visibility import FaceVisibility, face_visibility, photo_visibility
from shield.weights import weights_in_use

PACKAGES = ("shield", "torch", "lpips", "pillow", "numpy", "kornia", "onnxruntime", "scikit-image")
SHORTEST, THINNEST = 64, 16  # the networks that measure visibility need as much
Source = str | Path | NDArray[Any] | Image.Image | Photo
Counted = Callable[[int, int], None]  # measured, to measure


@dataclass(frozen=True)
class Verification:
    """What was found (``report``) and the pictures to look at."""

    report: Report
    original: NDArray[np.uint8]
    protected: NDArray[np.uint8]
    manipulations: tuple[Manipulation, ...]
    files: tuple[Path, ...] = ()
    swaps: tuple[ShownSwap, ...] = ()

    def __repr__(self) -> str:
        return f"Verification({self.report!r}, {len(self.manipulations)} manipulations)"

    @cached_property
    def sheet(self) -> Image.Image:
        """The contact sheet."""
        return contact_sheet(self.original, self.protected, self.manipulations, self.report.lead(), self.swaps)

    @cached_property
    def difference(self) -> Image.Image:
        """The change, amplified around mid-grey as on the contact sheet."""
        return Image.fromarray(difference(self.original, self.protected))

    def sheet_png(self) -> bytes:
        """The contact sheet as the bytes of a PNG file."""
        return encode(open_photo(self.sheet), "png")

    def save_sheet(self, path: str | Path, force: bool = False) -> None:
        """Write the contact sheet as PNG, atomically. ``force``: overwrite a file that is there.

        Neither of the photos that were compared is ever overwritten. Raises PhotoError where it cannot be written.
        """
        path = as_path(path)
        for photo in self.files:
            check_writable(path, photo)
        write_atomically(self.sheet_png(), path, force=force)


@own_torch_state()
def find_faces(source: Source, whole: bool = False) -> list[Face]:
    """The faces to protect in a photo, largest first; of the ``whole`` picture, one region.

    Raises FaceError where there is none, PhotoError where the photo cannot be read or is too small or thin.
    """
    photo = open_photo(source)
    short, long = sorted((photo.width, photo.height))
    if short < SHORTEST or short * THINNEST < long:
        raise PhotoError(
            f"{photo.path or 'The photo'} is {photo.width} x {photo.height}; shield needs {SHORTEST} pixels a side "
            f"and at most {THINNEST} times as much the other way."
        )
    if whole:
        return [whole_picture(photo.width, photo.height)]
    faces = detect(photo.pixels)
    if not faces:
        name = photo.path or "The photo"
        raise FaceError(
            f"{name} shows no face of 40 pixels or more; choose another photo, or "
            "have the picture treated as one region."
        )
    return faces


@own_torch_state()
def verify_photo(
    original: Source,
    protected: Source,
    *,
    recipe: Recipe | None = None,
    faces: Sequence[Face] | None = None,
    flows: Sequence[Flow | None] | None = None,
    reference: Source | None = None,
    device: str = AUTO,
    whole: bool = False,
    adversaries: bool = False,
    surrogates: Sequence[str] | None = None,
    channels: Sequence[str] | None = None,
    frames: Sequence[str] | None = None,
    plan: Plan = PLAN,
    progress: Counted | None = None,
) -> Verification:
    """Measure what protection does, on two photos as they are in their files.

    Surrogates and a face swap are run on the original, on the protected photo and on two controls, after channels, in
    frames of several kinds: ``plan`` says which; ``surrogates``, ``channels`` and ``frames`` narrow it to these names.
    With ``adversaries`` surrogates and the hardened manipulators are also run on the protected photo and on the
    original after all that adversaries do. ``recipe``: how the photo was protected; without it, it is read from
    NAME.shield.json beside the protected file where that belongs to it. ``faces``: in the original; found anew where
    not given, or the ``whole`` picture is taken as one region. ``flows``: what each face was bent by; read in that
    report where not given. ``reference``: another, unprotected photo of the person; recognisers then also say whether
    they know the person of its largest face. ``device``: "auto" or a torch device. ``progress`` is called with
    (measured, to measure), a count of pictures after channels; an exception it raises cancels.

    Raises PhotoError where a photo cannot be read, InputError where the two differ in size, FaceError without a face,
    RecipeError for an unknown name.
    """
    began = time.perf_counter()
    before, after = open_photo(original), open_photo(protected)
    other = None if reference is None else open_photo(reference)
    if before.pixels.shape != after.pixels.shape:
        raise InputError(
            f"The photos differ in size ({before.width} x {before.height} and {after.width} x {after.height}); "
            "give the original and the protected photo of the same size."
        )
    recorded = recorded_protection(before, after)
    recipe = recipe or recorded.recipe
    settings = recipe or Recipe()
    place = pick_device(device)
    faces = list(faces or find_faces(before, whole or settings.whole))
    regions = [region_of(face, before.width, before.height) for face in faces]
    if flows is None:
        flows = recorded.flows if len(recorded.flows) == len(faces) else [None] * len(faces)
    visible = _visible(before.pixels, after.pixels, regions, flows, place)
    # From here on what is far from every face costs nothing.
    window = window_around(regions, before.width, before.height)
    shown, near = window.of(before.pixels), [window.moved(region) for region in regions]
    noise, noise_lpips = sign_noise(shown, near, [v.face_lpips for v in visible], settings.seed, place)
    pictures = {
        PROTECTED: window.of(after.pixels),
        RESAVED: resaved(replace(before, pixels=shown), after.format, settings.quality),
        NOISE: noise,
    }
    plan = plan.narrowed(surrogates, channels, frames).among(len(faces))
    parts = [load_surrogate(name, place) for name in plan.asked]
    seen = _seen(recipe) if recipe else set()
    wanted = _wanted(plan, seen | {*settings.searched})
    long_side = max(before.width, before.height)
    sent = {name: load_channel(name).within(long_side) for name in plan.sent_through}
    cleaned = {AS_SAVED: load_channel(AS_SAVED).apply} | on_regions(near) if adversaries else {}
    cleanable = {name: pictures[name] for name in (PROTECTED, RESAVED)}
    network = shipped_swap(place) if plan.lent_to else None
    lending = {ORIGINAL: shown} | pictures if network else {}
    looks = len(sendings(pictures, sent, parts, wanted)) + len(lendings(lending, plan))
    tell = _counting(progress, looks + len(cleanable) * len(cleaned))
    scene = Scene(shown, tuple(region.face for region in near))
    known = {} if other is None else _embedded(other, parts, place)
    measure = partial(measure_effects, scene, seen=seen, device=place, tell=tell, known=known)
    effects, manipulations = measure(pictures, sent, parts, wanted)
    manipulators = [*parts, *load_hardened(place)] if adversaries else []
    other_side, _ = measure(cleanable, cleaned, manipulators, lambda *row: plan.against_adversaries())
    swaps, to_see = measure_swaps(scene, lending, sent, plan, network, place, tell) if network else ([], [])
    made = [*manipulations, *(swap.manipulation for swap in to_see)]
    detections = measure_detections(before.pixels, after.pixels, faces, made)
    report = Report(
        SCHEMA,
        recipe.settings() if recipe else None,
        _file(before),
        _file(after),
        tuple(map(_face, faces, visible, noise_lpips, flows)),
        photo_visibility(before.pixels, after.pixels, regions, place),
        tuple(effects),
        tuple(other_side),
        weights_in_use(),
        versions(),
        _machine(place),
        {"verification": time.perf_counter() - began},
        tuple(detections),
        None if other is None else _file(other),
        tuple(swaps),
    )
    files = tuple(photo.path for photo in (before, after) if photo.path is not None)
    return Verification(report, before.pixels, after.pixels, tuple(manipulations), files, tuple(to_see))


@torch.no_grad()
def _embedded(photo: Photo, surrogates: Sequence[Surrogate], device: torch.device) -> dict[str, Tensor]:
    """What every recogniser makes of a photo's largest face, (1, 1, D). Raises FaceError where there is none."""
    face = find_faces(photo)[0]
    recognisers = [surrogate for surrogate in surrogates if not surrogate.makes_pictures]
    return {one.name: run(one, face_crop(photo.pixels, face, one, device)) for one in recognisers}


def _wanted(plan: Plan, worked_on: set[str]) -> Wanted:
    """The rows of the plan: in full of what the search worked on and of judges, or of all where neither is asked."""
    full = (worked_on | {*judges}) & {*plan.asked} or {*plan.asked}
    return lambda picture, channel, surrogate: plan.rows(picture, channel, surrogate.name in full)


def _counting(progress: Counted | None, total: int) -> Callable[[], None]:
    """A function that tells ``progress`` how often it was called before."""
    done = count()
    return lambda: progress(next(done), total) if progress is not None else None


@dataclass(frozen=True)
class Recorded:
    """What a report beside a protected file says of how it was made."""

    recipe: Recipe | None = None
    flows: tuple[Flow | None, ...] = ()


def recorded_protection(original: Photo, protected: Photo) -> Recorded:
    """What the report beside a protected file says, if it is there and speaks of these very files."""
    paths = () if protected.path is None else report_paths(protected.path)
    return next(filter(None, (_recorded(path, original, protected) for path in paths)), Recorded())


def _recorded(path: Path, original: Photo, protected: Photo) -> Recorded | None:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if [report[key]["sha256"] for key in ("original", "protected")] != [original.sha256, protected.sha256]:
            return None
        known = Recipe().settings()
        recipe = Recipe.of({name: value for name, value in report["recipe"].items() if name in known})
        flows = [face.get("flow") for face in report["faces"]]
        return Recorded(recipe, tuple(None if flow is None else Flow.of(flow) for flow in flows))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
        return None  # no report, or not one of shield's: the photo is measured all the same


def _seen(recipe: Recipe) -> set[str]:
    """The surrogates that the change was fitted to: by the search, or long before it with what it began with."""
    return {*recipe.searched, *recipe.beginning.fitted_to}


def versions() -> dict[str, str]:
    """Of Python and of the packages on which what is measured depends, by name."""
    return {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout on the path that nobody installed
        return "not installed"


def _machine(device: torch.device) -> dict[str, str]:
    precision = "bfloat16" if computes_bfloat16(device) else "float32"
    return {"device": str(device), "threads": str(torch.get_num_threads()), "networks": precision}


def _face(face: Face, visible: FaceVisibility, noise_lpips: float, flow: Flow | None) -> FaceReport:
    numbers = None if flow is None else flow.numbers
    return FaceReport(face.box, face.score, face.side, visible, noise_lpips, face.aligner, face.doubt, numbers)


def _visible(
    original: Pixels, changed: Pixels, regions: Sequence[Region], flows: Sequence[Flow | None], device: torch.device
) -> list[FaceVisibility]:
    """Of every face; what its flow bends counts for LPIPS alone."""
    if not any(flows):
        return [face_visibility(original, changed, region, device) for region in regions]
    parts = zip(regions, bent_regions(original, regions, flows), flows, strict=True)
    largest = [0.0 if flow is None else flow.largest for flow in flows]
    return [
        face_visibility(original, changed, region, device, part, most)
        for (region, part, _), most in zip(parts, largest, strict=True)
    ]


def _file(photo: Photo) -> FileReport:
    name = photo.path.name if photo.path else None
    return FileReport(name, photo.sha256, photo.format, photo.width, photo.height, photo.notes, photo.claim)
