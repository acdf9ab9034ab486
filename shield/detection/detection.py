"""From a photo to a verdict: every face before the network and before the checks, their findings added up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shield.detection.calibration import flaw_weight
from shield.detection.detectors import SHIPPED, Detector, load
from shield.detection.flaws import flaws
from shield.detection.verdict import FaceVerdict, Reason, Region, Verdict
from shield.detection.view import SIZE, FaceView, Outline
from shield.errors import FaceError
from shield.faces import Face, crop_matrix, warp
from shield.faces import detect as find_faces
from shield.faces.landmarks import landmark_network, portrait_landmarks
from shield.photo import Photo, open_photo, to_unit
from shield.region import region_of

CPU = torch.device("cpu")
SPEAKS = "The network sees the traces of a generator in the face."
DEFAULT_CHECKS = tuple(sorted(name for name, flaw in flaws.items() if flaw.reliable))


def detect(
    photo: "str | Path | NDArray[Any] | Image.Image | Photo",
    *,
    detector: str | Path = SHIPPED,
    checks: Sequence[str] | None = None,
) -> Verdict:
    """Say how likely a photo is generated or manipulated, and why.

    ``detector``: a name in ``shield.detectors``, or the file of a published network of Wang et al. ``checks``: names in
    ``shield.flaws``; without them, all but those that find too little.

    Raises PhotoError where the photo cannot be read, FaceError where it shows no face, RecipeError for an unknown name,
    InputError or WeightsError where the detector's file is not what it should be.
    """
    checks = DEFAULT_CHECKS if checks is None else checks
    for name in checks:
        flaws[name]  # unknown names are refused before any work
    network = load(detector)
    opened = open_photo(photo)
    faces = find_faces(opened.pixels)
    if not faces:
        raise FaceError(f"{opened.path or 'The photo'} shows no face of 40 pixels or more; there is nothing to judge.")
    verdicts = [judge(opened.pixels, face, network, checks) for face in faces]
    return Verdict(tuple(verdicts), opened.pixels, opened.path, network.name)


def judge(pixels: NDArray[np.uint8], face: Face, detector: Detector, checks: Sequence[str]) -> FaceVerdict:
    """One face of a photo (H, W, 3): what detector and checks find, added up as log-odds."""
    region = region_of(face, pixels.shape[1], pixels.shape[0])
    levels = region.crop(pixels, CPU)
    logit = detector(levels, region.local_face)
    matrix = crop_matrix(face)
    view = face_view(levels, region.local_face)
    network = Reason(
        detector.name, SPEAKS, logit, detector.slope * logit + detector.offset, _region(view.frame_outline, matrix)
    )
    found = [network]
    for name in checks:
        measured = flaws[name].measure(view)
        weight = flaw_weight(name) * flaws[name].excess(measured.score)
        found.append(Reason(name, flaws[name].sentence, measured.score, weight, _region(measured.outline, matrix)))
    reasons = sorted((reason for reason in found if reason.weight > 0), key=lambda reason: -reason.weight)
    return FaceVerdict(face.box, sum(reason.weight for reason in found), tuple(reasons))


def face_view(region: Tensor, face: Face) -> FaceView:
    """What the checks see of a face in its region of the photo, levels (1, 3, h, w)."""
    framed = warp(region, face, SIZE)
    points = portrait_landmarks(landmark_network(), framed)[0]
    native = to_unit(region)[0].permute(1, 2, 0).numpy()
    return FaceView(framed[0].permute(1, 2, 0).numpy(), (SIZE * points).numpy(), native)


def _region(outline: Outline, matrix: NDArray[np.float64]) -> Region:
    """An outline of the view in px of the photo."""
    corners = outline / SIZE @ matrix[:, :2].T + matrix[:, 2]
    return tuple((float(x), float(y)) for x, y in corners)
