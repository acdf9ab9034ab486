"""AttGAN as published: elvisyjlin/AttGAN-PyTorch (He et al. 2019, arXiv 1711.10678)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from shield.faces import Framing
from shield.surrogates.generator import with_conditions
from shield.surrogates.published.conditions import Conditions, Edits
from shield.surrogates.published.family import Family, MisfitError, Plan, Tensors, dimensions, families, sides

ATTRIBUTES = (
    "bald",
    "bangs",
    "black hair",
    "blond hair",
    "brown hair",
    "bushy eyebrows",
    "eyeglasses",
    "male",
    "mouth open",
    "moustache",
    "no beard",
    "pale",
    "young",
)
STRENGTH, EDITED = 0.5, 1.0  # an attribute is there (+) or not (-); the one that is edited counts double
# The attribute that is edited, then the others that a face is said to have.
EDITS_OF = {
    "black hair, male, young": ("black hair", "male", "no beard", "young"),
    "blond hair, female, young": ("blond hair", "no beard", "young"),
    "bald, male, old": ("bald", "male", "no beard"),
    "eyeglasses, female, old": ("eyeglasses", "brown hair", "no beard"),
    "moustache, male, young": ("moustache", "brown hair", "male", "young"),
    "mouth open, female, young": ("mouth open", "black hair", "no beard", "young"),
}
ENCODER = (1, 2, 4, 8, 16)  # channels of the layers, in units of the first one's
DECODER = (16, 8, 4, 2)  # the last layer is not among them: it has the 3 of a picture
CROP = 170 / 178  # the authors cut 170 px out of CelebA, StarGAN's 178


def vector(edited: str, *there: str) -> tuple[float, ...]:
    """The published attributes of a face with those in ``there`` and with the one that is edited."""
    return tuple(EDITED if name == edited else STRENGTH if name in there else -STRENGTH for name in ATTRIBUTES)


EDITS: Edits = {edit: vector(*words) for edit, words in EDITS_OF.items()}
CONDITIONS = Conditions(published={len(ATTRIBUTES): EDITS}, present=EDITED, absent=-STRENGTH)


class Layer(nn.Module):
    """A convolution of stride 2, BatchNorm unless the convolution has a bias, and an activation."""

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, activation: nn.Module) -> None:
        super().__init__()
        from torchvision.ops import FrozenBatchNorm2d  # here: it costs a second that no start of the program need pay

        norms = [FrozenBatchNorm2d(convolution.out_channels)] if convolution.bias is None else []
        self.layers = nn.Sequential(convolution, *norms, activation)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x)
        return result


class AttGANGenerator(nn.Module):
    """Faces (N, 3, H, W) in [-1, 1] and attributes (N, A) to faces in [-1, 1].

    With width w the encoder's layers have w, 2w, 4w, 8w and 16w channels, each layer half as large as the one before;
    the decoder's have 16w, 8w, 4w, 2w and 3, each twice as large. The decoder's layer 0 sees the encoder's last and the
    attributes: 16w + A channels. Its layer i sees the o channels of layer i - 1, with i <= ``shortcuts`` the encoder's
    layer of the same size as well, o / 2 channels, and with i <= ``injections`` the attributes again, A channels. At
    w = 64, A = 13, one shortcut and one injection the layers see 1037, 1549, 512, 256 and 128 channels.
    """

    def __init__(self, width: int, attributes: int, shortcuts: int, injections: int) -> None:
        super().__init__()
        self.shortcuts, self.injections = shortcuts, injections
        widths = [3, *(width * factor for factor in ENCODER)]
        outputs = [width * factor for factor in DECODER]
        inputs = [widths[-1] + attributes]
        for i, channels in enumerate(outputs):
            inputs.append(channels + (i < shortcuts) * (channels // 2) + (i < injections) * attributes)
        self.enc_layers = nn.ModuleList(
            Layer(nn.Conv2d(seen, made, 4, stride=2, padding=1, bias=False), nn.LeakyReLU())
            for seen, made in pairwise(widths)
        )
        self.dec_layers = nn.ModuleList(
            Layer(nn.ConvTranspose2d(seen, made, 4, stride=2, padding=1, bias=False), nn.ReLU())
            for seen, made in zip(inputs[:-1], outputs, strict=True)
        )
        self.dec_layers.append(Layer(nn.ConvTranspose2d(inputs[-1], 3, 4, stride=2, padding=1), nn.Tanh()))

    def forward(self, faces: Tensor, conditions: Tensor) -> Tensor:
        codes = [faces]
        for layer in self.enc_layers:
            codes.append(layer(codes[-1]))
        x = with_conditions(codes.pop(), conditions)  # (N, 16 w + A, H / 32, W / 32)
        for i, layer in enumerate(self.dec_layers):
            x = layer(x)
            if i < self.shortcuts:
                x = torch.cat([x, codes[-1 - i]], dim=1)
            if i < self.injections:
                x = with_conditions(x, conditions)
        return x


def build(tensors: Tensors) -> Plan:
    width = dimensions(tensors, "enc_layers.0.layers.0.weight")[0]
    attributes = dimensions(tensors, "dec_layers.0.layers.0.weight")[0] - ENCODER[-1] * width
    if attributes < 1:
        raise MisfitError(
            f"its decoder sees {attributes} channels more than its encoder makes, expected the attributes"
        )
    shortcuts = injections = 0
    for i, factor in enumerate(DECODER):
        made = factor * width
        more = dimensions(tensors, f"dec_layers.{i + 1}.layers.0.weight")[0] - made
        shortcuts += more in (made // 2, made // 2 + attributes)
        injections += more in (attributes, made // 2 + attributes)
    return Plan(AttGANGenerator(width, attributes, shortcuts, injections), attributes, sides(2 ** len(ENCODER)))


ATTGAN = families.register("attgan")(
    Family(
        "AttGAN",
        "MIT",
        "Face manipulator",
        size=128,
        build=build,
        conditions=CONDITIONS,
        statistics=True,
        framing=Framing(side=CROP),
    )
)
