"""StarGAN as published: yunjey/stargan (Choi et al. 2018, arXiv 1711.09020)."""

from shield.surrogates.generator import StarGANGenerator
from shield.surrogates.published.family import Family, Plan, Tensors, families, sides
from shield.surrogates.published.trunk import ATTRIBUTES, MULTIPLE, trunk_sizes


def build(tensors: Tensors) -> Plan:
    sizes = trunk_sizes(tensors)
    return Plan(StarGANGenerator(*sizes), sizes.conditions, sides(MULTIPLE))


STARGAN = families.register("stargan")(Family("StarGAN", "MIT", "Face manipulator", 128, build, ATTRIBUTES))
