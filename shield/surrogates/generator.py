"""The encoder-bottleneck-decoder network that StarGAN and its relatives share.

Choi et al. 2018, "StarGAN" (arXiv 1711.09020). The layout, names included, is the published one, so that
published checkpoints load strictly.
"""

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """(N, C, H, W) to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.main(x)
        return result


def _normalised(convolution: nn.Module, channels: int) -> list[nn.Module]:
    # No running statistics: InstanceNorm uses the picture's own, whatever mode the module is in.
    return [convolution, nn.InstanceNorm2d(channels, affine=True), nn.ReLU(inplace=True)]


def trunk(width: int, conditions: int, blocks: int) -> list[nn.Module]:
    """Everything before the output convolution: two stride-2 steps down, residual blocks, two steps up."""
    layers = _normalised(nn.Conv2d(3 + conditions, width, 7, padding=3, bias=False), width)
    for channels in (width, 2 * width):
        down = nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False)
        layers += _normalised(down, 2 * channels)
    layers += [ResidualBlock(4 * width) for _ in range(blocks)]
    for channels in (4 * width, 2 * width):
        up = nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1, bias=False)
        layers += _normalised(up, channels // 2)
    return layers


def with_conditions(faces: Tensor, conditions: Tensor) -> Tensor:
    """Tile the condition vectors (N, C) over the pictures (N, 3, H, W): the network's input (N, 3 + C, H, W)."""
    tiles = conditions[:, :, None, None].expand(-1, -1, *faces.shape[-2:])
    return torch.cat([faces, tiles.to(faces.dtype)], dim=1)


class AttentionGenerator(nn.Module):
    """GANimation's generator (Pumarola et al. 2018, arXiv 1807.09251): StarGAN's trunk with two outputs.

    The colour c (tanh) and the attention a (sigmoid) give y = (1 - a) c + a x: where a is 1 the face is copied.
    """

    def __init__(self, width: int = 64, conditions: int = 17, blocks: int = 6) -> None:
        super().__init__()
        self.main = nn.Sequential(*trunk(width, conditions, blocks))
        self.im_reg = nn.Sequential(nn.Conv2d(width, 3, 7, padding=3, bias=False), nn.Tanh())
        self.im_att = nn.Sequential(nn.Conv2d(width, 1, 7, padding=3, bias=False), nn.Sigmoid())

    def parts(self, faces: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Colour (N, 3, H, W) and attention (N, 1, H, W)."""
        features = self.main(with_conditions(faces, conditions))
        logits, sigmoid = self.im_att[0](features), self.im_att[1]
        # In half precision a sigmoid is soon exactly 1, and has no slope there.
        return self.im_reg(features), sigmoid(logits.float())

    def forward(self, faces: Tensor, conditions: Tensor) -> Tensor:
        colour, attention = self.parts(faces, conditions)
        return blended(faces, colour, attention)


def blended(faces: Tensor, colour: Tensor, attention: Tensor) -> Tensor:
    """The faces where attention is 1, the colour where it is 0."""
    return (1 - attention) * colour + attention * faces


class StarGANGenerator(nn.Module):
    """StarGAN's generator: faces (N, 3, H, W) in [-1, 1] and conditions (N, C) to faces in [-1, 1]."""

    def __init__(self, width: int = 64, conditions: int = 5, blocks: int = 6) -> None:
        super().__init__()
        output = [nn.Conv2d(width, 3, 7, padding=3, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*trunk(width, conditions, blocks), *output)

    def forward(self, faces: Tensor, conditions: Tensor) -> Tensor:
        result: Tensor = self.main(with_conditions(faces, conditions))
        return result
