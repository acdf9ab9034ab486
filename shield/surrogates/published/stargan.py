"""StarGAN as published: yunjey/stargan (Choi et al. 2018, arXiv 1711.09020)."""

from torch import nn

from shield.surrogates.generator import StarGANGenerator
from shield.surrogates.published.family import Edits, Family, Tensors, families
from shield.surrogates.published.trunk import edits_for, trunk_sizes


def build(tensors: Tensors) -> tuple[nn.Module, Edits]:
    sizes = trunk_sizes(tensors)
    return StarGANGenerator(*sizes), edits_for(sizes.conditions)


STARGAN = families.register("stargan")(
    Family("StarGAN", "MIT", "Face manipulator: hair colour, sex, age.", size=128, multiple=4, build=build)
)
