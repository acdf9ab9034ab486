"""The encoder before StyleGAN2: a photo's styles, so that the generator can make another picture of it.

In the manner of pSp (Richardson et al. 2021, arXiv 2008.00951) and e4e (Tov et al. 2021, arXiv 2102.02766): a small
residual network says how far each layer's style is from the mean style. With it come the directions of edits
(Shen et al. 2020, "InterFaceGAN", arXiv 1907.10786): what added to a face's styles changes one attribute.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.generators.stylegan2 import CHANNELS, STYLE

LAYERS = 2 * len(CHANNELS)
WIDTHS = (48, 96, 160, 224, 224)  # channels at 64, 32, 16, 8 and 4 px
EDITS = ("young", "male", "smiling")
GROUPS = 8


class Residual(nn.Module):
    """(N, inputs, h, w) to (N, outputs, h / 2, w / 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(GROUPS, inputs),
            nn.SiLU(),
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            nn.GroupNorm(GROUPS, outputs),
            nn.SiLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.short = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x) + self.short(F.avg_pool2d(x, 2))
        return result


class Directions(nn.Module):
    """Per edit the way from styles without the attribute to styles with it, (layers, D); 0 where nobody fitted it."""

    def __init__(self, layers: int, style: int) -> None:
        super().__init__()
        for name in EDITS:
            self.register_buffer(name, torch.zeros(layers, style))


class StyleEncoder(nn.Module):
    """Faces (N, 3, s, s) in [-1, 1] to styles (N, layers, D); s is 4 times 2 per further entry of ``widths``."""

    mean: Tensor

    def __init__(self, layers: int = LAYERS, style: int = STYLE, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.shape = layers, style
        self.begin = nn.Conv2d(3, widths[0], 3, padding=1)
        self.trunk = nn.Sequential(*(Residual(a, b) for a, b in pairwise(widths)))
        self.common = nn.Linear(16 * widths[-1], style)
        self.own = nn.Linear(style, layers * style)
        self.register_buffer("mean", torch.zeros(style))
        self.directions = Directions(layers, style)

    def forward(self, faces: Tensor) -> Tensor:
        common = self.common(F.silu(self.trunk(self.begin(faces))).flatten(1))
        own = self.own(F.silu(common)).view(-1, *self.shape)
        result: Tensor = self.mean + common.float()[:, None] + own.float()
        return result
