"""What the surrogates make of each picture after each channel, against what they make of the clean original."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shield.device import fast_precision
from shield.faces import Face, warp
from shield.objectives import l1, l2, l2_mask
from shield.photo import to_pixels
from shield.region import region_of
from shield.surrogates import Surrogate
from shield.verify.channels import AS_SAVED, Channel
from shield.verify.mark import mark
from shield.verify.report import PROTECTED, Effect

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Manipulation:
    """One edit of one face, as pictures (size, size, 3): made from the original and from the protected photo."""

    face: int
    surrogate: str
    edit: str
    clean: Pixels = field(repr=False)
    broken: Pixels = field(repr=False)
    disrupted: bool

    @property
    def pictures(self) -> tuple[Image.Image, Image.Image]:
        """What was made of the original and of the protected photo, to show: each is marked."""
        return mark(self.clean), mark(self.broken)


@dataclass(frozen=True)
class Labels:
    """What a set of results is of."""

    face: int
    surrogate: Surrogate
    seen: bool
    picture: str
    channel: str


def face_crop(pixels: Pixels, face: Face, surrogate: Surrogate, device: torch.device) -> Tensor:
    """The face as the surrogate wants it, (1, 3, size, size); only the face's region becomes a tensor."""
    region = region_of(face, pixels.shape[1], pixels.shape[0])
    return warp(region.crop(pixels, device), region.local_face, surrogate.size, surrogate.framing)


@torch.no_grad()
def measure_effects(
    original: Pixels,
    pictures: Mapping[str, Pixels],
    channels: Mapping[str, Channel],
    faces: Sequence[Face],
    surrogates: Sequence[Surrogate],
    seen: Collection[str],
    device: torch.device,
    tell: Callable[[], None] = lambda: None,
) -> tuple[list[Effect], list[Manipulation]]:
    """A row for every picture, channel, face, surrogate and edit; and the protected photo's manipulations as saved.

    ``tell`` is called before each picture after each channel.
    """
    effects: list[Effect] = []
    manipulations: list[Manipulation] = []
    references: dict[tuple[Face, str], tuple[Tensor, Tensor]] = {}  # crop of the original and its clean results
    for picture, channel, sent in _sent(pictures, channels):
        tell()
        scale = sent.shape[1] / original.shape[1], sent.shape[0] / original.shape[0]
        framed = channels[channel].frame(faces, original, sent)
        for (number, face), surrogate in product(enumerate(framed), surrogates):
            key = face, surrogate.name
            if key not in references:
                crop = face_crop(original, face, surrogate, device)
                references[key] = crop, _run(surrogate, crop)
            crop, clean = references[key]
            results = _run(surrogate, face_crop(sent, face.scaled(*scale), surrogate, device))
            labels = Labels(number, surrogate, surrogate.name in seen, picture, channel)
            rows = _effects(labels, results, clean, crop)
            effects += rows
            if (picture, channel) == (PROTECTED, AS_SAVED) and surrogate.makes_pictures:
                manipulations += _manipulations(rows, clean, results)
    return effects, manipulations


def _sent(pictures: Mapping[str, Pixels], channels: Mapping[str, Channel]) -> Iterator[tuple[str, str, Pixels]]:
    """Every picture after every channel."""
    for (picture, pixels), (name, channel) in product(pictures.items(), channels.items()):
        yield picture, name, channel.apply(pixels)


def _run(surrogate: Surrogate, crop: Tensor) -> Tensor:
    # Half precision halves the time; tests hold its distances to within 0.002 of full precision.
    with fast_precision(crop.device):
        return surrogate(crop).float()


def _effects(labels: Labels, results: Tensor, clean: Tensor, crop: Tensor) -> list[Effect]:
    surrogate = labels.surrogate
    distances = surrogate.distance(results, clean)[0].tolist()
    measures: list[list[float | None]] = [[None] * len(distances)] * 3
    if surrogate.makes_pictures:
        tables = l1(results, clean), l2(results, clean), l2_mask(results, clean, 2 * crop - 1)
        measures = [table[0].tolist() for table in tables]
    return [
        Effect(
            labels.face,
            surrogate.name,
            edit,
            labels.seen,
            labels.picture,
            labels.channel,
            distance,
            surrogate.threshold,
            distance > surrogate.threshold,
            *values,
        )
        for edit, distance, *values in zip(surrogate.edits, distances, *measures, strict=True)
    ]


def _manipulations(rows: list[Effect], clean: Tensor, results: Tensor) -> list[Manipulation]:
    before, after = [[to_pixels((picture + 1) / 2) for picture in batch[0]] for batch in (clean, results)]
    return [
        Manipulation(row.face, row.surrogate, row.edit, before[i], after[i], row.disrupted)
        for i, row in enumerate(rows)
    ]
