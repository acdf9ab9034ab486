"""A surrogate that is asked for some of its edits only."""

from collections.abc import Sequence

from torch import Tensor

from shield.surrogates.surrogate import Selective, Surrogate


class Chosen:
    """Some rows of what any surrogate gives."""

    def __init__(self, surrogate: Surrogate, edits: Sequence[str]) -> None:
        self.surrogate, self.edits = surrogate, tuple(edits)
        self.rows = [surrogate.edits.index(edit) for edit in edits]
        self.name, self.size, self.framing = surrogate.name, surrogate.size, surrogate.framing
        self.licence, self.threshold = surrogate.licence, surrogate.threshold
        self.makes_pictures = surrogate.makes_pictures

    def __call__(self, faces: Tensor) -> Tensor:
        return self.surrogate(faces)[:, self.rows]

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        return self.surrogate.distance(results, clean)


def chosen(surrogate: Surrogate, edits: Sequence[str]) -> Surrogate:
    """The surrogate with these of its edits, in this order; one that can then computes no others."""
    if tuple(edits) == surrogate.edits:
        return surrogate
    return surrogate.only(edits) if isinstance(surrogate, Selective) else Chosen(surrogate, edits)
