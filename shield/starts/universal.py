"""The universal perturbation: one change against manipulators of models/, for any face.

Huang et al. 2022, "CMUA-Watermark" (arXiv 2105.10872). It lives in the portrait framing and is laid over a face like a
stencil, so that no search is needed; or a search begins with it.
"""

from torch import Tensor

from shield.carriers import Change
from shield.errors import WeightsError
from shield.faces import place
from shield.region import Region
from shield.starts.start import Start, starts
from shield.weights import load_tensors

SIZE = 256  # px
LEVELS = 12  # the largest change that it was trained for
NAME, TENSOR = "universal", "change"  # of the start and its model, and of the one tensor in the file
# The manipulators that it is trained against. Others of models/ are out of reach: a change for all photos moves
# CycleGAN by a thousandth of the goal, and GANimation copies so much of the face that a search on one photo failed.
FITTED_TO = ("stargan",)


def load_universal() -> Tensor:
    """The change (1, 3, SIZE, SIZE) in [-1, 1]: the share, per value, of the largest change that a bound allows.

    Raises WeightsError where models/ has none, or a file that holds something else.
    """
    change = load_tensors(NAME).get(TENSOR)
    if change is None or change.shape != (1, 3, SIZE, SIZE) or not change.isfinite().all():
        raise WeightsError(
            f"The weights of {NAME!r} are no universal perturbation; make them with 'shield train {NAME}'."
        )
    return change.float()


def universal_change(region: Region, working: Tensor) -> Change:
    """The change as it lies over a region's working copy, whatever that shows. Raises WeightsError."""
    return Change(place(load_universal(), region.working_face, *region.working_size).to(working))


starts.register(NAME)(Start(universal_change, FITTED_TO, LEVELS))
