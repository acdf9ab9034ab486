"""The change of a face, and how the changes of all faces are written into a photo."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield.carriers.flow import Flow, bent
from shield.region import Region

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Change:
    """``pixels``: what is added to the working copy of a region, (1, 3, h, w), in units of [0, 1]. ``flow``: what the
    region is bent by before; None: nothing."""

    pixels: Tensor
    flow: Flow | None = None

    def scaled(self, factor: float) -> "Change":
        """The same change, so many times as large."""
        return Change(self.pixels * factor, None if self.flow is None else self.flow.scaled(factor))


def around(regions: Sequence[Region]) -> tuple[slice, slice]:
    """The rows and columns of the rectangle around all regions."""
    rows = slice(min(region.top for region in regions), max(region.bottom for region in regions))
    return rows, slice(min(region.left for region in regions), max(region.right for region in regions))


def bent_regions(pixels: Pixels, regions: Sequence[Region], flows: Sequence[Flow | None]) -> list[Pixels]:
    """Every region of a photo (H, W, 3), (h, w, 3) each, after all flows."""
    if not any(flows):
        return [pixels[region.box] for region in regions]
    rows, columns = around(regions)
    result = pixels[rows, columns].copy()
    for box, region, flow in _placed(regions, flows):
        _bend(result[box], region, flow)
    return [result[box] for box, _, _ in _placed(regions, flows)]


def written(pixels: Pixels, regions: Sequence[Region], changes: Sequence[Change], levels: int) -> Pixels:
    """A photo (H, W, 3) with every region bent and then changed by at most ``levels``; rounded."""
    result = pixels.copy()
    flows = [change.flow for change in changes]
    part = result[around(regions)]
    for box, region, flow in _placed(regions, flows):
        _bend(part[box], region, flow)
    for channel in range(3):  # one at a time and in place: a large photo's floats are many
        plane = part[..., channel]
        total = np.zeros(plane.shape, np.float32)
        for (box, region, _), change in zip(_placed(regions, flows), changes, strict=True):
            plane_of_change = region.enlarge(change.pixels[:, channel : channel + 1].cpu())[0, 0]
            total[box] += plane_of_change.mul_(255).numpy()
        np.clip(total, -levels, levels, out=total)
        total += plane
        plane[:] = np.rint(total, out=total).clip(0, 255, out=total)
    return result


def _placed(
    regions: Sequence[Region], flows: Sequence[Flow | None]
) -> Iterator[tuple[tuple[slice, slice], Region, Flow | None]]:
    """Every region's place in the rectangle around all, with its flow."""
    rows, columns = around(regions)
    for region, flow in zip(regions, flows, strict=True):
        down = slice(region.top - rows.start, region.bottom - rows.start)
        yield (down, slice(region.left - columns.start, region.right - columns.start)), region, flow


@torch.no_grad()
def _bend(part: Pixels, region: Region, flow: Flow | None) -> None:
    """Bend a region (h, w, 3) in place."""
    if flow is None:
        return
    for channel in range(3):
        plane = torch.from_numpy(part[..., channel].astype(np.float32))[None, None]
        moved = bent(plane, flow.cpu(), region.face.side)[0, 0]
        part[..., channel] = moved.round_().clamp_(0, 255).numpy()
