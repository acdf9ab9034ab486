"""The published networks of Wang et al. 2020 (arXiv 1912.11035): blur_jpg_prob0.1.pth and blur_jpg_prob0.5.pth."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import resnet50

from shield.errors import WeightsError
from shield.surrogates.published import read_checkpoint

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


class WangNet(nn.Module):
    """torchvision's ResNet-50 of one logit: pictures (N, 3, h, w), RGB in [0, 1], of any size to logits (N,)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, resnet: nn.Module) -> None:
        super().__init__()
        self.resnet = resnet
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.resnet((pictures - self.mean) / self.deviation)
        return logits[:, 0]


def load_wang(path: Path) -> WangNet:
    """The network in a file as its authors publish it: float32, evaluation mode, frozen.

    Raises InputError where the file cannot be read, WeightsError where it is not a whole checkpoint of this network.
    """
    tensors = read_checkpoint(path).tensors
    with torch.device("meta"):  # random weights would cost a second, and nobody wants them
        resnet = resnet50(weights=None, num_classes=1)
    try:
        resnet.load_state_dict({key: _whole(value) for key, value in tensors.items()}, assign=True)
    except RuntimeError as error:
        words = str(error).partition("\n\t")[2].partition("\n")[0]
        raise WeightsError(
            f"{path} does not hold the ResNet-50 of Wang et al. with one output ({words or error}); "
            "give a file such as blur_jpg_prob0.5.pth."
        ) from error
    return WangNet(resnet).eval().requires_grad_(False)


def _whole(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
