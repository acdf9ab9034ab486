"""protect(): a photo goes in, a protected photo and its verification come out."""

import time
from dataclasses import replace

from shield.attacks import Progress
from shield.credentials import Credentials
from shield.device import pick_device
from shield.fit import Candidate, fit, measured, refuse_if_saving_alone_exceeds
from shield.photo import check_encodable, decode, open_photo, output_format
from shield.recipe import Recipe
from shield.region import region_of, shares
from shield.results import Protection
from shield.search import Task, search
from shield.surrogates import load_surrogates
from shield.torch_state import own_torch_state
from shield.verify import PLAN, Counted, Plan, Source, find_faces, verify_photo, versions


@own_torch_state()
def protect(
    source: Source,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    verifying: Counted | None = None,
    plan: Plan = PLAN,
    reference: Source | None = None,
    credentials: Credentials | None = None,
) -> Protection:
    """Protect the photo against the Recipe's surrogates within the Recipe's bounds, and verify the result.

    Ruiz et al. 2020, "Disrupting Deepfakes" (arXiv 2003.01279), with the face LPIPS as a hard bound on the file.
    ``source``: a path, an RGB array (H, W, 3) of uint8 or of floats in [0, 1], or a Pillow picture. ``progress`` is
    called with (step, steps, best so far in [0, 1]) at every step of the search, ``verifying`` with (measured, to
    measure) after it; an exception that either raises cancels. ``plan``: what verification measures. ``reference``:
    another, unprotected photo of the person, for verification. ``credentials``: what to sign the file with, so that it
    says that it was protected and how. Nothing is written.

    Raises PhotoError, FaceError, RecipeError or InputError on input that cannot be used, WeightsError where models/ is
    not complete, BoundError where saving alone exceeds the bound, SearchError where the search breaks down.
    """
    recipe = recipe or Recipe()
    photo = open_photo(source)
    other = None if reference is None else open_photo(reference)
    if other is not None:
        find_faces(other)  # one that shows nobody is refused before the search
    wanted = output_format(photo, recipe.format)
    check_encodable(photo, wanted)
    if credentials is not None:
        credentials.check(wanted)
    load_surrogates(pick_device(recipe.device))  # one that cannot be loaded is refused before the search
    began = time.perf_counter()
    faces = find_faces(photo, recipe.whole)
    regions = [region_of(face, photo.width, photo.height) for face in faces]
    original = Candidate(photo, wanted, recipe)
    excesses = measured(photo.pixels, regions, recipe)
    refuse_if_saving_alone_exceeds(original, excesses, len(regions))
    changes = [
        search(Task(photo, region, share, wanted), recipe, _for_face(progress, number, len(regions)))
        for number, (region, share) in enumerate(zip(regions, shares(regions), strict=True))
    ]
    searched = time.perf_counter()
    file = fit(original, regions, changes, excesses)
    fitted = time.perf_counter()
    data = file.data
    if credentials is not None:
        data = credentials.signed(data, wanted, recipe.settings(), versions()["shield"])
    result = decode(data)
    flows = [change.flow for change in file.changes]
    verification = verify_photo(
        photo,
        result,
        recipe=recipe,
        faces=faces,
        flows=flows,
        reference=other,
        device=recipe.device,
        plan=plan,
        progress=verifying,
    )
    seconds = {"search": searched - began, "fit": fitted - searched, **verification.report.seconds}
    verification = replace(verification, report=replace(verification.report, seconds=seconds))
    return Protection(photo, result, data, verification)


def _for_face(progress: Progress | None, number: int, faces: int) -> Progress | None:
    """Progress of one face's search as progress of the whole photo's."""
    if progress is None:
        return None
    return lambda step, steps, best: progress(number * steps + step, faces * steps, best)
