"""The protector's training: a network that gives at once what a search finds for a face.

What it makes is worn as a photo wears it: bent by a flow that leaves the expression, grey in the face, within the band
and the largest change of a search, and shrunk to everything that may be seen of it, so that what is climbed is the
effect at equal visibility. Climbed is what a search climbs, over frames, edits and what the web does, for other faces
at every step: no face's own accident helps, and so it holds for recognisers that it never met (Poursaeed et al. 2018,
arXiv 1712.02328). The judge is not asked.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.bounds import Allowed, Band, Greyed, Linf, Visible
from shield.carriers import Flow, bent, lent
from shield.channels.codec import stand_in
from shield.device import fast_layout, fast_precision
from shield.disruption import MARGIN
from shield.diversity import COARSEST, Variation
from shield.faces import PORTRAIT, whole_picture
from shield.faces.landmarks import landmark_network, portrait_points
from shield.lpips import load_lpips
from shield.objectives import share_of_goal
from shield.recipe import BALANCED, Strength
from shield.region import region_of
from shield.search import FAR
from shield.skin import widened_oval
from shield.starts.network import SIZE, Protector
from shield.starts.protector import FITTED_TO
from shield.surrogates import Surrogate, chosen, load_surrogate
from shield.training.data import FaceSet
from shield.training.framing import around, between, reframed
from shield.training.loop import recipes
from shield.training.single import SingleTraining

SIDES = (512, 512, 256)  # px of the faces: most photos' are large
GRAIN = 0.02  # of the range: what a photo has and an enlarged face has not
SHARPER = 1.0  # at most, of a face's own detail, is added to it
# By which power of a change's size what is seen of it grows: LPIPS (two sizes), FLIP's mean and loudest, skin, stains.
POWERS = (2.0, 2.0, 0.7, 0.7, 2.0, 1.0)
JPEG = 75
LOOK = 20  # steps from one reading of the losses to the next: each waits for the device
LARGEST = 1.0  # norm of a gradient
MAGNIFIED = 8  # times, on the sample sheet


@dataclass(frozen=True)
class ProtectorRecipe:
    """Everything that decides how the weights come out."""

    batch: int = 16
    steps: int = 6_000
    learning_rate: float = 5e-4
    warm_up: int = 100  # steps
    averaging: float = 0.995
    strength: Strength = BALANCED
    asked: int = 3  # recognisers at every step
    identity: float = 4.0  # weight of the recognisers beside the manipulator's
    widths: tuple[int, ...] = field(default=())  # of the network; none: its own
    seed: int = 0


class ProtectorTraining(SingleTraining):
    """A network that changes faces so that the surrogates fail on them. The exported weights are running means."""

    network: Protector

    def __init__(
        self,
        recipe: ProtectorRecipe,
        data: FaceSet,
        surrogates: Sequence[Surrogate],
        device: torch.device,
        sides: Sequence[int] = SIDES,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.sides = recipe, device, sides
        self.recognisers = [each for each in surrogates if not each.makes_pictures]
        self.editors = [each for each in surrogates if each.makes_pictures]
        self.faces, self.lpips = data.faces.to(device), load_lpips(device)
        self.landmarks = _landmarks(self.faces)
        network = Protector(recipe.widths) if recipe.widths else Protector()
        network = network.to(device).to(memory_format=fast_layout(device))
        optimiser = torch.optim.Adam(network.parameters(), recipe.learning_rate, (0.9, 0.99))
        super().__init__(network, optimiser, torch.Generator().manual_seed(recipe.seed), recipe.steps)
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.grain = torch.Generator(device).manual_seed(recipe.seed)  # drawn on the processor it would be waited for
        self._factor = 1.0
        self._told: dict[str, float] = {}

    def set_rate(self, factor: float) -> None:
        """Scale the recipe's learning rate; while it warms up it is smaller still."""
        self._factor = factor

    def step(self, number: int) -> dict[str, float]:
        """One step; returns the shares of the goals that were reached, and what is left of the change, as last read."""
        super().set_rate(self._factor * min(1.0, (number + 1) / self.recipe.warm_up))
        rows = torch.randint(len(self.faces), (self.recipe.batch,), generator=self.random)
        faces = self._photographed(rows, self.sides[self._drawn(len(self.sides))])
        worn, left = self.worn(self.network, faces, self.landmarks[rows.to(self.device)])
        sent = self._sent(worn)
        reached = {"known": self._forgotten(faces, sent)} if self.recognisers else {}
        for editor in self.editors:
            reached[editor.name] = self._broken(editor, faces, sent)
        weights = [self.recipe.identity if name == "known" else 1.0 for name in reached]
        loss = -sum(weight * share for weight, share in zip(weights, reached.values(), strict=True))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore,union-attr]
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST)
        self.optimiser.step()
        self._average(number)
        if number % LOOK == 0 or not self._told:
            self._told = {name: float(share.detach()) for name, share in (reached | {"left": left.mean()}).items()}
        return self._told

    def worn(self, network: nn.Module, faces: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        """Faces (N, 3, s, s) in [0, 1] with what the network makes, as far as may be seen, and its share (N,)."""
        strength, side = self.recipe.strength, faces.shape[-1]
        frame = whole_picture(side, side)
        window = region_of(frame, side, side).window().to(faces)
        with fast_precision(self.device):
            change, flow = network(F.adaptive_avg_pool2d(faces, SIZE) if side > SIZE else faces)
        moved = bent(faces, lent(Flow(flow), window, strength.warp, landmarks), side).clamp(0, 1)
        bound = Greyed.of(Band(Linf(moved, strength.levels, window), moved, side), moved, frame)
        change = F.interpolate(change, size=(side, side), mode="bilinear", align_corners=False)
        whole = bound.project(moved + bound.step(change, 1.0))
        limits = Allowed(strength.face_lpips, strength.flip, strength.loudest, strength.skin, strength.stains)
        shares = Visible(moved, frame, limits, self.lpips, faces).shares(whole)
        if side <= SIZE:  # LPIPS at one size
            shares = shares[:1] + shares
        least = [share.clamp(min=1e-3) ** (-1 / power) for share, power in zip(shares, POWERS, strict=True)]
        left = torch.stack(least).amin(0).clamp(max=1)
        return moved.lerp(whole, left[:, None, None, None]), left

    def _photographed(self, rows: Tensor, side: int) -> Tensor:
        """These faces as a photo would show them, (N, 3, side, side) in [0, 1]: enlarged, sharper, with grain."""
        faces = self.faces[rows.to(self.device)].float() / 255
        faces = F.interpolate(faces, size=(side, side), mode="bicubic", align_corners=False)
        soft = F.avg_pool2d(faces, 7, stride=1, padding=3, count_include_pad=False)
        sharpness, grain = torch.rand(2, len(rows), 1, 1, 1, generator=self.random).to(self.device).unbind()
        noise = torch.randn(faces.shape, device=self.device, generator=self.grain)
        faces = faces + SHARPER * sharpness * (faces - soft) + GRAIN * grain * noise
        return faces.clamp(0, 1)

    def _sent(self, worn: Tensor) -> Tensor:
        """As saved, in a JPEG, or at half the size and enlarged again."""
        way = self._drawn(4)
        if way == 0:
            return stand_in(worn, JPEG)
        if way == 1:
            return F.interpolate(F.avg_pool2d(worn, 2), scale_factor=2.0, mode="bilinear", align_corners=False)
        return worn

    def _forgotten(self, faces: Tensor, sent: Tensor) -> Tensor:
        """The share of the goal that a few recognisers, drawn anew, are from who is on the faces."""
        shown = faces + widened_oval(whole_picture(*faces.shape[:1:-1]), faces) * (sent - faces)
        chosen_ones = torch.randperm(len(self.recognisers), generator=self.random)[: self.recipe.asked].tolist()
        shares = []
        for recogniser in (self.recognisers[number] for number in chosen_ones):
            share = COARSEST + (1 - COARSEST) * float(torch.rand((), generator=self.random))
            varied = Variation(self._drawn(2) == 0, share)
            shares.append(self._reached(recogniser, faces, shown, FAR, varied))
        return torch.stack(shares).mean()

    def _broken(self, editor: Surrogate, faces: Tensor, sent: Tensor) -> Tensor:
        """The share of the goal of one edit, drawn anew."""
        return self._reached(chosen(editor, [editor.edits[self._drawn(len(editor.edits))]]), faces, sent, MARGIN)

    def _reached(
        self, surrogate: Surrogate, faces: Tensor, sent: Tensor, margin: float, varied: Variation | None = None
    ) -> Tensor:
        matrices = around(between(PORTRAIT, surrogate.framing), len(faces), self.random, mirrored=False)
        before, after = (framed(pictures, matrices, surrogate.size) for pictures in (faces, sent))
        with fast_precision(self.device):
            with torch.no_grad():
                clean = surrogate(before).float()
            results = surrogate(after if varied is None else varied(after)).float()
        return share_of_goal(surrogate.distance(results, clean) / surrogate.threshold, margin)

    def _drawn(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self.random))

    def _average(self, number: int) -> None:
        # Early averages must not remember the random start.
        share = 1 - min(self.recipe.averaging, (number + 1) / (number + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), share)

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """The face, the face with the change, and the change magnified, for faces (N, 3, s, s) in [-1, 1].

        (N, 3, 3, s, s).
        """
        size, columns = faces.shape[-1], []
        for face in faces.to(self.device).split(1):
            large = F.interpolate(face / 2 + 0.5, size=(SIZE, SIZE), mode="bicubic", align_corners=False).clamp(0, 1)
            worn, _ = self.worn(self.average, large, _landmarks((255 * face / 2 + 127.5).byte()))
            shown = torch.stack([2 * large - 1, 2 * worn - 1, 2 * MAGNIFIED * (worn - large)], dim=1)
            columns.append(F.adaptive_avg_pool2d(shown[0], size)[None])
        return torch.cat(columns).clamp(-1, 1).cpu()

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs, random numbers included."""
        return super().state_dict() | {"average": self.average.state_dict(), "grain": self.grain.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        super().load_state_dict(state)
        self.average.load_state_dict(state["average"])
        self.grain.set_state(state["grain"].cpu())

    def begin_with(self, weights: dict[str, Tensor]) -> int:
        """Begin with trained weights."""
        self.average.load_state_dict(weights)
        return super().begin_with(weights)

    def export(self) -> dict[str, Tensor]:
        """The finished weights: the average, float16."""
        return {name: value.half().contiguous().cpu() for name, value in self.average.state_dict().items()}


def framed(pictures: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, s, s) in frames (N, 2, 3) in which they are not much larger: (N, 3, size, size)."""
    pictures = F.adaptive_avg_pool2d(pictures, SIZE) if pictures.shape[-1] > SIZE else pictures
    return F.avg_pool2d(reframed(pictures, matrices, 2 * size), 2)


@torch.no_grad()
def _landmarks(faces: Tensor) -> Tensor:
    """Of faces (N, 3, s, s), uint8, in portrait framing: (N, 68, 2) in shares of the frame."""
    network = landmark_network(faces.device)
    return torch.cat([portrait_points(network, part.float() / 255) for part in faces.split(256)])


@recipes.register("protector")
def protector(data: FaceSet, device: torch.device) -> ProtectorTraining:
    """The recipe as shipped."""
    surrogates = [load_surrogate(name, device) for name in FITTED_TO]
    return ProtectorTraining(ProtectorRecipe(), data, surrogates, device)
