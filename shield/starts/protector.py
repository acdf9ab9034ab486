"""The protector: a network that gives at once what a search would find for a face.

It sees the face in portrait framing, and what it makes is laid over the photo, so that no search is needed; or a search
begins with it.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.carriers import GRID, Change, Flow
from shield.faces import Face, place, warp
from shield.region import Region
from shield.starts.network import SIZE, Protector
from shield.starts.start import Start, starts
from shield.surrogates import RECOGNISERS, STUDENTS
from shield.weights import load_network

NAME = "protector"  # of the start and its model
FITTED_TO = (*RECOGNISERS, *STUDENTS, "stargan")
FINE = 64  # px: the flow over a region, before it is brought to the points of its grid


@lru_cache(maxsize=2)
def load_protector(device: torch.device) -> Protector:
    """The network on a device, loaded once. Raises WeightsError where its file is missing, altered or does not fit."""
    return load_network(Protector, NAME, "the protector").to(device)


@torch.no_grad()
def protector_change(region: Region, working: Tensor) -> Change:
    """What the network makes of the face that a region's working copy shows. Raises WeightsError."""
    face, size = region.working_face, region.working_size
    change, flow = load_protector(working.device)(warp(working, face, SIZE))
    scale = FINE / max(size)
    small = max(1, round(scale * size[0])), max(1, round(scale * size[1]))
    field = place(_turned(_grown(flow), face), face.scaled(small[1] / size[1], small[0] / size[0]), *small)
    return Change(place(change, face, *size), Flow(F.interpolate(field, size=(GRID, GRID), mode="area")))


def _grown(field: Tensor) -> Tensor:
    """A flow at ``FINE`` px, nowhere longer than 1."""
    grown: Tensor = F.interpolate(field, size=(FINE, FINE), mode="bicubic", align_corners=False)
    longer: Tensor = grown.norm(dim=1, keepdim=True).clamp(min=1)
    return grown / longer


def _turned(field: Tensor, face: Face) -> Tensor:
    """A flow (1, 2, h, w) in the face's own directions, in the picture's."""
    cosine, sine = math.cos(math.radians(face.tilt)), math.sin(math.radians(face.tilt))
    right, down = field.unbind(1)
    return torch.stack([cosine * right - sine * down, sine * right + cosine * down], dim=1)


starts.register(NAME)(Start(protector_change, FITTED_TO, bends=True))
