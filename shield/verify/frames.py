"""Kinds of frames in which results are measured: where somebody who manipulates a photo takes its faces from.

Every frame is a face in px of the original: the same frame of the original gives the reference.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from shield.channels import Pixels
from shield.faces import Face, whole_picture
from shield.faces.aligners import aligners
from shield.frames import held
from shield.registry import Registry
from shield.verify.rows import EXACT, FOUND, HELD

NEAR = 0.25  # of the frame's side: what an aligner finds no farther off is the face that is known there


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo and the faces that are known in it. What aligners find in it is looked for once."""

    pixels: Pixels
    faces: tuple[Face, ...]
    _found: dict[str, list[Face]] = field(default_factory=dict)

    def found(self, aligner: str) -> list[Face]:
        """The faces that the aligner of that name finds in the photo."""
        if aligner not in self._found:
            self._found[aligner] = aligners[aligner](self.pixels)
        return self._found[aligner]


# A scene, the pixels that were sent (of any size) and how many frames are asked for -> each known face's frames.
Frames = Callable[[Scene, Pixels, int], list[tuple[Face, ...]]]
kinds: Registry[Frames] = Registry("kind of frame")


@kinds.register(EXACT)
def exact(scene: Scene, sent: Pixels, draws: int) -> list[tuple[Face, ...]]:
    """The template on the very points that the search knew: an upper limit, for nobody else frames like that."""
    return [(face,) for face in scene.faces]


@kinds.register(HELD)
def held_out(scene: Scene, sent: Pixels, draws: int) -> list[tuple[Face, ...]]:
    """Draws of the distribution of frames that no search sees, around those points."""
    return [tuple(frame.of(face) for frame in held(draws)) for face in scene.faces]


def found(scene: Scene, sent: Pixels, draws: int, aligner: str) -> list[tuple[Face, ...]]:
    """Where an aligner finds each face in the very pixels that were sent.

    A face that it finds there no more is framed where it found it in the original, as somebody would who frames by
    hand. One that it does not find there either, or that is the whole picture, has no frame of this kind.
    """
    height, width = scene.pixels.shape[:2]
    whole = whole_picture(width, height)
    there: list[Face] = []
    if any(face != whole for face in scene.faces):
        scale = width / sent.shape[1], height / sent.shape[0]
        there = [face.scaled(*scale) for face in aligners[aligner](sent)]
    frames: list[tuple[Face, ...]] = []
    for known in scene.faces:
        face = None if known == whole else nearest(there, known) or nearest(scene.found(aligner), known)
        frames.append((face,) if face else ())
    return frames


def nearest(faces: Sequence[Face], known: Face) -> Face | None:
    """Which of the faces is the known one; None where none is near."""

    def distance(face: Face) -> float:
        return float(np.hypot(*(np.mean(face.points, axis=0) - np.mean(known.points, axis=0))))

    closest = min(faces, key=distance, default=None)
    return closest if closest is not None and distance(closest) < NEAR * known.side else None


class _Found(Mapping[str, Frames]):
    """A kind of frame for every aligner."""

    def __getitem__(self, name: str) -> Frames:
        if name not in set(self):
            raise KeyError(name)
        return partial(found, aligner=name.removeprefix(FOUND))

    def __iter__(self) -> Iterator[str]:
        return (FOUND + aligner for aligner in aligners)

    def __len__(self) -> int:
        return len(aligners)


kinds.follow(_Found())
