"""A face keeps its colours: there a change is light and shade alone.

Skin or an iris that turns red or green is seen before anything else, and FLIP takes colour for cheap; recognisers go by
light and shade, so that what is left does more against those that no search asked. Kept where it is made, not weighed
against everything else: a limit on so small a place as an iris would draw the whole change back to obey it.
"""

from dataclasses import dataclass

from torch import Generator, Tensor

from shield.bounds.bound import Bound, Excesses
from shield.faces import Face
from shield.irises import radii
from shield.skin import oval


@dataclass(frozen=True)
class Greyed:
    """``bound``, with changes to ``original`` (1, 3, H, W) that are the same in every channel ``inside``, (H, W)."""

    bound: Bound
    original: Tensor
    inside: Tensor

    @classmethod
    def of(cls, bound: Bound, original: Tensor, face: Face) -> "Greyed":
        """In the face that the original shows, from hair to chin, and around its eyes."""
        skin = oval(face, original)[0, 0]
        return cls(bound, original, skin | (radii(face.points[:2], face.side, original).amin(0) < 1))

    def start(self, share: float, generator: Generator) -> Tensor:
        return self._kept(self.bound.start(share, generator))

    def step(self, direction: Tensor, share: float) -> Tensor:
        return self.bound.step(direction.mean(1, keepdim=True).where(self.inside, direction), share)

    def project(self, image: Tensor) -> Tensor:
        return self._kept(self.bound.project(image))

    def contain(self, image: Tensor) -> Tensor:
        return self._kept(self.bound.contain(image))

    def excesses(self, image: Tensor) -> Excesses:
        return self.bound.excesses(image)

    def _kept(self, image: Tensor) -> Tensor:
        """Within whatever largest change the image was: a mean is no larger than the largest."""
        grey = (image - self.original).mean(1, keepdim=True)
        return (self.original + grey).clamp(0, 1).where(self.inside, image)
