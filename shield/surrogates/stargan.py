"""StarGAN: one generator for hair colour, sex and age (Choi et al. 2018, arXiv 1711.09020)."""

import torch
from torch import Tensor, nn

from shield.errors import WeightsError
from shield.faces import PORTRAIT
from shield.objectives import l2
from shield.surrogates.generator import StarGANGenerator
from shield.surrogates.surrogate import surrogates
from shield.weights import load_tensors, manifest

# Condition vectors over black, blond, brown hair, male, young. A photo comes without labels, so an edit is a fixed
# target; every hair colour meets both sexes and both ages, so that the vectors not listed break as well.
EDITS = {
    "black hair, male, young": (1, 0, 0, 1, 1),
    "black hair, female, old": (1, 0, 0, 0, 0),
    "blond hair, female, young": (0, 1, 0, 0, 1),
    "blond hair, male, old": (0, 1, 0, 1, 0),
    "brown hair, female, young": (0, 0, 1, 0, 1),
    "brown hair, male, old": (0, 0, 1, 1, 0),
}


def generator_from(tensors: dict[str, Tensor]) -> StarGANGenerator:
    """The network in the published layout, its widths read off the tensors' shapes.

    Raises WeightsError where a tensor is missing, left over or of another shape.
    """
    try:
        width, inputs = tensors["main.0.weight"].shape[:2]
        if inputs < 3:
            raise KeyError(f"main.0.weight takes {inputs} channels")
        blocks = sum(name.endswith(".main.0.weight") for name in tensors)
        generator = StarGANGenerator(width, inputs - 3, blocks)
        generator.load_state_dict({name: value.float() for name, value in tensors.items()})
    except (KeyError, RuntimeError, ValueError) as error:
        raise WeightsError(f"These are not the weights of a StarGAN generator: {error}") from error
    return generator


class StarGAN(nn.Module):
    """The generator with named edits: every edit of every face in one batch."""

    threshold = 0.05  # l2, Ruiz et al. 2020
    makes_pictures = True
    framing = PORTRAIT

    conditions: Tensor

    def __init__(self, name: str, generator: StarGANGenerator, size: int, licence: str) -> None:
        super().__init__()
        self.name, self.size, self.licence = name, size, licence
        self.edits = tuple(EDITS)
        self.generator = generator
        self.register_buffer("conditions", torch.tensor(list(EDITS.values()), dtype=torch.float32))

    def forward(self, faces: Tensor) -> Tensor:
        count, edits = len(faces), len(self.conditions)
        repeated = (2 * faces - 1).repeat_interleave(edits, 0)  # (N E, 3, s, s): a face's edits lie together
        results: Tensor = self.generator(repeated, self.conditions.repeat(count, 1))
        return results.view(count, edits, *results.shape[1:])

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        return l2(results, clean)


@surrogates.register("stargan")
def load_stargan(device: torch.device) -> StarGAN:
    """The StarGAN of models/, trained for shield."""
    generator = generator_from(load_tensors("stargan"))
    entry = manifest()["stargan"]
    surrogate = StarGAN("stargan", generator, entry.size, entry.licence)
    return surrogate.eval().requires_grad_(False).to(device)
