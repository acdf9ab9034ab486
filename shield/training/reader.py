"""The reader: beside the critic, it learns the labels of real faces and tells the generator what its faces look like.

StarGAN's critic reads labels itself, and a generator soon finds what that reading hangs on: a colour cast, a harder
contrast. A network of its own, that sees every face shifted and in other light, is not moved by these.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 64
WIDTHS = (32, 64, 128, 192)
GROUPS = 8  # of channels that are normalised together: unlike batches, they let one face alone be read


class Reader(nn.Module):
    """Faces (N, 3, s, s) in [-1, 1], s at least 64, to readings (N, labels)."""

    lessons: Tensor

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.register_buffer("lessons", torch.zeros((), dtype=torch.long))  # had so far
        layers: list[nn.Module] = []
        channels = 3
        for wider in WIDTHS:
            layers += [nn.Conv2d(channels, wider, 4, stride=2, padding=1, bias=False)]
            layers += [nn.GroupNorm(GROUPS, wider), nn.ReLU(inplace=True)]
            layers += [nn.Conv2d(wider, wider, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, wider)]
            layers += [nn.ReLU(inplace=True)]
            channels = wider
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(channels * (SIZE // 2 ** len(WIDTHS)) ** 2, labels)

    def forward(self, faces: Tensor) -> Tensor:
        readings: Tensor = self.fc(self.features(F.adaptive_avg_pool2d(faces, SIZE)).flatten(1))
        return readings
