"""dlib's face recognition network: a face to an embedding of 128 numbers.

King 2017, dlib_face_recognition_resnet_model_v1 (public domain): a ResNet-29 (He et al. 2015, arXiv 1512.03385) with
half the filters, trained with a metric loss. Submodules carry the names of the stored keys, so that the weights load
strictly.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 150
MEAN = (122.782, 117.001, 104.298)


class Scale(nn.Module):
    """What training's batch normalisation became: a factor and an offset per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class ScaledConv(nn.Module):
    """A convolution with bias, then its scale."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.scale = Scale(outputs)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.scale(self.conv(x))
        return result


class Residual(nn.Module):
    """(N, C, H, W) to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ScaledConv(channels, channels)
        self.conv2 = ScaledConv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class DownResidual(nn.Module):
    """(N, inputs, H, W) to (N, outputs, H // 2, W // 2); the shortcut has no weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = ScaledConv(inputs, outputs, stride=2, padding=0)
        self.conv2 = ScaledConv(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        main = self.conv2(F.relu(self.conv1(x)))
        shortcut = F.avg_pool2d(x, 2)
        # Without padding, conv1 loses a row and a column wherever the side is even; dlib adds as if they were zero.
        rows, columns = shortcut.shape[-2] - main.shape[-2], shortcut.shape[-1] - main.shape[-1]
        new_channels = main.shape[1] - shortcut.shape[1]
        main = F.pad(main, (0, columns, 0, rows))
        return F.relu(main + F.pad(shortcut, (0, 0, 0, 0, 0, new_channels)))


class RecogniserNet(nn.Module):
    """dlib's ResNet: faces (N, 3, 150, 150), RGB in [0, 1], to embeddings (N, 128), of no fixed length.

    Euclidean distances between embeddings count: below 0.6, two pictures pass for one person's. Differentiable with
    respect to the faces. Raises ValueError for faces of another shape.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.conv32_down = ScaledConv(3, 32, kernel=7, stride=2, padding=0)
        self.conv32_1, self.conv32_2, self.conv32_3 = Residual(32), Residual(32), Residual(32)
        self.conv64_down = DownResidual(32, 64)
        self.conv64_1, self.conv64_2, self.conv64_3 = Residual(64), Residual(64), Residual(64)
        self.conv128_down = DownResidual(64, 128)
        self.conv128_1, self.conv128_2 = Residual(128), Residual(128)
        self.conv256_down = DownResidual(128, 256)
        self.conv256_1, self.conv256_2 = Residual(256), Residual(256)
        self.conv256_down_out = DownResidual(256, 256)
        self.fc = nn.Linear(256, 128, bias=False)

    def forward(self, faces: Tensor) -> Tensor:
        if faces.shape[1:] != (3, SIZE, SIZE):
            raise ValueError(f"faces must be (N, 3, {SIZE}, {SIZE}), not {tuple(faces.shape)}")
        x = (faces * 255 - self.mean) / 256
        x = F.max_pool2d(F.relu(self.conv32_down(x)), 3, 2)  # (N, 32, 35, 35)
        x = self.conv32_3(self.conv32_2(self.conv32_1(x)))
        x = self.conv64_3(self.conv64_2(self.conv64_1(self.conv64_down(x))))  # (N, 64, 17, 17)
        x = self.conv128_2(self.conv128_1(self.conv128_down(x)))  # (N, 128, 8, 8)
        x = self.conv256_2(self.conv256_1(self.conv256_down(x)))  # (N, 256, 4, 4)
        x = self.conv256_down_out(x)  # (N, 256, 2, 2)
        embeddings: Tensor = self.fc(x.mean(dim=(2, 3)))  # (N, 128)
        return embeddings
