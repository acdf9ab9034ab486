"""LPIPS: how different two pictures look to a network that was fitted to people's judgements.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (arXiv 1801.03924),
version 0.1, net alex: the heads of the lpips package over the trunk in models/. Nothing is downloaded.
"""

import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from shield.errors import WeightsError
from shield.photo import shrink, to_unit
from shield.weights import load_tensors

HEADS = Path("weights", "v0.1", "alex.pth")  # in the lpips package


class Lpips(nn.Module):
    """The LPIPS distance, its features open so that an original's are computed once."""

    def __init__(self) -> None:
        super().__init__()
        import lpips  # here, because it brings torchvision: a second that no start of the program need pay

        # Shapes alone: the package makes all of AlexNet, 240 MB, and keeps the trunk, which is 10.
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")  # it does so by arguments of old
            self.net = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False)
        self.net.scaling_layer, self._unit = lpips.ScalingLayer(), lpips.normalize_tensor
        heads = Path(lpips.__file__).parent / HEADS
        self.net.load_state_dict(torch.load(heads, "cpu", weights_only=True), strict=False, assign=True)
        self._load_trunk(load_tensors("lpips_alexnet"))
        self.eval().requires_grad_(False)

    def _load_trunk(self, tensors: dict[str, Tensor]) -> None:
        # The package cuts the trunk into slices that keep torchvision's layer numbers.
        layers = nn.Sequential()
        for part in self.net.net.children():
            for number, layer in part.named_children():
                layers.add_module(number, layer)
        try:
            layers.load_state_dict({name: value.float() for name, value in tensors.items()}, assign=True)
        except RuntimeError as error:
            raise WeightsError(f"lpips_alexnet is not AlexNet's trunk: {error}") from error

    def features(self, image: Tensor) -> Iterator[Tensor]:
        """Unit-length features of (N, 3, H, W) in [0, 1], layer by layer, each computed when it is asked for."""
        layer = self.net.scaling_layer(2 * image - 1)
        for part in self.net.net.children():
            layer = part(layer)
            yield self._unit(layer)  # type: ignore[no-untyped-call,unused-ignore]

    def between(self, one: Iterable[Tensor], other: Iterable[Tensor]) -> Tensor:
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
    """The picture (N, 3, H, W), levels or in [0, 1], with its long side at most ``side`` px, in [0, 1]."""
    height, width = image.shape[-2:]
    scale = side / max(height, width)
    if scale >= 1:
        return to_unit(image)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return shrink(image, size)
