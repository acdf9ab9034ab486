"""FaceNet: a face recogniser of the Inception kind, a face to a direction of 512 numbers.

Schroff et al. 2015, "FaceNet" (arXiv 1503.03832), in the form that is in use: an Inception-ResNet v1 (Szegedy et al.
2016, arXiv 1602.07261) that learned to tell the persons of VGGFace2 apart. Batch normalisation is part of the
convolutions, whose weights are stored as whole numbers.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 160
NUMBERS = 512
STORED = "stored", "unit"  # a convolution's weights as int8, and what one of these is worth, by output channel


class Conv(nn.Conv2d):
    """A convolution with its batch normalisation in it, and ReLU where ``active``.

    State may hold its weights as whole numbers, ``stored`` (int8) times ``unit`` (outputs,).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        same: bool = True,
        active: bool = True,
    ) -> None:
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (high // 2, wide // 2) if same else (0, 0)
        super().__init__(inputs, outputs, (high, wide), stride, padding)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        result = super().forward(x)
        return F.relu(result) if self.active else result

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        stored, unit = (prefix + name for name in STORED)
        if stored in state_dict:
            factor = state_dict.pop(unit).float()[:, None, None, None]
            state_dict[prefix + "weight"] = state_dict.pop(stored).float() * factor
        super()._load_from_state_dict(state_dict, prefix, *others)


class Block(nn.Module):
    """Branches side by side, mixed by a convolution of one pixel and added, ``scale`` times, to what came in."""

    def __init__(self, channels: int, branches: list[nn.Sequential], width: int, scale: float, active: bool = True):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.up = Conv(width * len(branches), channels, active=False)
        self.scale, self.active = scale, active

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.up(torch.cat([branch(x) for branch in self.branches], dim=1))
        result: Tensor = x + self.scale * mixed
        return F.relu(result) if self.active else result


class Reduction(nn.Module):
    """Branches side by side, with the largest values beside them: half the height and width."""

    def __init__(self, branches: list[nn.Sequential]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([*(branch(x) for branch in self.branches), F.max_pool2d(x, 3, 2)], dim=1)


def block35() -> Block:
    """At 17 x 17."""
    return Block(
        256,
        [
            nn.Sequential(Conv(256, 32)),
            nn.Sequential(Conv(256, 32), Conv(32, 32, 3)),
            nn.Sequential(Conv(256, 32), Conv(32, 32, 3), Conv(32, 32, 3)),
        ],
        32,
        0.17,
    )


def block17() -> Block:
    """At 8 x 8."""
    tall = nn.Sequential(Conv(896, 128), Conv(128, 128, (1, 7)), Conv(128, 128, (7, 1)))
    return Block(896, [nn.Sequential(Conv(896, 128)), tall], 128, 0.10)


def block8(scale: float = 0.20, active: bool = True) -> Block:
    """At 3 x 3."""
    tall = nn.Sequential(Conv(1792, 192), Conv(192, 192, (1, 3)), Conv(192, 192, (3, 1)))
    return Block(1792, [nn.Sequential(Conv(1792, 192)), tall], 192, scale, active)


class FaceNet(nn.Module):
    """Faces (N, 3, 160, 160), RGB in [-1, 1], to embeddings (N, 512), of no fixed length."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            Conv(3, 32, 3, 2, same=False),
            Conv(32, 32, 3, same=False),
            Conv(32, 64, 3),
            nn.MaxPool2d(3, 2),
            Conv(64, 80),
            Conv(80, 192, 3, same=False),
            Conv(192, 256, 3, 2, same=False),  # (N, 256, 17, 17)
        )
        self.body = nn.Sequential(
            *(block35() for _ in range(5)),
            Reduction(
                [
                    nn.Sequential(Conv(256, 384, 3, 2, same=False)),
                    nn.Sequential(Conv(256, 192), Conv(192, 192, 3), Conv(192, 256, 3, 2, same=False)),
                ]
            ),  # (N, 896, 8, 8)
            *(block17() for _ in range(10)),
            Reduction(
                [
                    nn.Sequential(Conv(896, 256), Conv(256, 384, 3, 2, same=False)),
                    nn.Sequential(Conv(896, 256), Conv(256, 256, 3, 2, same=False)),
                    nn.Sequential(Conv(896, 256), Conv(256, 256, 3), Conv(256, 256, 3, 2, same=False)),
                ]
            ),  # (N, 1792, 3, 3)
            *(block8() for _ in range(5)),
            block8(1.0, active=False),
        )
        self.features = Conv(1792, NUMBERS, active=False)

    def forward(self, faces: Tensor) -> Tensor:
        if faces.shape[1:] != (3, SIZE, SIZE):
            raise ValueError(f"faces must be (N, 3, {SIZE}, {SIZE}), not {tuple(faces.shape)}")
        pooled = self.body(self.stem(faces)).mean(dim=(2, 3), keepdim=True)
        embeddings: Tensor = self.features(pooled).flatten(1)
        return embeddings
