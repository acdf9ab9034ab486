"""The search for one face's change: what the Recipe names, put together and run."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.attacks import Progress, attacks
from shield.bounds import Allowed, Band, Begun, Bound, Grey, Greyed, Limits, Steered, Visible, bounds, lab
from shield.carriers import Change, bent, lent, search_flow
from shield.channels import Codec, Pixels, Transform, View, road
from shield.device import pick_device
from shield.disruption import DRAWS, Disruption, InGrey, Objective, Target
from shield.errors import RecipeError
from shield.faces import Face
from shield.faces.landmarks import landmarks_of
from shield.frames import FRAMES, searched
from shield.lpips import load_lpips
from shield.masking import CHROMA, contrast_mask
from shield.objectives import objectives
from shield.persons import Towards
from shield.photo import Photo, from_array, resaved, round_to_levels
from shield.recipe import PIXELS, WARP, Recipe
from shield.region import Region
from shield.surrogates import Surrogate, chosen, load_surrogate


@dataclass(frozen=True)
class Task:
    """One face to protect. ``share``: of the change that each pixel of the region may take, (1, 1, h, w) in [0, 1].

    ``format``: of the file that the change must survive.
    """

    photo: Photo
    region: Region
    share: Tensor
    format: str


IDENTITY = 100.0  # weight of the recognisers' door beside a manipulator's: what is left of the limits is for editors
FAR = 2.0  # goal of that door, in thresholds: what searched recognisers lose by far, others lose as well
FLOW_STEPS = 5  # steps of the whole search to one of the warp, before them


def search(task: Task, recipe: Recipe, progress: Progress | None = None) -> Change:
    """The best change of one face's region: what it is bent by, and then changed by on its working copy.

    Raises RecipeError where no surrogate has an edit that the Recipe names, SearchError where the loss breaks down.
    """
    region, device = task.region, pick_device(recipe.device)
    # In whole levels, so that the change is in whole levels as well.
    working = round_to_levels(region.working_copy(region.crop(task.photo.pixels, device)))
    window = F.interpolate(task.share.to(device), size=region.working_size, mode="bilinear", antialias=True)
    generator = torch.Generator().manual_seed(recipe.seed)
    source, roads, targets = searched(recipe.seed), _roads(task, recipe), _targets(recipe, device)
    objective: Objective = objectives[recipe.objective]
    frames = FRAMES.times(recipe.spread)
    if recipe.person is not None:
        objective = Towards(objective, recipe.person)

    def loss_of(targets: Sequence[Target]) -> Disruption:
        draws = 1 if recipe.spread == 0 else DRAWS  # of one frame, a second look sees the same
        return Disruption(working, region.working_face, targets, roads, objective, source, generator, frames, draws)

    flow, start, side = None, working, region.working_face.side
    begun = recipe.beginning.change(region, working) if recipe.beginning.change is not None else None
    before, landmarks = flow_steps(recipe), _landmarks(working, region, recipe)
    bends = WARP in recipe.carriers and (asks_recognisers(recipe) or not recipe.searched)
    if begun is not None and begun.flow is not None and bends:
        flow = lent(begun.flow, window, recipe.warp, None if landmarks is None else landmarks[None])
    elif before:
        # An editor copies a bent face as it is; a recogniser goes by where things are.
        loss = loss_of([target for target in targets if not target.makes_pictures])
        flow = search_flow(loss, working, window, side, recipe.warp, before, _after(progress, 0, recipe), landmarks)
    if flow is not None:
        start = round_to_levels(bent(working, flow, side).clamp(0, 1))
    if PIXELS not in recipe.carriers:
        return Change(torch.zeros_like(working), flow)
    bound = bound_of(recipe, start, region.working_face, window, working)
    if begun is not None:
        bound = Begun(bound, start, begun.pixels * _share_begun_with(recipe, start))
    attack, told = attacks[recipe.attack](recipe.steps), _after(progress, before, recipe)
    if task.photo.grey:
        return Change(attack(InGrey(loss_of(targets)), start, Grey(bound), generator, told) - start, flow)
    return Change(attack(loss_of(targets), start, bound, generator, told) - start, flow)


def _landmarks(working: Tensor, region: Region, recipe: Recipe) -> Tensor | None:
    """Those of a region's face, in shares of the region; none of a picture that is taken as one region."""
    if recipe.whole:
        return None
    return torch.from_numpy(landmarks_of(working, region.working_face) / region.working_size[::-1])


def flow_steps(recipe: Recipe) -> int:
    """How many steps of the search go into the warp: none where no recogniser is asked or one is there already."""
    if recipe.beginning.bends or WARP not in recipe.carriers or not asks_recognisers(recipe):
        return 0
    return recipe.steps // FLOW_STEPS


def asks_recognisers(recipe: Recipe) -> bool:
    """Whether the search asks any."""
    return any(not _loaded(name, recipe).makes_pictures for name in recipe.searched)


def _loaded(name: str, recipe: Recipe) -> Surrogate:
    return load_surrogate(name, pick_device(recipe.device))


def _share_begun_with(recipe: Recipe, working: Tensor) -> Tensor:
    """Of the largest change that the bound allows, the share that the start was made for: (1, 1, h, w) or a scalar.

    A change that was made under the mask begins a search that has none, which is then free to leave it.
    """
    own = recipe.beginning.levels
    if own is None or not recipe.searched:  # made for the bound, or the bound for it
        return torch.ones(())
    levels = min(recipe.levels, own)
    share = torch.tensor(levels / recipe.levels)
    return share if recipe.masked else share * contrast_mask(working, levels, recipe.smooth)


def _after(progress: Progress | None, before: int, recipe: Recipe) -> Progress | None:
    """Progress of one carrier's steps, ``before`` of which went into another, as that of the whole search."""
    if progress is None:
        return None
    steps = flow_steps(recipe) + (recipe.steps if PIXELS in recipe.carriers else 0)
    return lambda step, _, best: progress(before + step, steps, best)


def bound_of(recipe: Recipe, working: Tensor, face: Face, window: Tensor, unbent: Tensor | None = None) -> Bound:
    """How far a search by the Recipe may go from a picture (1, 3, h, w) in [0, 1] that shows ``face``.

    ``window``: share of the change that each pixel may take, (1, 1, h, w) in [0, 1]. ``unbent``: the picture before a
    warp made it what it is.
    """
    limits, own = Limits(recipe.levels, window), None if recipe.searched else recipe.beginning.levels
    if recipe.masked or own is not None:  # what has levels of its own and is no search was made under the mask
        levels = recipe.levels if own is None else min(recipe.levels, own)
        limits = Limits(levels, contrast_mask(working, levels, recipe.smooth) * window, CHROMA)
    bound = bounds[recipe.bound](working, limits)
    if not recipe.steered or not (recipe.searched or recipe.beginning.bends):
        return bound
    bound = Band(bound, working, face.side)
    if recipe.bound != lab.NAME:  # which is colour alone
        bound = Greyed.of(bound, working, face)
    allowed = Allowed(recipe.face_lpips, recipe.flip, recipe.loudest, recipe.skin, recipe.stains)
    return Steered(bound, Visible(working, face, allowed, load_lpips(working.device), unbent))


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
    """The surrogates that the Recipe searches on as doors: every manipulator is one, all recognisers together another.

    Raises RecipeError where no surrogate has an edit that the Recipe names, or none is for the carriers.
    """
    whole = [load_surrogate(name, device) for name in recipe.searched]
    known = [edit for surrogate in whole for edit in surrogate.edits]
    if unknown := [edit for edit in recipe.edits if edit not in known]:
        raise RecipeError(f"No surrogate has an edit {unknown[0]!r}; choose from: {', '.join(dict.fromkeys(known))}.")
    wanted = recipe.edits or known
    kept = [chosen(s, edits) for s in whole if (edits := [edit for edit in s.edits if edit in wanted])]
    recognisers = [surrogate for surrogate in kept if not surrogate.makes_pictures]
    if not recognisers and recipe.searched and PIXELS not in recipe.carriers:
        raise RecipeError("A warp alone is for recognisers; name one of them as surrogate, or leave the pixels in.")
    if not recognisers and recipe.person is not None:
        raise RecipeError("A false identity is for recognisers; name one of them as surrogate, or no person.")
    doors = [Target([whole], _parts(whole, recipe.classes)) for whole in kept if whole.makes_pictures]
    return [Target(recognisers, recognisers, IDENTITY, FAR), *doors] if recognisers else doors


def _parts(whole: Surrogate, classes: str) -> list[Surrogate]:
    return [whole] if classes == "joint" else [chosen(whole, [edit]) for edit in whole.edits]
