"""The heads of a student: what it believes that each of its teachers would say of a face.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531): a network of another architecture
learns the answers of others. What fools it as well is no matter of one architecture.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.faces.templates import ARCFACE
from shield.weights import Reading

# Who teaches, and how long their embeddings are. Never the judge: what is searched must not know what it would say.
TEACHERS = {"dlib": 128, "mobilefacenet": 192, "fr_feature": 512}
SIZE = 112
# How students read a face, which they do in training already. Where they draw their line is measured afterwards.
READING = Reading(ARCFACE.name, mean=127.5, scale=127.5, order="rgb", unit=True, same=2.0, judge=False)


class Heads(nn.Module):
    """Features (N, ``features``) to one direction of length 1 per teacher, side by side: (N, sum of ``sizes``).

    The cosine of two such rows is the mean of the teachers' cosines.
    """

    def __init__(self, features: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.linear = nn.Linear(features, sum(sizes))

    def forward(self, features: Tensor) -> Tensor:
        parts = self.linear(features).float().split(self.sizes, dim=1)
        return torch.cat([F.normalize(part, dim=1) for part in parts], dim=1)
