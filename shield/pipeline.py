"""protect(): a photo goes in, a protected photo and its verification come out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from shield.attacks import Progress, attacks
from shield.bounds import Begun, Bound, FaceLpips, Grey, Limits, LpipsBound, Steered, bounds, seen_grey
from shield.device import fast_precision, pick_device
from shield.disruption import Disruption, Expectation, Loss, Term, in_step
from shield.errors import BoundError, RecipeError
from shield.faces import Face, warp
from shield.lpips import load_lpips
from shield.masking import CHROMA, contrast_mask
from shield.objectives import Measure, objectives
from shield.photo import (
    FORMATS,
    Photo,
    check_encodable,
    decode,
    encode,
    from_array,
    open_photo,
    output_format,
    resaved,
    round_to_levels,
)
from shield.recipe import Recipe
from shield.region import Region, region_of, shares, window_around
from shield.results import Protection
from shield.surrogates import Surrogate, chosen, load_surrogate, load_surrogates
from shield.torch_state import own_torch_state
from shield.transforms import Codec, Find, Transform, View, load_transform
from shield.universal import universal_change
from shield.verify import Counted, find_faces, framing, verify_photo

BISECTIONS = 7
SHRINK = 0.9  # of every change, as often as overlapping regions push one another over the bound
ANY = 255  # levels
SMALLEST = 1e-3  # a factor below this leaves no level of any change
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Candidate:
    """A photo as it may be saved. ``file``: where it was saved already; then ``photo`` may have other pixels."""

    photo: Photo
    format: str
    recipe: Recipe
    file: bytes | None = None

    @cached_property
    def data(self) -> bytes:
        """The file."""
        if self.file is not None:
            return self.file
        return encode(self.photo, self.format, quality=self.recipe.quality, keep_exif=self.recipe.keep_exif)

    def showing(self, pixels: Pixels) -> "Candidate":
        """The same with other pixels. Of a lossy file they are not kept beside it: large photos are large."""
        changed = replace(self, photo=self.photo.with_pixels(pixels))
        return replace(self, file=changed.data) if FORMATS[self.format].lossy else changed

    def reopened(self) -> Pixels:
        """What the file shows; a lossless one need not be made for that."""
        return decode(self.data).pixels if FORMATS[self.format].lossy else self.photo.pixels


Obeys = Callable[[Candidate], list[bool]]  # which faces keep within the bound


@own_torch_state()
def protect(
    source: str | Path | NDArray[Any] | Image.Image | Photo,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    verifying: Counted | None = None,
) -> Protection:
    """Protect the photo against the Recipe's surrogates within the Recipe's bounds, and verify the result.

    Ruiz et al. 2020, "Disrupting Deepfakes" (arXiv 2003.01279), with the face LPIPS as a hard bound on the file.
    ``source``: a path, an RGB array (H, W, 3) of uint8 or of floats in [0, 1], or a Pillow picture. ``progress`` is
    called with (step, steps, best so far in [0, 1]) at every step of the search, ``verifying`` with (measured, to
    measure) after it; an exception that either raises cancels. Nothing is written.

    Raises PhotoError, FaceError or RecipeError on input that cannot be used, WeightsError where models/ is not
    complete, BoundError where saving alone exceeds the bound, SearchError where the search breaks down.
    """
    recipe = recipe or Recipe()
    photo = open_photo(source)
    wanted = output_format(photo, recipe.format)
    check_encodable(photo, wanted)
    load_surrogates(pick_device(recipe.device))  # one that cannot be loaded is refused before the search
    began = time.perf_counter()
    faces = find_faces(photo, recipe.whole)
    regions = [region_of(face, photo.width, photo.height) for face in faces]
    original = Candidate(photo, wanted, recipe)
    obeys = _obeying(photo.pixels, regions, recipe)
    _refuse_if_saving_alone_exceeds(original, obeys)
    changes = [
        _search(original, region, share, _for_face(progress, number, len(regions)))
        for number, (region, share) in enumerate(zip(regions, shares(regions), strict=True))
    ]
    searched = time.perf_counter()
    data = _fit(original, regions, changes, obeys)
    fitted = time.perf_counter()
    result = decode(data)
    verification = verify_photo(photo, result, recipe=recipe, faces=faces, device=recipe.device, progress=verifying)
    seconds = {"search": searched - began, "fit": fitted - searched, **verification.report.seconds}
    verification = replace(verification, report=replace(verification.report, seconds=seconds))
    return Protection(photo, result, data, verification)


def _search(original: Candidate, region: Region, share: Tensor, progress: Progress | None) -> Tensor:
    """The best change of one face's region, on its working copy: (1, 3, h, w), in units of [0, 1]."""
    pixels, recipe = original.photo.pixels, original.recipe
    device = pick_device(recipe.device)
    crop = region.crop(pixels, device)
    working = round_to_levels(region.working_copy(crop))  # so that the change is in whole levels as well
    window = F.interpolate(share.to(device), size=region.working_size, mode="bilinear", antialias=True)
    generator = torch.Generator().manual_seed(recipe.seed)
    scale = region.working_size[1] / region.width, region.working_size[0] / region.height
    find, align = (_on_the_photo(frame, pixels, region, working) for frame in (framing.found, framing.aligned))
    view = View(scale[0], max(pixels.shape[:2]), find, align)
    saving = Codec(_jpeg, recipe.quality, halved=False) if original.format == "jpeg" else None
    roads = [load_transform(name, view, generator, saving) for name in recipe.transforms]

    def term(surrogate: Surrogate, road: Transform) -> Term:
        @lru_cache(maxsize=1)  # most roads always frame alike
        def measure(face: Face) -> Measure:
            clean = warp(crop, face.scaled(1 / scale[0], 1 / scale[1]), surrogate.size, surrogate.framing)
            with fast_precision(device):
                return objectives[recipe.objective](surrogate, clean)

        return Term(surrogate, region.working_face, measure, road, generator)

    # Every surrogate begins with another road, so that each step sees several.
    terms = [
        Expectation([term(part, road) for part, road in in_step(parts, roads)], first)
        for first, parts in enumerate(_parts(recipe, device))
    ]
    bound = bound_of(recipe, working, region.working_face, window)
    if recipe.universal:
        bound = Begun(bound, working, universal_change(region, device))
    loss: Loss = Disruption(terms)
    if original.photo.grey:
        loss, bound = seen_grey(loss), Grey(bound)
    attack = attacks[recipe.attack](recipe.steps)
    return attack(loss, working, bound, generator, progress) - working


def _on_the_photo(frame: framing.Frame, pixels: Pixels, region: Region, working: Tensor) -> Find:
    """``frame`` for the region's face, when the photo shows this working copy there; other faces as they were."""
    scale = working.shape[-1] / region.width, working.shape[-2] / region.height
    window = window_around([region], pixels.shape[1], pixels.shape[0])
    part, near = window.of(pixels), window.moved(region)

    def find(face: Face, sent: Tensor) -> Face:
        whole = F.interpolate(sent.detach(), size=working.shape[-2:], mode="bilinear", antialias=True)
        shown = _composed(part, [near], [whole - working], [1.0], ANY)
        (found,) = frame([near.face], part, shown)
        return found.moved(near.left, near.top).scaled(*scale)

    return find


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Pixels (H, W, 3) out of the kind of JPEG file that shield writes, whose colours are at full size.

    The search sees its working copy through it, not the photo. HEIF would cost half a second a look.
    """
    return resaved(from_array(pixels), "jpeg", quality)


def bound_of(recipe: Recipe, working: Tensor, face: Face, window: Tensor) -> Bound:
    """How far a search by the Recipe may go from a picture (1, 3, h, w) in [0, 1] that shows ``face``.

    ``window``: share of the change that each pixel may take, (1, 1, h, w) in [0, 1].
    """
    limits = Limits(recipe.levels, window)
    if recipe.masked:
        limits = Limits(recipe.levels, contrast_mask(working, recipe.levels, recipe.smooth) * window, CHROMA)
    bound = bounds[recipe.bound](working, limits)
    if not (recipe.steered and recipe.searched):
        return bound
    measure = FaceLpips(load_lpips(working.device), working, face)
    return Steered(bound, LpipsBound(working, recipe.face_lpips, measure))


def _parts(recipe: Recipe, device: torch.device) -> list[list[Surrogate]]:
    """The surrogates that the Recipe searches on, each as what the search asks at one step after the other.

    Raises RecipeError where no surrogate has an edit that the Recipe names.
    """
    whole = [load_surrogate(name, device) for name in recipe.searched]
    known = [edit for surrogate in whole for edit in surrogate.edits]
    if unknown := [edit for edit in recipe.edits if edit not in known]:
        raise RecipeError(f"No surrogate has an edit {unknown[0]!r}; choose from: {', '.join(dict.fromkeys(known))}.")
    wanted = recipe.edits or known
    kept = [(s, [edit for edit in s.edits if edit in wanted]) for s in whole]
    if recipe.classes == "iterative":
        return [[chosen(surrogate, [edit]) for edit in edits] for surrogate, edits in kept if edits]
    return [[chosen(surrogate, edits)] for surrogate, edits in kept if edits]


def _for_face(progress: Progress | None, number: int, faces: int) -> Progress | None:
    """Progress of one face's search as progress of the whole photo's."""
    if progress is None:
        return None
    return lambda step, steps, best: progress(number * steps + step, faces * steps, best)


@torch.no_grad()
def _fit(original: Candidate, regions: Sequence[Region], changes: Sequence[Tensor], obeys: Obeys) -> bytes:
    """The file with the changes as large as its face LPIPS, measured on the reopened file, allows.

    Every face has its own factor; one bisection finds them all. Raises BoundError where no factor will do.
    """
    photo, recipe = original.photo, original.recipe

    def attempt(factors: Sequence[float]) -> tuple[Candidate, list[bool]]:
        candidate = original.showing(_composed(photo.pixels, regions, changes, factors, recipe.levels))
        return candidate, obeys(candidate)

    candidate, inside = attempt([1.0] * len(regions))
    if not all(inside):
        candidate = _settled(attempt, inside, recipe)
    return candidate.data


def _settled(
    attempt: Callable[[Sequence[float]], tuple[Candidate, list[bool]]], inside: list[bool], recipe: Recipe
) -> Candidate:
    """The photo with every face's change as large as it may be: bisection, then together until every face obeys."""
    low, high = [float(ok) for ok in inside], [1.0] * len(inside)
    for _ in range(BISECTIONS):
        middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        _, inside = attempt(middle)
        low = [m if ok else a for a, m, ok in zip(low, middle, inside, strict=True)]
        high = [b if ok else m for b, m, ok in zip(high, middle, inside, strict=True)]
    while any(factor > SMALLEST for factor in low):
        candidate, inside = attempt(low)
        if all(inside):
            return candidate
        low = [SHRINK * factor for factor in low]
    raise BoundError(f"No change fits the bound (face LPIPS {recipe.face_lpips:g}); choose a stronger preset.")


def _obeying(pixels: Pixels, regions: Sequence[Region], recipe: Recipe) -> Obeys:
    """A function that measures the reopened file of a candidate against the original's pixels."""
    device = pick_device(recipe.device)
    network = load_lpips(device)
    measures = [FaceLpips(network, region.crop(pixels, device), region.local_face) for region in regions]

    @torch.no_grad()
    def obeys(candidate: Candidate) -> list[bool]:
        pairs, shown = zip(regions, measures, strict=True), candidate.reopened()
        return [float(measure(region.crop(shown, device))) <= recipe.face_lpips for region, measure in pairs]

    return obeys


def _refuse_if_saving_alone_exceeds(original: Candidate, obeys: Obeys) -> None:
    limit = original.recipe.face_lpips
    if FORMATS[original.format].lossy and not all(obeys(replace(original))):  # a copy, whose file is not kept
        raise BoundError(
            f"Saving this photo already changes a face by more than the bound (face LPIPS {limit:g}); "
            "choose --format png, a higher quality or a stronger preset."
        )


def _composed(
    pixels: Pixels, regions: Sequence[Region], changes: Sequence[Tensor], factors: Sequence[float], levels: int
) -> Pixels:
    """The photo with every region's change, (1, 3, h, w) on its working copy, added, cut to ``levels`` and rounded."""
    top, left = min(region.top for region in regions), min(region.left for region in regions)
    around = slice(top, max(region.bottom for region in regions)), slice(left, max(region.right for region in regions))
    result = pixels.copy()
    for channel in range(3):  # one at a time and in place: a large photo's floats are many
        plane = result[(*around, channel)]
        total = np.zeros(plane.shape, np.float32)
        for region, change, factor in zip(regions, changes, factors, strict=True):
            rows = slice(region.top - top, region.bottom - top)
            columns = slice(region.left - left, region.right - left)
            plane_of_change = region.enlarge(change[:, channel : channel + 1].cpu())[0, 0]
            total[rows, columns] += plane_of_change.mul_(255 * factor).numpy()
        np.clip(total, -levels, levels, out=total)
        total += plane
        plane[:] = np.rint(total, out=total).clip(0, 255, out=total)
    return result
