"""What StarGAN and its relatives share in their files: the trunk's sizes and the conditions of CelebA and RaFD."""

import re
from typing import NamedTuple

from shield.surrogates.published.conditions import Conditions, Edits
from shield.surrogates.published.family import MisfitError, Tensors, dimensions

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
EXPRESSIONS = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
RAFD: Edits = {name: tuple(float(name == other) for other in EXPRESSIONS) for name in EXPRESSIONS}
# Trained on both, a network takes the attributes of the first, those of the second, and which of the two is meant.
BOTH: Edits = {name: (*vector, *[0] * len(EXPRESSIONS), 1, 0) for name, vector in CELEBA.items()} | {
    name: (*[0] * 5, *vector, 0, 1) for name, vector in RAFD.items()
}
ATTRIBUTES = Conditions(published={5: CELEBA, 8: RAFD, 15: BOTH}, masked={15: (5, 8)})
MULTIPLE = 4  # px: two steps down by 2


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
