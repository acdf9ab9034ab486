"""Sizes of a photo: scaled down with real resampling, and the same with gradients."""

from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from shield.channels.channel import View


def resized(image: Image.Image, factor: float) -> Image.Image:
    """The picture at ``factor`` of its size, by Lanczos."""
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def shrunk(view: Tensor, factor: float) -> Tensor:
    """Scaled by ``factor``, anti-aliased; as it is where that would enlarge it."""
    if factor >= 1:
        return view
    size = max(1, round(view.shape[-2] * factor)), max(1, round(view.shape[-1] * factor))
    return F.interpolate(view, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


class Resize:
    """The photo at ``factor`` of its size."""

    def __init__(self, factor: float, view: View) -> None:
        self.factor = factor / view.scale  # a view that is smaller already loses less

    def __call__(self, view: Tensor, generator: Generator) -> Tensor:
        return shrunk(view, self.factor)
