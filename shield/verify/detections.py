"""What the detector says of the photo, protected or not, and of what manipulators make of it.

By its network alone, all pictures in one batch: does a broken manipulation give itself away more than a whole one?
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shield.detection import Shipped, called, probability_of
from shield.detection.network import SIZE
from shield.faces import Face, warp, whole_picture
from shield.photo import to_levels
from shield.region import region_of
from shield.verify.effects import Manipulation
from shield.verify.rows import BROKEN, MANIPULATED, ORIGINAL, PROTECTED, Detection

Pixels = NDArray[np.uint8]
CPU = torch.device("cpu")


def measure_detections(
    original: Pixels, protected: Pixels, faces: Sequence[Face], manipulations: Sequence[Manipulation]
) -> list[Detection]:
    """A row for every face of both photos, and for every manipulation made of each."""
    subjects: list[tuple[int, str, str | None, str | None]] = []
    crops = []
    for picture, pixels in ((ORIGINAL, original), (PROTECTED, protected)):
        for number, face in enumerate(faces):
            region = region_of(face, pixels.shape[1], pixels.shape[0])
            subjects.append((number, picture, None, None))
            crops.append(warp(region.crop(pixels, CPU), region.local_face, SIZE))
    for one in manipulations:
        for picture, pixels in ((MANIPULATED, one.clean), (BROKEN, one.broken)):
            subjects.append((one.face, picture, one.surrogate, one.edit))
            crops.append(_framed(pixels))
    probabilities = [probability_of(float(odds)) for odds in Shipped().log_odds(torch.cat(crops))]
    rows = zip(subjects, probabilities, strict=True)
    return [Detection(*subject, probability, called(probability)) for subject, probability in rows]


def _framed(pixels: Pixels) -> Tensor:
    """A manipulator's picture, in portrait framing already, at the network's size."""
    height, width = pixels.shape[:2]
    return warp(to_levels(pixels), whole_picture(width, height), SIZE)
