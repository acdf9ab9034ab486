"""The published networks of Wang et al. 2020 (arXiv 1912.11035): blur_jpg_prob0.1.pth and blur_jpg_prob0.5.pth."""

from pathlib import Path

import torch
from torch import Tensor, nn

from shield.errors import WeightsError
from shield.surrogates.published import read_checkpoint

COUNTER = "num_batches_tracked"  # of BatchNorm; nothing reads it, and not every file holds it
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
    from torchvision.models import resnet50  # here: it costs a second that no start of the program need pay

    tensors = read_checkpoint(path).tensors
    with torch.device("meta"):  # random weights would cost a second, and nobody wants them
        resnet = resnet50(weights=None, num_classes=1)
    expected = resnet.state_dict()
    counters = {key: torch.zeros((), dtype=torch.long) for key in expected if key.endswith(COUNTER)}
    weights = counters | {key: value.float() for key, value in tensors.items() if not key.endswith(COUNTER)}
    wrong = [key for key in expected if key not in weights or weights[key].shape != expected[key].shape]
    if wrong or (wrong := [key for key in weights if key not in expected]):
        raise WeightsError(
            f"{path} is not the ResNet-50 of Wang et al. with one output (its {wrong[0]} is missing, left over or of "
            "another size); give a file such as blur_jpg_prob0.5.pth."
        )
    resnet.load_state_dict(weights, assign=True)
    return WangNet(resnet).eval().requires_grad_(False)
