"""The search for one face's change: what the Recipe names, put together and run."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.attacks import Progress, attacks
from shield.bounds import Allowed, Band, Begun, Bound, Grey, Limits, Steered, Visible, bounds
from shield.channels import Codec, Pixels, Transform, View, road
from shield.device import pick_device
from shield.disruption import Disruption, InGrey, Target
from shield.errors import RecipeError
from shield.faces import Face
from shield.frames import searched
from shield.lpips import load_lpips
from shield.masking import CHROMA, contrast_mask
from shield.objectives import objectives
from shield.photo import Photo, from_array, resaved, round_to_levels
from shield.recipe import Recipe
from shield.region import Region
from shield.surrogates import Surrogate, chosen, load_surrogate
from shield.universal import LEVELS, universal_change


@dataclass(frozen=True)
class Task:
    """One face to protect. ``share``: of the change that each pixel of the region may take, (1, 1, h, w) in [0, 1].

    ``format``: of the file that the change must survive.
    """

    photo: Photo
    region: Region
    share: Tensor
    format: str


def search(task: Task, recipe: Recipe, progress: Progress | None = None) -> Tensor:
    """The best change of one face's region, on its working copy: (1, 3, h, w), in units of [0, 1].

    Raises RecipeError where no surrogate has an edit that the Recipe names, SearchError where the loss breaks down.
    """
    region, device = task.region, pick_device(recipe.device)
    # In whole levels, so that the change is in whole levels as well.
    working = round_to_levels(region.working_copy(region.crop(task.photo.pixels, device)))
    window = F.interpolate(task.share.to(device), size=region.working_size, mode="bilinear", antialias=True)
    generator = torch.Generator().manual_seed(recipe.seed)
    loss = Disruption(
        working,
        region.working_face,
        _targets(recipe, device),
        _roads(task, recipe),
        objectives[recipe.objective],
        searched(recipe.seed),
        generator,
    )
    bound = bound_of(recipe, working, region.working_face, window)
    if recipe.universal:
        bound = Begun(bound, working, universal_change(region, device))
    attack = attacks[recipe.attack](recipe.steps)
    if task.photo.grey:
        return attack(InGrey(loss), working, Grey(bound), generator, progress) - working
    return attack(loss, working, bound, generator, progress) - working


def bound_of(recipe: Recipe, working: Tensor, face: Face, window: Tensor) -> Bound:
    """How far a search by the Recipe may go from a picture (1, 3, h, w) in [0, 1] that shows ``face``.

    ``window``: share of the change that each pixel may take, (1, 1, h, w) in [0, 1].
    """
    limits = Limits(recipe.levels, window)
    if recipe.masked or recipe.universal:  # the universal change was trained under the mask
        levels = min(recipe.levels, LEVELS) if recipe.universal else recipe.levels
        limits = Limits(levels, contrast_mask(working, levels, recipe.smooth) * window, CHROMA)
    bound = bounds[recipe.bound](working, limits)
    if not (recipe.steered and recipe.searched):
        return bound
    bound = Band(bound, working, face.side)
    allowed = Allowed(recipe.face_lpips, recipe.flip, recipe.loudest, recipe.skin)
    return Steered(bound, Visible(working, face, allowed, load_lpips(working.device)))


def _roads(task: Task, recipe: Recipe) -> list[Transform]:
    """What the search goes through in turn."""
    height, width = task.photo.pixels.shape[:2]
    view = View(task.region.working_size[1] / task.region.width, max(height, width))
    saving = Codec(_jpeg, recipe.quality, halved=False) if task.format == "jpeg" else None
    return [road(name, view, saving) for name in recipe.transforms]


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Pixels (H, W, 3) out of the kind of JPEG file that shield writes, whose colours are at full size.

    The search sees its working copy through it, not the photo. HEIF would cost half a second a look.
    """
    return resaved(from_array(pixels), "jpeg", quality)


def _targets(recipe: Recipe, device: torch.device) -> list[Target]:
    """The surrogates that the Recipe searches on, each as what the search asks at one step after the other.

    Raises RecipeError where no surrogate has an edit that the Recipe names.
    """
    whole = [load_surrogate(name, device) for name in recipe.searched]
    known = [edit for surrogate in whole for edit in surrogate.edits]
    if unknown := [edit for edit in recipe.edits if edit not in known]:
        raise RecipeError(f"No surrogate has an edit {unknown[0]!r}; choose from: {', '.join(dict.fromkeys(known))}.")
    wanted = recipe.edits or known
    kept = [(s, [edit for edit in s.edits if edit in wanted]) for s in whole]
    return [_target(surrogate, edits, recipe.classes) for surrogate, edits in kept if edits]


def _target(surrogate: Surrogate, edits: list[str], classes: str) -> Target:
    whole = chosen(surrogate, edits)
    return Target(whole, [whole] if classes == "joint" else [chosen(surrogate, [edit]) for edit in edits])
