"""What students of recognisers learn from: faces, faces between two of them, and what the teachers say of each.

A teacher is asked once, about the face as it is and mirrored; the student sees the same face in another frame, light
and sharpness at every step and is to answer the same (Beyer et al. 2021, "A good teacher is patient and consistent",
arXiv 2106.05237, have the teacher see what the student sees: here invariance is what is taught). Means of two faces,
which all lie in one framing, are persons that nobody is, and as many as one likes (Zhang et al. 2017, "mixup",
arXiv 1710.09412).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.faces import warp, whole_picture
from shield.surrogates import Surrogate

MIXED = 0.3  # the least share of either face in a mean of two
BATCH = 256  # faces that the teachers see at once


@dataclass(frozen=True)
class Lessons:
    """Faces by two rows of ``faces``, uint8 (N, 3, s, s), and the ``share`` of the second one, (M,) each.

    ``answers``: (M, sum of ``sizes``), a direction of length 1 for every teacher, seen from its mean answer in
    ``means``. (Some teachers find all faces much alike: their directions from zero hardly differ.)
    """

    faces: Tensor
    first: Tensor
    second: Tensor
    share: Tensor
    answers: Tensor
    means: Tensor
    sizes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.first)

    def pictures(self, rows: Tensor) -> Tensor:
        """The faces of these lessons, (len(rows), 3, s, s) in [0, 1]."""
        return _between(self.faces, self.first[rows], self.second[rows], self.share[rows])


def prepare(
    faces: Tensor,
    rows: Tensor,
    mixed: int,
    teachers: Sequence[Surrogate],
    random: torch.Generator,
    means: Tensor | None = None,
) -> Lessons:
    """A lesson on each of the ``rows`` of ``faces`` and ``mixed`` on means of two of them.

    Faces are uint8 in portrait framing, on the device that the teachers are on; ``random`` is the processor's.
    ``means``: the teachers' mean answers, of these lessons where not given.
    """
    pairs = rows[torch.randint(len(rows), (2, mixed), generator=random)]
    share = MIXED + (1 - 2 * MIXED) * torch.rand(mixed, generator=random)
    first, second = torch.cat([rows, pairs[0]]).to(faces.device), torch.cat([rows, pairs[1]]).to(faces.device)
    share = torch.cat([torch.zeros(len(rows)), share]).to(faces.device)
    said = [_asked(teacher, faces, first, second, share) for teacher in teachers]
    sizes = tuple(each.shape[1] for each in said)
    answers = torch.cat(said, dim=1)
    means = answers.mean(0) if means is None else means
    directions = [F.normalize(part, dim=1) for part in (answers - means).split(sizes, dim=1)]
    return Lessons(faces, first, second, share, torch.cat(directions, dim=1), means, sizes)


def _between(faces: Tensor, first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    return faces[first].float().lerp(faces[second].float(), share[:, None, None, None]) / 255


@torch.no_grad()
def _asked(teacher: Surrogate, faces: Tensor, first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """A teacher's embeddings (M, D), the mean of each face's and its mirror picture's."""
    frame = whole_picture(faces.shape[-1], faces.shape[-1])
    parts = []
    for lesson in torch.arange(len(first), device=faces.device).split(BATCH):
        framed = warp(
            _between(faces, first[lesson], second[lesson], share[lesson]), frame, teacher.size, teacher.framing
        )
        parts.append(teacher(framed)[:, 0] + teacher(framed.flip(3))[:, 0])
    return torch.cat(parts) / 2
