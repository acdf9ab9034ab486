"""SPADE / GauGAN: a face painted anew by its mask (Park et al. 2019, arXiv 1903.07291).

The generator and the style encoder in NVlabs/SPADE's layout, in one file under ``painter.`` and ``encoder.``; the
mask is drawn from landmarks, which an edit moves first. NVIDIA's own files paint streets and landscapes from masks of
other classes; those are refused.

Differs where a code of 256 numbers cannot keep a person: the mask comes with the photo's own colours at a quarter of
the size, as published masks come with the outlines of things. Brows and mouth, those of the photo and those asked for,
are left out of them: edits paint these anew.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.faces.landmarks import landmark_network, portrait_points
from shield.faces.masks import CLASSES, Move, face_masks, moved
from shield.surrogates.published.conditions import Conditions, Edits
from shield.surrogates.published.family import Family, MisfitError, Plan, Tensors, dimensions, families

SIZE = 128
CODE = 256  # numbers of a style
WIDTH, WIDEST = 24, 160  # channels of the generator's last block, and at most (as published: 16 times the last)
HIDDEN = 48  # channels between a mask and what it scales (as published: 128)
ENCODER_WIDTH = 24
FIRST = 4  # px: what the generator begins with, and what the encoder ends with
COARSE = 32  # px: the side of the photo's colours; of 16, recognisers know nobody
SLOPE = 0.2
MOMENTUM = 0.1  # how fast stored statistics follow a batch's
TOLD = CLASSES.index("brows")  # colours are told of the classes before it
MAP = len(CLASSES) + 3  # channels

CONDITIONS = ("opening", "smile", "brows")  # of a Move
# How the landmarks move, by the conditions.
EDITS: Edits = {"open mouth": (0.35, 0, 0), "smile": (0.08, 0.16, 0), "raised brows": (0, 0, 0.12)}


class ParameterFree(nn.Module):
    """BatchNorm without weights of its own; (N, C, h, w) to the same shape."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        means, variances = self.running_mean, self.running_var
        # Given all the same: torch's kernels for half precision beside float32 statistics are made for weights.
        ones, zeros = torch.ones_like(means), torch.zeros_like(means)
        return F.batch_norm(x, means, variances, ones, zeros, self.training, MOMENTUM)


class Spade(nn.Module):
    """Normalisation, scaled and shifted pixel by pixel as the map says; (N, C, h, w) to the same shape."""

    def __init__(self, channels: int, hidden: int, labels: int) -> None:
        super().__init__()
        self.param_free_norm = ParameterFree(channels)
        self.mlp_shared = nn.Sequential(nn.Conv2d(labels, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        shared = self.mlp_shared(labels)
        result: Tensor = self.param_free_norm(x) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)
        return result


class SpadeBlock(nn.Module):
    """(N, inputs, h, w) to (N, outputs, h, w), by a map (N, K, s, s)."""

    def __init__(self, inputs: int, outputs: int, hidden: int, labels: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = nn.Conv2d(inputs, middle, 3, padding=1)
        self.conv_1 = nn.Conv2d(middle, outputs, 3, padding=1)
        self.norm_0 = Spade(inputs, hidden, labels)
        self.norm_1 = Spade(middle, hidden, labels)
        self.reshapes = inputs != outputs
        if self.reshapes:
            self.conv_s = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.norm_s = Spade(inputs, hidden, labels)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        labels = F.interpolate(labels, size=x.shape[-2:])
        change = self.conv_0(F.leaky_relu(self.norm_0(x, labels), SLOPE))
        change = self.conv_1(F.leaky_relu(self.norm_1(change, labels), SLOPE))
        kept = self.conv_s(self.norm_s(x, labels)) if self.reshapes else x
        result: Tensor = kept + change
        return result


class SpadeGenerator(nn.Module):
    """Codes (N, 256) and maps (N, K, 128, 128) to pictures (N, 3, 128, 128) in [-1, 1]."""

    def __init__(self, width: int, widest: int, hidden: int, labels: int) -> None:
        super().__init__()
        wide, *narrower = (min(width * 2**step, widest) for step in (4, 3, 2, 1, 0))
        self.fc = nn.Linear(CODE, wide * FIRST**2)
        self.head_0 = SpadeBlock(wide, wide, hidden, labels)
        self.G_middle_0 = SpadeBlock(wide, wide, hidden, labels)
        self.G_middle_1 = SpadeBlock(wide, wide, hidden, labels)
        self.up_0 = SpadeBlock(wide, narrower[0], hidden, labels)
        self.up_1 = SpadeBlock(narrower[0], narrower[1], hidden, labels)
        self.up_2 = SpadeBlock(narrower[1], narrower[2], hidden, labels)
        self.up_3 = SpadeBlock(narrower[2], narrower[3], hidden, labels)
        self.conv_img = nn.Conv2d(narrower[3], 3, 3, padding=1)

    def forward(self, codes: Tensor, labels: Tensor) -> Tensor:
        x = self.head_0(self.fc(codes).view(len(codes), -1, FIRST, FIRST), labels)
        x = self.G_middle_0(_doubled(x), labels)  # 8 px
        x = self.G_middle_1(x, labels)
        for block in (self.up_0, self.up_1, self.up_2, self.up_3):
            x = block(_doubled(x), labels)  # 16, 32, 64, 128 px
        result: Tensor = self.conv_img(F.leaky_relu(x, SLOPE)).tanh()
        return result


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0)


class StyleEncoder(nn.Module):
    """Pictures (N, 3, 128, 128) in [-1, 1] to the mean and the logarithm of the variance of their codes, (N, 256)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [3, width, 2 * width, 4 * width, 8 * width, 8 * width]

        def halving(number: int) -> nn.Sequential:
            convolution = nn.Conv2d(channels[number - 1], channels[number], 3, stride=2, padding=1, bias=False)
            return nn.Sequential(convolution, nn.InstanceNorm2d(channels[number]))

        self.layer1, self.layer2, self.layer3 = halving(1), halving(2), halving(3)
        self.layer4, self.layer5 = halving(4), halving(5)
        self.fc_mu = nn.Linear(8 * width * FIRST**2, CODE)
        self.fc_var = nn.Linear(8 * width * FIRST**2, CODE)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        x = pictures
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4, self.layer5):
            x = F.leaky_relu(layer(x), SLOPE)
        x = x.flatten(1)
        return self.fc_mu(x), self.fc_var(x)


class SpadeNet(nn.Module):
    """Faces (N, 3, 128, 128) in [-1, 1], painted by where their landmarks go: to the same shape."""

    def __init__(
        self, width: int = WIDTH, widest: int = WIDEST, hidden: int = HIDDEN, encoder_width: int = ENCODER_WIDTH
    ) -> None:
        super().__init__()
        self.painter = SpadeGenerator(width, widest, hidden, MAP)
        self.encoder = StyleEncoder(encoder_width)

    def forward(self, faces: Tensor, conditions: Tensor) -> Tensor:
        """``conditions``: opening, smile and brows of a Move, (N, 3).

        No gradient leads through the landmarks, as none leads through a parser of faces that says classes.
        """
        points = portrait_points(landmark_network(faces.device), (faces.detach() + 1) / 2)
        asked = moved(points, Move(*conditions.to(points).split(1, dim=1)))
        before, masks = (face_masks(drawn, faces.shape[-1]).to(faces.dtype) for drawn in (points, asked))
        codes: Tensor = self.encoder(faces)[0]
        result: Tensor = self.painter(codes, with_colours(faces, masks, before))
        return result


def with_colours(faces: Tensor, masks: Tensor, others: Tensor) -> Tensor:
    """Masks (N, K, s, s), and the faces' colours where neither they nor others have brows or mouths: (N, K + 3, s, s).

    ``others``: before the landmarks moved, where the faces still show what was there.
    """
    colours = F.adaptive_avg_pool2d(faces, COARSE)
    colours = F.interpolate(colours, size=masks.shape[-2:], mode="bilinear", align_corners=False)
    told = masks[:, :TOLD].sum(1, keepdim=True) * others[:, :TOLD].sum(1, keepdim=True)
    return torch.cat([masks, colours * told], dim=1)


def build(tensors: Tensors) -> Plan:
    """The network whose sizes the tensors have. Raises MisfitError."""
    if "head_0.conv_0.weight" in tensors:
        raise MisfitError("it is a generator alone, expected its encoder beside it: under painter. and encoder.")
    hidden, labels = dimensions(tensors, "painter.head_0.norm_0.mlp_shared.0.weight")[:2]
    if labels != MAP:
        raise MisfitError(f"its masks have {labels} channels, expected {len(CLASSES)} classes of faces and 3 colours")
    width = dimensions(tensors, "painter.conv_img.weight")[1]
    widest = dimensions(tensors, "painter.fc.weight", 2)[0] // FIRST**2
    encoder_width = dimensions(tensors, "encoder.fc_mu.weight", 2)[1] // (8 * FIRST**2)
    return Plan(SpadeNet(width, widest, hidden, encoder_width), len(CONDITIONS), range(SIZE, SIZE + 1))


MOVES = Conditions(published={len(CONDITIONS): EDITS}, certain=True)
SPADE = families.register("spade")(
    Family("SPADE", "CC BY-NC-SA", "Face manipulator by masks", SIZE, build, MOVES, statistics=True)
)
