"""The face swap's training: any target's face becomes any source's, judged by what recognisers read.

In the manner of SimSwap (Chen et al. 2020, arXiv 2106.06340): losses of identity, of reconstruction where source and
target are one person, of an adversary, and of its deep features, which keep the target's pose, expression and light.
Differs where few steps must go far: the adversary sees faces beside embeddings (Miyato and Koyama 2018,
arXiv 1802.05637), landmarks keep the expression, and a second recogniser reads the identity too: one alone is satisfied
with patterns that nobody else knows. dlib and fr_feature are not asked, so that they can judge.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.device import fast_layout, fast_precision
from shield.faces.landmarks import FRAMING, load_landmarks
from shield.faces.landmarks import SIZE as LANDMARKS_SIZE
from shield.faces.templates import PORTRAIT
from shield.frames import FRAMES
from shield.lpips import load_lpips
from shield.surrogates.generator import blended
from shield.surrogates.recognisers.recogniser import JUDGE, Recogniser, load_recogniser
from shield.swap.network import BLOCKS, IDENTITY, SIZE, TEMPLATE, WIDTHS, SwapNet, face_core
from shield.training.adversarial import BETAS, Critic, CriticTraining, hinge_losses
from shield.training.data import FaceSet
from shield.training.framing import around, between, reframed
from shield.training.loop import recipes
from shield.weights import manifest

TRAINED = ("generator", "critic")
READERS = (JUDGE, "mobilefacenet")  # of the identity: the first one's embeddings are what the network is given
JAW = 17  # the first landmarks: a jaw's shape belongs to the person, the rest shows what a face does
LOUD = IDENTITY**0.5  # embeddings of length 1, for layers that are made for numbers of size 1
LOOK = 20  # steps from one reading of the losses to the next: each waits for the device


@dataclass(frozen=True)
class SwapRecipe:
    """Everything that decides how the weights come out."""

    batch: int = 32
    same: int = 8  # of the batch whose source is the target's own person
    steps: int = 12_000
    learning_rate: float = 3e-4
    averaging: float = 0.998
    widths: tuple[int, ...] = WIDTHS
    blocks: int = BLOCKS
    critic_width: int = 64
    identity: tuple[float, ...] = (12.0, 6.0)  # weight of each reader's distance to the source
    reconstruction: float = 10.0
    perceptual: float = 4.0  # LPIPS, where the person is the target's own
    features: float = 2.0  # of the adversary: how much of the target's the result's are off by
    landmarks: float = 30.0  # mean distance in sides of the landmarks' frame
    light: float = 2.0  # what is left of the result's and the target's colours at a sixteenth of the size
    calm: float = 0.3  # for painting outside the face
    seed: int = 0


class SwapTraining(CriticTraining):
    """A generator, and an adversary that sees faces beside whom they show."""

    generator: SwapNet

    def __init__(self, recipe: SwapRecipe, data: FaceSet, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.steps = recipe, device, recipe.steps
        self.random, self.averaging = torch.Generator().manual_seed(recipe.seed), recipe.averaging
        self.faces = data.faces.to(device)
        self.relatives = relatives(data.persons or ("",) * len(data))
        self.readers = [load_recogniser(manifest()[name], device) for name in READERS]
        self.identities = [self._read(reader) for reader in self.readers]
        self.landmarks, self.lpips = load_landmarks().to(device), load_lpips(device)
        self.outside = (face_core() == 0).float().to(device)
        self.generator = SwapNet(recipe.widths, recipe.blocks).to(device).to(memory_format=fast_layout(device))
        self.critic = Critic(recipe.critic_width, IDENTITY).to(device).to(memory_format=fast_layout(device))
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.rates = dict.fromkeys(TRAINED, recipe.learning_rate)
        self.optimisers = {
            name: torch.optim.Adam(getattr(self, name).parameters(), rate, BETAS, fused=True)
            for name, rate in self.rates.items()
        }
        self._told: dict[str, float] = {}

    @torch.no_grad()
    def _read(self, reader: Recogniser) -> Tensor:
        """The reader's embedding of every face, (N, D)."""
        frame = between(PORTRAIT, reader.framing)
        parts = self.faces.split(256)
        return torch.cat([reader(reframed(part.float() / 255, frame, reader.size))[:, 0] for part in parts])

    def _drawn(self, rows: Tensor) -> Tensor:
        """These faces as a tool frames them, each a little otherwise, half mirrored: (N, 3, 128, 128) in [-1, 1]."""
        matrices = around(between(PORTRAIT, TEMPLATE), len(rows), self.random)
        return reframed(self.faces[rows.to(self.device)].float() / 127.5 - 1, matrices, SIZE)

    def step(self, number: int) -> dict[str, float]:
        """One step of the adversary, then one of the generator; returns the terms of their losses as last read."""
        recipe = self.recipe
        rows = torch.randint(len(self.faces), (recipe.batch,), generator=self.random)
        sources = torch.randint(len(self.faces), (recipe.batch,), generator=self.random)
        sources[: recipe.same] = rows[: recipe.same]
        sources[: recipe.same // 2] = self.relatives[rows[: recipe.same // 2]]
        targets = self._drawn(rows)
        own, wanted = (self.identities[0][drawn.to(self.device)] for drawn in (rows, sources))
        with fast_precision(self.device):
            painted, kept = self.generator.parts(targets, wanted)
        made = blended(targets, painted, kept)
        losses = self._taught(targets, own, made.detach(), wanted)
        self._descend("critic", losses)
        self.critic.requires_grad_(False)
        price = self._price(targets, made, kept, wanted) | self._identity(made, sources)
        self._descend("generator", price)
        self.critic.requires_grad_(True)
        self._average(number)
        if number % LOOK == 0 or not self._told:
            self._told = {name: float(loss.detach()) for name, loss in (losses | price).items()}
        return self._told

    def _taught(self, real: Tensor, own: Tensor, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """The adversary's losses on real faces, on made ones, and on real ones beside somebody else's embedding."""
        beside = LOUD * torch.cat([own, wanted, own.roll(1, 0)])
        with fast_precision(self.device):
            texture, whole = self.critic(torch.cat([real, made, real]), beside)
        return hinge_losses(texture, whole, len(real))

    def _price(self, targets: Tensor, made: Tensor, kept: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """What the generator pays for pictures that are no photos, or in which the target does something else."""
        recipe, same = self.recipe, self.recipe.same
        with torch.no_grad(), fast_precision(self.device):
            features, points = self.critic.fine(targets), self._points(targets)
        with fast_precision(self.device):
            own_features = self.critic.fine(made)
            texture, whole = self.critic.scores(own_features, LOUD * wanted)
            own_points = self._points(made)
            unlike = self.lpips(made[:same] / 2 + 0.5, targets[:same] / 2 + 0.5)
        return {
            "fool": -(texture.mean() + whole.mean()) / 2,
            "same": recipe.reconstruction * F.l1_loss(made[:same], targets[:same]),
            "seen": recipe.perceptual * unlike.float().mean(),
            "features": recipe.features * (own_features - features).float().abs().mean() / features.abs().mean(),
            "landmarks": recipe.landmarks * F.l1_loss(own_points.float(), points.float()),
            "light": recipe.light * F.l1_loss(F.avg_pool2d(made, 16), F.avg_pool2d(targets, 16)),
            "calm": recipe.calm * ((1 - kept) * self.outside).mean(),
        }

    def _points(self, faces: Tensor) -> Tensor:
        """What faces do: landmarks without the jaw, (N, 51, 2)."""
        framed = reframed(faces / 2 + 0.5, between(TEMPLATE, FRAMING), LANDMARKS_SIZE)
        points: Tensor = self.landmarks(framed)[:, JAW:]
        return points

    def _identity(self, made: Tensor, sources: Tensor) -> dict[str, Tensor]:
        """How far the readers find the made faces from their sources, in a frame that differs a little every time."""
        losses = {}
        for reader, known, weight in zip(self.readers, self.identities, self.recipe.identity, strict=True):
            differing = FRAMES.shift * (2 * torch.rand(2, 3, generator=self.random) - 1)
            faces = reframed(made / 2 + 0.5, between(TEMPLATE, reader.framing) + differing, reader.size)
            with fast_precision(self.device):
                read = reader(faces)[:, 0].float()
            losses[reader.name] = weight * (1 - F.cosine_similarity(read, known[sources.to(self.device)])).mean()
        return losses

    @torch.no_grad()
    def sheet(self, faces: Tensor) -> Tensor:
        """Target, source, swap, for faces (N, 3, s, s) in [-1, 1], each with the next one's: (N, 3, 3, 128, 128)."""
        portraits = faces.to(self.device) / 2 + 0.5
        reader, sources = self.readers[0], portraits.roll(-1, 0)
        wanted = reader(reframed(sources, between(PORTRAIT, reader.framing), reader.size))[:, 0]
        targets, sources = (2 * reframed(x, between(PORTRAIT, TEMPLATE), SIZE) - 1 for x in (portraits, sources))
        return torch.stack([targets, sources, self.average(targets, wanted)], dim=1).cpu()


def relatives(persons: Sequence[str]) -> Tensor:
    """For each row the next one of the same person, or itself where there is none or nobody knows: (N,)."""
    rows: dict[str, list[int]] = {}
    for row, person in enumerate(persons):
        rows.setdefault(person or f" {row}", []).append(row)
    following = torch.arange(len(persons))
    for own in rows.values():
        following[own] = torch.tensor(own[1:] + own[:1])
    return following


@recipes.register("swap")
def swap(data: FaceSet, device: torch.device) -> SwapTraining:
    """The recipe as shipped."""
    return SwapTraining(SwapRecipe(), data, device)
