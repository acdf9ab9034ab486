"""LPIPS: how different two pictures look to a network that was fitted to people's judgements.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (arXiv 1801.03924),
version 0.1, net alex: the heads of the lpips package over the trunk in models/. Nothing is downloaded.
"""

import warnings
from functools import lru_cache

import lpips
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.errors import WeightsError
from shield.weights import load_tensors

Features = list[Tensor]


class Lpips(nn.Module):
    """The LPIPS distance, its features open so that an original's are computed once."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package builds torchvision's trunk by arguments of old
            self.net = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
        self._load_trunk(load_tensors("lpips_alexnet"))
        self.eval().requires_grad_(False)

    def _load_trunk(self, tensors: dict[str, Tensor]) -> None:
        # The package cuts the trunk into slices that keep torchvision's layer numbers.
        slices = [getattr(self.net.net, f"slice{number}") for number in range(1, 6)]
        layers = nn.Sequential()
        for part in slices:
            for number, layer in part.named_children():
                layers.add_module(number, layer)
        try:
            layers.load_state_dict({name: value.float() for name, value in tensors.items()})
        except RuntimeError as error:
            raise WeightsError(f"lpips_alexnet is not AlexNet's trunk: {error}") from error

    def features(self, image: Tensor) -> Features:
        """Unit-length features of (N, 3, H, W) in [0, 1], one tensor per layer."""
        layers = self.net.net.forward(self.net.scaling_layer(2 * image - 1))
        return [lpips.normalize_tensor(layer) for layer in layers]

    def between(self, one: Features, other: Features) -> Tensor:
        """Distances (N,) between pictures given by their features."""
        layers = zip(one, other, self.net.lins, strict=True)
        parts = [head((a - b) ** 2).mean(dim=(1, 2, 3)) for a, b, head in layers]
        total: Tensor = torch.stack(parts).sum(0)
        return total

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Distances (N,) between pictures (N, 3, H, W) in [0, 1]; 0 for equal ones, about 1 for unlike ones."""
        return self.between(self.features(one), self.features(other))


@lru_cache(maxsize=2)
def load_lpips(device: torch.device) -> Lpips:
    """The network on a device, loaded once."""
    return Lpips().to(device)


def shrink_to(image: Tensor, side: int) -> Tensor:
    """The picture (N, 3, H, W) with its long side at most ``side`` px, anti-aliased."""
    height, width = image.shape[-2:]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return F.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False)
