"""The residual generator that CycleGAN, pix2pix and pix2pixHD share.

Johnson et al. 2016, "Perceptual Losses" (arXiv 1603.08155), with reflection padding. Layers are numbered as published.
"""

import re

from torch import Tensor, nn

from shield.surrogates.published.family import LARGEST_SIZE, MisfitError, Plan, Tensors, dimensions, sides

BLOCK = re.compile(r"model\.(\d+)\.conv_block\.1\.weight")


class ReflectedBlock(nn.Module):
    """(N, C, H, W) to the same shape."""

    def __init__(self, channels: int, affine: bool, dropout: bool) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels, affine=affine),
            nn.ReLU(inplace=True),
            # Dropout moves the numbers of the layers behind it; a surrogate has no use for its randomness.
            *([nn.Identity()] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.conv_block(x)
        return result


class ResNetGenerator(nn.Module):
    """Pictures (N, 3, H, W) in [-1, 1] to the same; ``steps`` down and up by 2 around ``blocks`` residual blocks.

    Convolutions have biases. InstanceNorm works on the picture's own statistics, with weights of its own (``affine``)
    or without.
    """

    def __init__(self, width: int, steps: int, blocks: int, affine: bool = False, dropout: bool = False) -> None:
        super().__init__()

        def normalised(convolution: nn.Module, channels: int) -> list[nn.Module]:
            return [convolution, nn.InstanceNorm2d(channels, affine=affine), nn.ReLU(inplace=True)]

        widths = [width * 2**step for step in range(steps + 1)]
        layers = [nn.ReflectionPad2d(3), *normalised(nn.Conv2d(3, width, 7), width)]
        for channels in widths[:-1]:
            layers += normalised(nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1), 2 * channels)
        layers += [ReflectedBlock(widths[-1], affine, dropout) for _ in range(blocks)]
        for channels in widths[:0:-1]:
            up = nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=1)
            layers += normalised(up, channels // 2)
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def forward(self, faces: Tensor, conditions: Tensor | None = None) -> Tensor:
        """``conditions`` are for other networks; this one knows one edit."""
        result: Tensor = self.model(faces)
        return result


def first_block(tensors: Tensors) -> int:
    """The number of the layer that is the first residual block. Raises MisfitError where there is none."""
    blocks = [int(match[1]) for match in map(BLOCK.fullmatch, tensors) if match]
    if not blocks:
        raise MisfitError("it has no residual blocks, such as model.10.conv_block.1.weight")
    return min(blocks)


def resnet(tensors: Tensors, steps: int) -> Plan:
    """The generator whose sizes the tensors have, without conditions. Raises MisfitError."""
    width, inputs = dimensions(tensors, "model.1.weight")[:2]
    if inputs != 3:
        raise MisfitError(f"its model.1.weight takes {inputs} channels, expected the 3 of a photo")
    if "model.1.bias" not in tensors:
        raise MisfitError(
            "it has no model.1.bias, as with BatchNorm, expected convolutions with biases and InstanceNorm"
        )
    multiple = 2**steps
    suitable = sides(multiple, smallest=2 * multiple)  # reflection wants two pixels in the innermost layers
    if steps < 1 or not suitable:
        raise MisfitError(f"its pictures are halved {steps} times, expected once at least, and up to {LARGEST_SIZE} px")
    affine = "model.2.weight" in tensors
    # Without dropout the second convolution is number 5, and number 6 its normalisation, if that has weights.
    dropout = f"model.{first_block(tensors)}.conv_block.5.weight" not in tensors
    blocks = sum(BLOCK.fullmatch(key) is not None for key in tensors)
    return Plan(ResNetGenerator(width, steps, blocks, affine, dropout), 0, suitable)
