"""Disruption: how far a change to the photo breaks the surrogates, as one callable to climb.

Ruiz et al. 2020, "Disrupting Deepfakes" (arXiv 2003.01279): climb the distance between the manipulator's result on
the changed photo and its result on the clean one. Here in expectation over frames, channels and edits (Athalye et al.
2018, "Synthesizing robust adversarial examples", arXiv 1707.07397).
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Generator, Tensor

from shield.bounds import as_grey
from shield.channels import Transform
from shield.device import fast_precision
from shield.diversity import PLAIN, Variation
from shield.faces import Face, warp_frames
from shield.frames import FRAMES, Frames, Reframing
from shield.objectives import Measure, share_of_goal
from shield.skin import widened_oval
from shield.surrogates import Surrogate

T = TypeVar("T")
U = TypeVar("U")
Loss = Callable[[Tensor], Tensor]  # photo (1, 3, H, W) in [0, 1] -> scalar to climb
Objective = Callable[[Surrogate, Tensor], Measure]

# An edit pulls until it is broken at this multiple of its threshold, so that it stays broken after the web's channels.
MARGIN = 1.5
TINY = 1e-12
DRAWS = 2  # frames at each look: twice the steps do more than twice the frames
JUDGED = 2  # frames in which candidates are compared, the same for all of them


@dataclass(frozen=True)
class Draw:
    """One look: what is asked, on which road, in which frames, how what it sees is varied, and what is its goal."""

    surrogate: Surrogate
    road: Transform
    frames: tuple[Reframing, ...]
    variation: Variation = PLAIN
    weight: float = 1.0
    margin: float = MARGIN


@dataclass(frozen=True)
class Target:
    """One door: a manipulator, or all recognisers. Its ``parts`` are asked one after the other; ``whole`` is all.

    ``weight``: of what is left to its goal, beside that of the other doors. ``margin``: its goal, in thresholds.
    """

    whole: Sequence[Surrogate]
    parts: Sequence[Surrogate]
    weight: float = 1.0
    margin: float = MARGIN

    @property
    def makes_pictures(self) -> bool:
        """Whether it is a manipulator's."""
        return any(surrogate.makes_pictures for surrogate in self.whole)


class Disruption:
    """loss(photo): from 0 (nothing breaks) to 1 (every edit breaks with margin), in frames that are drawn anew.

    The value is an unbiased estimate of the mean over targets, edits, roads and frames; ``look`` gives the same value
    for the same picture and draws. ``clean``: the original (1, 3, H, W) in [0, 1], on which ``face`` lies. ``source``
    draws frames, ``generator`` the roads' own random numbers.
    """

    def __init__(
        self,
        clean: Tensor,
        face: Face,
        targets: Sequence[Target],
        roads: Sequence[Transform],
        objective: Objective,
        source: random.Random,
        generator: Generator,
        frames: Frames = FRAMES,
        draws: int = DRAWS,
    ) -> None:
        self.clean, self.face, self.targets, self.roads = clean, face, targets, roads
        self.objective, self.source, self.generator, self.frames, self.draws = (
            objective,
            source,
            generator,
            frames,
            draws,
        )
        self.turn, self.known_by = 0, widened_oval(face, clean)
        self.weight = sum(target.weight for target in targets) / max(1, len(targets))
        # Of its own source, so that candidates are compared on draws that the search did not climb.
        judging = random.Random(source.getrandbits(64))
        self.judged = tuple(frames.draw(judging) for _ in range(JUDGED))

    def __call__(self, photo: Tensor) -> Tensor:
        """The weighted mean over the targets of one look each, each of which pulls by what is left to its goal."""
        draws = self.draw()
        looks = [partial(self.look, draw=draw) for draw in draws]
        return mean_of(photo, looks, [draw.weight for draw in draws])

    @torch.no_grad()
    def judge(self, photo: Tensor) -> Tensor:
        """The same for every edit in fixed frames, on the first road: for comparing pictures."""
        road, frames = self.roads[0], self.judged
        doors = [
            [Draw(it, road, frames, weight=self._weight(door), margin=door.margin) for it in door.whole]
            for door in self.targets
        ]
        return torch.stack([mean_of(photo, [partial(self.look, draw=d) for d in draws]) for draws in doors]).mean()

    def draw(self) -> list[Draw]:
        """The next look of every target: edits and roads in turn, so that few steps see them all; frames at random."""
        turn, self.turn = self.turn, self.turn + 1
        draws = []
        for number, target in enumerate(self.targets):
            pairs = in_step(target.parts, self.roads)
            part, road = pairs[(turn + number) % len(pairs)]
            frames = tuple(self.frames.draw(self.source) for _ in range(self.draws))
            varied = PLAIN if part.makes_pictures else Variation.draw(self.source)
            draws.append(Draw(part, road, frames, varied, self._weight(target), target.margin))
        return draws

    def look(self, photo: Tensor, draw: Draw) -> Tensor:
        """The share of the goal that one draw reaches, by its weight.

        A recogniser is shown the change in the face alone: it goes by the face, and what a search would do around it
        for recognisers that it asks is seen as a halo and does nothing against others.
        """
        if not draw.surrogate.makes_pictures:
            photo = self.clean + self.known_by * (photo - self.clean)
        sent = draw.road(photo, self.generator)
        scale = sent.shape[-1] / photo.shape[-1], sent.shape[-2] / photo.shape[-2]
        faces = [frame.of(self.face) for frame in draw.frames]
        crops = self._crops(sent, [face.scaled(*scale) for face in faces], draw.surrogate)
        with torch.no_grad():
            before = self._crops(self.clean, faces, draw.surrogate)
        with fast_precision(photo.device):
            distances = self.objective(draw.surrogate, before)(draw.variation(crops))
        return draw.weight * share_of_goal(distances, draw.margin)

    def _weight(self, target: Target) -> float:
        return target.weight / self.weight

    def _crops(self, photo: Tensor, faces: Sequence[Face], surrogate: Surrogate) -> Tensor:
        return warp_frames(photo, faces, surrogate.size, surrogate.framing)


@dataclass(frozen=True)
class InGrey:
    """A loss of the picture as it is in grey, so that what climbs it is grey as well."""

    loss: Disruption

    def __call__(self, photo: Tensor) -> Tensor:
        return self.loss(as_grey(photo))

    def judge(self, photo: Tensor) -> Tensor:
        """The same on the draws on which pictures are compared."""
        return self.loss.judge(as_grey(photo))


def mean_of(photo: Tensor, looks: Sequence[Loss], goals: Sequence[float] | None = None) -> Tensor:
    """The mean of several losses of one photo; with gradients, only one loss's activations are held at a time.

    ``goals``: what each loss can reach. Then the gradient's direction is balanced: each loss pulls by what is left to
    its goal and not by how steep it is, for a distance that grows as the square of the change would pull the more the
    nearer it is.
    """
    if not (torch.is_grad_enabled() and photo.requires_grad):
        return torch.stack([look(photo) for look in looks]).mean()
    value: Tensor = _MeanOfLooks.apply(photo, looks, goals)
    return value


def in_step(parts: Sequence[T], roads: Sequence[U]) -> list[tuple[T, U]]:
    """Both lists walked through together, each from its beginning again at its end, until both end at once."""
    return [(parts[i % len(parts)], roads[i % len(roads)]) for i in range(math.lcm(len(parts), len(roads)))]


class _MeanOfLooks(torch.autograd.Function):
    """Runs forward and backward look by look."""

    @staticmethod
    def forward(context: Any, photo: Tensor, looks: Sequence[Loss], goals: Sequence[float] | None) -> Tensor:
        total, gradient = torch.zeros((), device=photo.device), torch.zeros_like(photo)
        balanced = torch.zeros_like(photo)
        for number, look in enumerate(looks):
            with torch.enable_grad():
                leaf = photo.detach().requires_grad_(True)
                value = look(leaf)
                (pull,) = torch.autograd.grad(value, leaf)
            total += value.detach()
            gradient += pull
            if goals is not None:
                balanced += (goals[number] - value.detach()) / pull.norm().clamp(min=TINY) * pull
        if goals is not None:
            gradient = balanced * (gradient.norm() / balanced.norm().clamp(min=TINY))
        context.save_for_backward(gradient / len(looks))
        return total / len(looks)

    @staticmethod
    def backward(context: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = context.saved_tensors
        return gradient * outer[0], None, None
