"""The face recogniser as a surrogate: a face swap that reads the photo must not get your identity from it.

dlib's recogniser calls two pictures the same person where their embeddings lie within 0.6 (King 2017).
"""

import torch
from torch import Tensor, nn

from shield.faces import Framing
from shield.objectives import squared_distance
from shield.surrogates.recogniser_net import SIZE, load_recogniser
from shield.surrogates.surrogate import surrogates
from shield.weights import manifest

SAME_PERSON = 0.6
FRAMING = Framing(side=0.65, down=0.06)


class Identity(nn.Module):
    """Faces in [0, 1] to their embeddings (N, 1, 128). Distances are squared: their gradient is defined at 0."""

    name = "identity"
    size = SIZE
    framing = FRAMING
    edits: tuple[str, ...] = ("recognise",)
    threshold = SAME_PERSON**2
    makes_pictures = False

    def __init__(self, network: nn.Module, licence: str) -> None:
        super().__init__()
        self.network, self.licence = network, licence

    def forward(self, faces: Tensor) -> Tensor:
        embeddings: Tensor = self.network(faces)
        return embeddings[:, None]

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        return squared_distance(results, clean)


@surrogates.register("identity")
def load_identity(device: torch.device) -> Identity:
    """The recogniser of models/."""
    surrogate = Identity(load_recogniser(), manifest()["identity"].licence)
    return surrogate.eval().requires_grad_(False).to(device)
