"""What StarGAN and its relatives share in their files: the trunk's sizes and the conditions of CelebA and RaFD."""

import re
from typing import NamedTuple

from shield.surrogates.published.family import Edits, MisfitError, Tensors, dimensions, numbered, one_at_a_time
from shield.surrogates.stargan import EDITS as CELEBA

BLOCK = re.compile(r"main\.\d+\.main\.0\.weight")
# In the order of StarGAN's second data set, which takes its folders by the alphabet.
RAFD = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")


class Sizes(NamedTuple):
    """The arguments of ``shield.surrogates.generator.trunk``."""

    width: int
    conditions: int
    blocks: int


def trunk_sizes(tensors: Tensors) -> Sizes:
    """Sizes read off the tensors. Raises MisfitError."""
    width, inputs = dimensions(tensors, "main.0.weight")[:2]
    if inputs <= 3:
        raise MisfitError(f"its main.0.weight takes {inputs} channels, expected 3 and at least one condition")
    return Sizes(width, inputs - 3, sum(BLOCK.fullmatch(key) is not None for key in tensors))


def edits_for(conditions: int) -> Edits:
    """CelebA's five attributes, RaFD's eight expressions, or every condition by itself."""
    if conditions == 5:
        return CELEBA
    return one_at_a_time(RAFD if conditions == len(RAFD) else numbered(conditions))
