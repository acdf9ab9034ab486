"""A student that sees a face as patches: a vision transformer behind a few convolutions.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (arXiv 2010.11929); the convolutions of Xiao et al. 2021,
"Early Convolutions Help Transformers See Better" (arXiv 2106.14881), because its lessons are short.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.surrogates.recognisers.heads import SIZE, TEACHERS, Heads

PATCH = 8  # px, one of the three halvings of the stem each
WIDTH = 192  # numbers of a patch
HEADS = 6  # of attention
LAYERS = 8
MIXED = 16  # numbers of a patch that are left before the places of a face are told apart
FEATURES = 256


class Layer(nn.Module):
    """Patches (N, P, width) to the same shape: each asks all others, then thinks for itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ask = nn.LayerNorm(width)
        self.questions = nn.Linear(width, 3 * width)
        self.answers = nn.Linear(width, width)
        self.think = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        count, patches, width = x.shape
        parts = self.questions(self.ask(x)).view(count, patches, 3, HEADS, width // HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (N, heads, P, width / heads) each
        seen = F.scaled_dot_product_attention(query, key, value)
        x = x + self.answers(seen.transpose(1, 2).reshape(count, patches, width))
        result: Tensor = x + self.think(x)
        return result


class FaceTransformer(nn.Module):
    """Faces (N, 3, 112, 112), RGB in [-1, 1], to embeddings (N, sum of ``sizes``), see ``Heads``."""

    def __init__(
        self, sizes: Sequence[int] = tuple(TEACHERS.values()), width: int = WIDTH, layers: int = LAYERS
    ) -> None:
        super().__init__()
        patches = (SIZE // PATCH) ** 2
        self.stem = nn.Sequential(
            *_halving(3, width // 4), *_halving(width // 4, width // 2), *_halving(width // 2, width)
        )
        self.places = nn.Parameter(0.02 * torch.randn(1, patches, width))
        self.layers = nn.Sequential(*(Layer(width) for _ in range(layers)))
        self.features = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, MIXED),
            nn.Flatten(),
            nn.Linear(MIXED * patches, FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES),
        )
        self.heads = Heads(FEATURES, sizes)

    def forward(self, faces: Tensor) -> Tensor:
        patches = self.stem(faces).flatten(2).transpose(1, 2) + self.places  # (N, P, width)
        embeddings: Tensor = self.heads(self.features(self.layers(patches)))
        return embeddings


def _halving(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.GELU()
