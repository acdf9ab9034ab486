"""The residual block (He et al. 2015, arXiv 1512.03385) of the small classifiers that are trained for shield."""

from torch import Tensor, nn
from torch.nn import functional as F


class ResidualDown(nn.Module):
    """Two convolutions: (N, inputs, H, W) to (N, outputs, H / 2, W / 2), rounded up."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.main(x) + self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True)))
