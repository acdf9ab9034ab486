"""The attribute network: what a viewer would say of a face (hair colour, sex, age, smile, ...), trained for shield.

A small ResNet (He et al. 2015, arXiv 1512.03385) for CelebA's attributes (Liu et al. 2015, arXiv 1411.7766). It judges
the manipulators' work and has no part in their training.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from shield.faces.residual import ResidualDown
from shield.weights import load_network

SIZE = 64
WIDTHS = (24, 48, 96, 160)
ATTRIBUTES = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young", "Smiling", "Eyeglasses", "Gray_Hair")
COLOURS = 3  # the first attributes exclude one another
OPPOSITES = {"female": "male", "old": "young"}
_COLUMNS = {name.lower().replace("_", " "): column for column, name in enumerate(ATTRIBUTES)}
WORDS = frozenset({*_COLUMNS, *OPPOSITES})  # that a viewer has for a face


class AttributeNet(nn.Module):
    """Faces (N, 3, s, s) in portrait framing, RGB in [0, 1], s at least 64, to logits (N, 8) of ``ATTRIBUTES``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True)
        )
        pairs = zip(WIDTHS, (*WIDTHS[1:], WIDTHS[-1]), strict=True)
        self.blocks = nn.Sequential(*(ResidualDown(*pair) for pair in pairs))
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(WIDTHS[-1], len(ATTRIBUTES))

    def forward(self, faces: Tensor) -> Tensor:
        x = 2 * F.adaptive_avg_pool2d(faces, SIZE) - 1
        x = self.blocks(self.stem(x)).mean(dim=(2, 3))  # (N, 160)
        logits: Tensor = self.fc(self.dropout(x))
        return logits


def described(logits: Tensor, word: str) -> Tensor:
    """Whether a viewer would use a word of ``WORDS`` for faces with these logits (N, 8): (N,), yes or no."""
    if word in OPPOSITES:
        return ~described(logits, OPPOSITES[word])
    column = _COLUMNS[word]
    return logits[:, :COLOURS].argmax(1) == column if column < COLOURS else logits[:, column] > 0


def load_attributes() -> AttributeNet:
    """The attribute network of models/: float32, evaluation mode, frozen.

    Raises WeightsError where the file is missing, altered or does not fit the network exactly.
    """
    return load_network(AttributeNet, "attributes", "the attribute network")
