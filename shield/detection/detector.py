"""Networks that tell made faces from photographed ones: shield's own, and those of other people by file."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from shield.detection.network import SIZE, load_detector
from shield.detection.published import WangNet, load_wang
from shield.faces import Face, warp
from shield.photo import to_unit
from shield.registry import Registry

SHIPPED = "shield"


class Detector(Protocol):
    """``slope`` and ``offset`` turn its logit into log-odds that agree with how often it is right."""

    name: str
    slope: float
    offset: float

    def __call__(self, region: Tensor, face: Face) -> float:
        """The logit, above 0 for a made face, of a face in its region of the photo: levels (1, 3, h, w), uint8."""
        ...


detectors: Registry[Callable[[], Detector]] = Registry("detector")


class Shipped:
    """The network of models/, on the face in portrait framing."""

    name = SHIPPED
    # Of logits on the faces that set thresholds (shield bench detector FOLDER --calibrate).
    slope, offset = 0.87, 0.24

    def __init__(self) -> None:
        self.network = load_detector()

    @torch.no_grad()
    def __call__(self, region: Tensor, face: Face) -> float:
        return float(self.network(warp(region, face, SIZE)))

    @torch.no_grad()
    def log_odds(self, faces: Tensor) -> Tensor:
        """Of faces in portrait framing, (N, 3, s, s) in [0, 1], in one batch: (N,)."""
        logits: Tensor = self.network(faces)
        return self.slope * logits + self.offset


detectors.register(SHIPPED)(Shipped)


class Published:
    """Wang et al.'s network, on the face's region in the photo's own pixels: nothing is resized.

    Its authors set no threshold; its log-odds are its logits.
    """

    slope, offset = 1.0, 0.0

    def __init__(self, name: str, network: WangNet) -> None:
        self.name, self.network = name, network

    @torch.no_grad()
    def __call__(self, region: Tensor, face: Face) -> float:
        return float(self.network(to_unit(region)))


def load(name: str | Path) -> Detector:
    """The detector of that name, or the published one in the file of that path.

    Raises RecipeError for an unknown name, InputError and WeightsError as ``load_wang``.
    """
    if isinstance(name, str) and (name in detectors or not Path(name).suffix):
        return detectors[name]()
    path = Path(name)
    return Published(path.name, load_wang(path))
