"""The 68-point landmark network of face-api: a face to the points of its jaw, brows, nose, eyes and mouth.

Mühler 2018, face-api.js (MIT), face_landmark_68_model: dense blocks (after Huang et al. 2017, arXiv 1608.06993) of
depthwise-separable convolutions. Submodules carry the names of the stored keys, so that weights load strictly.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from shield.faces.face import Face, crop_matrix, whole_picture
from shield.faces.sampling import warp
from shield.faces.templates import Framing, transformed
from shield.weights import load_network

SIZE = 112
FRAMING = Framing(side=0.70, down=0.05)
POINTS = 68
# The network's answers lie one px of its input too far left: those for 1,592 faces and for their mirror images are
# 2.07 to 2.14 px apart in the mean; and about as far too high, against where CenterFace sees the points.
BIAS = 1.04 / SIZE
MEAN = (122.782, 117.001, 104.298)
CPU = torch.device("cpu")


def _pad_same(x: Tensor, stride: int) -> Tensor:
    # TensorFlow's "same" for 3x3 kernels and even sides: a stride of 2 lacks one row and column, which go last.
    return F.pad(x, (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1))


class FullConv(nn.Conv2d):
    """An ordinary 3x3 convolution of stride 2: (N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(_pad_same(x, 2))


class SeparableConv(nn.Module):
    """A 3x3 convolution per channel, then a 1x1 across: (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.pointwise(self.depthwise(_pad_same(x, self.stride)))
        return result + self.bias[:, None, None]


class DenseBlock(nn.Module):
    """(N, inputs, H, W) to (N, outputs, H / 2, W / 2); each layer sees the sum of all before it."""

    def __init__(self, inputs: int, outputs: int, first: bool = False) -> None:
        super().__init__()
        self.conv0 = FullConv(inputs, outputs) if first else SeparableConv(inputs, outputs, stride=2)
        self.conv1 = SeparableConv(outputs, outputs)
        self.conv2 = SeparableConv(outputs, outputs)
        self.conv3 = SeparableConv(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        total = F.relu(self.conv0(x))
        for layer in (self.conv1, self.conv2, self.conv3):
            # face-api gives conv1 the first output as it is: a relu of it changes nothing.
            total = total + layer(F.relu(total))
        return F.relu(total)


class LandmarkNet(nn.Module):
    """face-api's network: faces (N, 3, 112, 112), RGB in [0, 1], to points (N, 68, 2).

    A point is (x, y) in fractions of the crop, in the usual order of the 68-point (iBUG) markup; it may lie outside
    [0, 1]. Differentiable with respect to the faces. Raises ValueError for faces of another shape.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.dense0 = DenseBlock(3, 32, first=True)
        self.dense1 = DenseBlock(32, 64)
        self.dense2 = DenseBlock(64, 128)
        self.dense3 = DenseBlock(128, 256)
        self.fc = nn.Linear(256, 2 * POINTS)

    def forward(self, faces: Tensor) -> Tensor:
        if faces.shape[1:] != (3, SIZE, SIZE):
            raise ValueError(f"faces must be (N, 3, {SIZE}, {SIZE}), not {tuple(faces.shape)}")
        x = (faces * 255 - self.mean) / 255
        x = self.dense1(self.dense0(x))  # (N, 64, 28, 28)
        x = self.dense3(self.dense2(x))  # (N, 256, 7, 7)
        x = F.avg_pool2d(x, 7).flatten(1)  # (N, 256)
        points: Tensor = self.fc(x)
        return points.view(len(points), POINTS, 2)  # (N, 68, 2)


def load_landmarks() -> LandmarkNet:
    """The landmark network with its published weights: float32, evaluation mode, frozen.

    Raises WeightsError where the file is missing, altered or does not fit the network exactly.
    """
    return load_network(LandmarkNet, "landmarks68", "the landmark network")


def landmark_network(device: torch.device = CPU) -> LandmarkNet:
    """The landmark network on a device, loaded once, for whoever does not train with it."""
    return _loaded(device)


@lru_cache(maxsize=2)
def _loaded(device: torch.device) -> LandmarkNet:
    return load_landmarks().to(device)


def five_points(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of landmarks (68, 2) the five (5, 2) of an alignment template: the eyes' middles, nose and mouth corners."""
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def portrait_landmarks(network: LandmarkNet, faces: Tensor) -> Tensor:
    """Of faces (N, 3, s, s) in [0, 1], in portrait framing: points (N, 68, 2), in fractions of the side."""
    side = faces.shape[-1]
    points: Tensor = network(warp(faces, whole_picture(side, side), SIZE, FRAMING))
    corner = 0.5 - FRAMING.side / 2
    return FRAMING.side * points + points.new_tensor((corner, corner + FRAMING.down))


@torch.no_grad()
def portrait_points(network: LandmarkNet, faces: Tensor) -> Tensor:
    """The same where they really are, as ``landmarks_of`` has them, for whoever paints or holds something there."""
    return portrait_landmarks(network, faces) + FRAMING.side * BIAS


@torch.no_grad()
def landmarks_of(photo: Tensor, face: Face) -> NDArray[np.float64]:
    """The landmarks of a face (68, 2) in px of its photo (1, 3, H, W), which is in [0, 1] or in levels."""
    points = landmark_network()(warp(photo.cpu(), face, SIZE, FRAMING))[0]
    return transformed(crop_matrix(face, FRAMING), points.double().numpy() + BIAS)
