"""Aligned faces with labels, straight from the archives that training reads (one tar per source and a labels.csv)."""

import csv
import io
import tarfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from shield.errors import InputError

LABELS = "labels.csv"  # in the folder of the archives
SOURCES = ("celeba", "lfw", "synthetic")
SHIFT = 0.06  # of the side, either way: how far a varied face moves at most
LIGHT = 0.2  # of the range: how far its brightness and its contrast do


@dataclass(frozen=True)
class FaceSet:
    """Faces in portrait framing with their labels.

    ``faces``: uint8 (N, 3, size, size). ``labels``: float (N, len(names)), a probability or 0/1 per attribute.
    ``source``: (N,) index into SOURCES. ``names``: the attributes, in the order of the columns. ``persons``: who they
    are; "" where the source does not say.
    """

    faces: Tensor
    labels: Tensor
    source: Tensor
    names: tuple[str, ...]
    persons: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.faces)

    def draw(self, rows: Tensor, size: int, generator: torch.Generator) -> Tensor:
        """The faces of these rows, (len(rows), 3, size, size) in [-1, 1], half of them mirrored."""
        faces = self.faces[rows].float() / 127.5 - 1
        flip = torch.rand(len(rows), generator=generator) < 0.5
        faces[flip] = faces[flip].flip(3)
        return F.adaptive_avg_pool2d(faces, size)

    def columns(self, *names: str) -> Tensor:
        """The named attributes as 0/1 (N, len(names)): predicted probabilities are cut at one half."""
        return (self.labels[:, [self.names.index(name) for name in names]] > 0.5).float()


def levels_of(faces: Tensor) -> Tensor:
    """Faces in [-1, 1] as the set keeps them: levels, uint8."""
    return (faces * 127.5 + 127.5).round().clamp(0, 255).byte()


def load_faces(folder: Path, split: str, size: int = 128, sources: tuple[str, ...] = SOURCES) -> FaceSet:
    """Read every face of ``split`` ("train" or "test") of the named sources, resized to ``size`` px.

    Raises InputError where the archives are missing.
    """
    table = folder / LABELS
    if not table.is_file():
        raise InputError(f"{folder} holds no {LABELS}: point --data at the folder with the face archives.")
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split and row["source"] in sources]
    if not rows:
        raise InputError(f"{table} lists no {split} face of {', '.join(sources)}.")
    names = tuple(rows[0])[7:]
    wanted: dict[str, dict[str, int]] = defaultdict(dict)  # source -> file name -> row number
    for number, row in enumerate(rows):
        wanted[row["source"]][row["file"]] = number
    faces = torch.zeros(len(rows), 3, size, size, dtype=torch.uint8)
    for source, missing in wanted.items():
        path = folder / f"{source}.tar"
        if not path.is_file():
            raise InputError(f"{path} is missing: point --data at the folder with the face archives.")
        with tarfile.open(path) as archive:
            for member in archive:
                packed = archive.extractfile(member)
                if packed is not None and member.name in missing:
                    faces[missing.pop(member.name)] = _decode(packed.read(), size)
        if missing:
            raise InputError(f"{path} lacks {min(missing)} and {len(missing) - 1} more faces that {LABELS} lists.")
    labels = torch.tensor([[float(row[name]) for name in names] for row in rows])
    sources_of = torch.tensor([SOURCES.index(row["source"]) for row in rows])
    return FaceSet(faces, labels, sources_of, names, tuple(row["person"] for row in rows))


def varied(faces: Tensor, generator: torch.Generator, tint: float = 0.0) -> Tensor:
    """Each face shifted, in other light, and some of them as soft as a small photo; (N, 3, s, s) in [-1, 1].

    ``tint``: how far each colour may move alone, as a share of the range. Differentiable.
    """
    count = len(faces)

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(count, *shape, generator=generator) - 1

    matrix = torch.eye(2, 3).repeat(count, 1, 1)
    matrix[:, :, 2] = 2 * SHIFT * uniform(2)
    grid = F.affine_grid(matrix, list(faces.shape), align_corners=False)
    faces = F.grid_sample(faces, grid, padding_mode="reflection", align_corners=False)
    soft = torch.rand(count, 1, 1, 1, generator=generator) < 0.3
    faces = torch.where(soft, F.avg_pool2d(faces, 3, stride=1, padding=1, count_include_pad=False), faces)
    faces = faces * (1 + LIGHT * uniform(1, 1, 1)) + LIGHT * uniform(1, 1, 1)
    return (faces + tint * uniform(3, 1, 1) if tint else faces).clamp(-1, 1)


def _decode(data: bytes, size: int) -> Tensor:
    picture = Image.open(io.BytesIO(data)).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


class BalancedSampler:
    """Draws row numbers so that chosen groups come up equally often.

    A group is a tuple of integers per face (such as source, hair, sex, age); ``weights`` gives its share.
    Rows of a group are drawn uniformly. Everything comes from one seeded generator whose state can be saved.
    """

    def __init__(self, groups: Sequence[tuple[int, ...]], weights: Mapping[tuple[int, ...], float], seed: int) -> None:
        rows = defaultdict(list)
        for number, group in enumerate(groups):
            if weights.get(group, 0) > 0:
                rows[group].append(number)
        self.rows = [torch.tensor(rows[group]) for group in sorted(rows)]
        self.shares = torch.tensor([weights[group] for group in sorted(rows)])
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, count: int) -> Tensor:
        groups = torch.multinomial(self.shares, count, replacement=True, generator=self.generator)
        picks = torch.rand(count, generator=self.generator)
        return torch.stack(
            [self.rows[g][int(p * len(self.rows[g]))] for g, p in zip(groups.tolist(), picks.tolist(), strict=True)]
        )
