"""False identities: one made-up face per person, towards which all photos of that person are moved.

Each protected photo alone may be far from the person, and yet whoever averages several comes near again: what differs
between them cancels, what they share of the person stays. So photos of one person are moved towards one and the same
other face. Random numbers would name another direction in the space of every recogniser, and no face's in any; a
made-up face is a mixture of the faces of people who do not exist, mixed alike for every recogniser, so that all of them
are pulled towards one person, and with them those that nobody asked.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import torch
from torch import Tensor

from shield.errors import RecipeError, WeightsError
from shield.faces import warp, whole_picture
from shield.objectives import Measure
from shield.surrogates import Surrogate
from shield.weights import load_tensors

MODEL, TENSOR = "persons", "faces"  # of models/: those who do not exist, in portrait framing
KEY = re.compile(r"key-[0-9a-f]{4}")
# So short a digest fits the names of many people: it names a false identity, and does not tell whose.
DIGITS = 4
TOWARDS = 1 / 3  # how much the way to the made-up face counts beside that from the person
NEAR = 0.25  # of a recogniser's line: the least way to a made-up face that looks like the person by chance
SALT, COST = b"shield: a false identity", {"n": 2**14, "r": 8, "p": 1}


def key_of(name: str) -> str:
    """The key of a person's false identity: "key-" and four digits, which stand for the name and do not contain it.

    Capitals and spaces make no difference; a key is its own. Raises RecipeError for a name of nothing, or what is none.
    """
    if not isinstance(name, str):
        raise RecipeError(f"The person is {name!r}; give a name.")
    if KEY.fullmatch(name):
        return name
    plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    if not plain:
        raise RecipeError("The person has no name; give any word that you will give for all photos of this person.")
    return "key-" + hashlib.scrypt(plain.encode(errors="replace"), salt=SALT, **COST).hex()[:DIGITS]


@torch.no_grad()
def nobodies(recogniser: Surrogate, device: torch.device) -> Tensor:
    """The embeddings (N, 1, D) of people who do not exist. Raises WeightsError where models/ lacks their faces."""
    faces = load_tensors(MODEL).get(TENSOR)
    if faces is None or faces.ndim != 4 or faces.shape[1] != 3:
        raise WeightsError(f"The weights of {MODEL!r} hold no faces; install shield again.")
    frame = whole_picture(faces.shape[-1], faces.shape[-2])
    return recogniser(warp(faces.to(device), frame, recogniser.size, recogniser.framing)).float()


def made_up(embeddings: Tensor, key: str) -> Tensor:
    """The embedding (1, 1, D) of a key's made-up face, mixed of ``embeddings`` (N, 1, D) as the key says.

    It is as far from their mean as they are, and as long as they are.
    """
    mean = embeddings.mean(0, keepdim=True)
    apart = embeddings - mean
    draws = Random(key)
    weights = torch.tensor([draws.gauss(0, 1) for _ in embeddings]).to(embeddings)[:, None, None]
    mixed = (weights * apart).sum(0, keepdim=True)
    made: Tensor = mean + mixed * (apart.norm(dim=2).mean() / mixed.norm())
    length: Tensor = embeddings.norm(dim=2).mean() / made.norm()
    return made * length


@dataclass(frozen=True)
class Towards:
    """An objective by which recognisers are to take the face for a made-up one, and no longer for the person's.

    Two columns of a recogniser's measure: how far it is from the clean face, beyond 1 another's, and how far on its way
    to where it is taken for the made-up one, in shares of TOWARDS. Manipulators are measured by ``objective``.
    """

    objective: Callable[[Surrogate, Tensor], Measure]
    key: str
    _made: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @torch.no_grad()
    def __call__(self, surrogate: Surrogate, crop: Tensor) -> Measure:
        if surrogate.makes_pictures:
            return self.objective(surrogate, crop)
        made, clean, line = self._made_up(surrogate, crop.device), surrogate(crop).float(), surrogate.threshold
        before = surrogate.distance(clean, made)
        way = (before - line).clamp(min=NEAR * line)

        def measure(changed: Tensor) -> Tensor:
            results = surrogate(changed).float()
            away, gone = surrogate.distance(results, clean) / line, before - surrogate.distance(results, made)
            return torch.cat([away, TOWARDS * gone / way], dim=1)

        return measure

    def _made_up(self, recogniser: Surrogate, device: torch.device) -> Tensor:
        if recogniser.name not in self._made:
            self._made[recogniser.name] = made_up(nobodies(recogniser, device), self.key)
        return self._made[recogniser.name]
