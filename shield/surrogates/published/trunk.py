"""What StarGAN and its relatives share in their files: the trunk's sizes and the conditions of CelebA and RaFD."""

import re
from typing import NamedTuple

from shield.surrogates.published.family import Edits, MisfitError, Tensors, dimensions, numbered, one_at_a_time

BLOCK = re.compile(r"main\.\d+\.main\.0\.weight")
# Over CelebA's black, blond and brown hair, male, young. A photo comes without labels, so an edit is a fixed target;
# every hair colour meets both sexes and both ages, so that the vectors not listed break as well.
CELEBA: Edits = {
    "black hair, male, young": (1, 0, 0, 1, 1),
    "black hair, female, old": (1, 0, 0, 0, 0),
    "blond hair, female, young": (0, 1, 0, 0, 1),
    "blond hair, male, old": (0, 1, 0, 1, 0),
    "brown hair, female, young": (0, 0, 1, 0, 1),
    "brown hair, male, old": (0, 0, 1, 1, 0),
}
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
