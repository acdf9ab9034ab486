"""A student of the kind that recognisers in use are: ArcFace's improved residual network, 18 layers, narrow.

Deng et al. 2019, "ArcFace" (arXiv 1801.07698), after Han et al. 2017 (arXiv 1610.02915): no activation after the
addition, batch normalisation before the first convolution, PReLU, full resolution until the first block.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from shield.surrogates.recognisers.heads import SIZE, TEACHERS, Heads

WIDTHS = (32, 64, 160, 320)  # channels of the four stages
BLOCKS = 2  # in each
MIXED = 48  # channels that are left before the places of a face are told apart
FEATURES = 320
STRIDES = 2 ** len(WIDTHS)


class Block(nn.Module):
    """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.main(x) + self.shortcut(x)
        return result


class IResNet(nn.Module):
    """Faces (N, 3, 112, 112), RGB in [-1, 1], to embeddings (N, sum of ``sizes``), see ``Heads``."""

    def __init__(self, sizes: Sequence[int] = tuple(TEACHERS.values()), widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        first, last = widths[0], widths[-1]
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first))
        blocks = []
        for inputs, outputs in zip((first, *widths), widths, strict=False):
            blocks += [Block(inputs, outputs, 2), *(Block(outputs, outputs, 1) for _ in range(BLOCKS - 1))]
        self.body = nn.Sequential(*blocks)
        self.features = nn.Sequential(
            nn.BatchNorm2d(last),
            nn.Conv2d(last, MIXED, 1, bias=False),
            nn.Flatten(),
            nn.Linear(MIXED * (SIZE // STRIDES) ** 2, FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES),
        )
        self.heads = Heads(FEATURES, sizes)

    def forward(self, faces: Tensor) -> Tensor:
        embeddings: Tensor = self.heads(self.features(self.body(self.stem(faces))))
        return embeddings
