"""The network that says whether a face was made by a generator.

After Wang et al. 2020, "CNN-generated images are surprisingly easy to spot... for now" (arXiv 1912.11035): a ResNet (He
et al. 2015, arXiv 1512.03385) of one logit, here a narrow one. What up-sampling leaves is fine and faint, so that the
first layer keeps every pixel, and beside the picture stands its high-pass residual (Fridrich and Kodovsky 2012).
"""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.faces.residual import ResidualDown
from shield.weights import load_network

SIZE = 128  # px: of the faces it is trained on
STEM = 16
GAIN = 8.0  # of the residual: its values are a tenth of the picture's
WIDTHS = (24, 48, 96, 160)


class DetectorNet(nn.Module):
    """Faces (N, 3, s, s) in portrait framing, RGB in [0, 1], s at least 32, to logits (N,): above 0 for made ones."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(6, STEM, 3, padding=1, bias=False), nn.BatchNorm2d(STEM), nn.ReLU())
        self.blocks = nn.Sequential(*map(ResidualDown, (STEM, *WIDTHS), WIDTHS))
        self.fc = nn.Linear(2 * WIDTHS[-1], 1)

    def forward(self, faces: Tensor) -> Tensor:
        smooth = F.avg_pool2d(F.pad(faces, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
        x = torch.cat([2 * faces - 1, GAIN * (faces - smooth)], dim=1)  # (N, 6, s, s)
        x = self.blocks(self.stem(x))
        # A generator leaves its traces all over a picture, or in the one place that it changed.
        logits: Tensor = self.fc(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1))  # (N, 320) to (N, 1)
        return logits[:, 0]


@lru_cache(maxsize=1)
def load_detector() -> DetectorNet:
    """The network of models/: float32, evaluation mode, frozen.

    Raises WeightsError where the file is missing, altered or does not fit the network exactly.
    """
    return load_network(DetectorNet, "detector", "the detector's network")
