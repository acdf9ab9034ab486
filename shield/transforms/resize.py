"""Sizes of the web: halved and enlarged again, the scaling of a screenshot."""

from torch import Generator, Tensor
from torch.nn import functional as F

from shield.transforms.transform import Transform, Unframed, View, transforms
from shield.web import HALF, SCREENSHOT


def shrunk(view: Tensor, factor: float) -> Tensor:
    """Scaled by ``factor``, anti-aliased; as it is where that would enlarge it."""
    if factor >= 1:
        return view
    size = max(1, round(view.shape[-2] * factor)), max(1, round(view.shape[-1] * factor))
    return F.interpolate(view, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


class Resize(Unframed):
    """The photo at ``factor`` of its size."""

    def __init__(self, factor: float, view: View) -> None:
        self.factor = factor / view.scale  # a view that is smaller already loses less

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        return shrunk(view, self.factor)


@transforms.register("half")
def half(view: View, generator: Generator) -> Transform:
    return Resize(HALF, view)


@transforms.register("screenshot")
def screenshot(view: View, generator: Generator) -> Transform:
    return Resize(SCREENSHOT, view)
