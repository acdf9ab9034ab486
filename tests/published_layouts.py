"""The published networks, spelled out a second time: keys and shapes of their files, and what they compute.

Written from ../shared/CHECKPOINTS.md and bare arithmetic, so that shield's own networks have something to differ from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from test_surrogates import published_layout
from torch import Tensor
from torch.nn import functional as F

from shield.faces.landmarks import load_landmarks, portrait_points
from shield.faces.masks import Move, face_masks, moved
from shield.surrogates.published.spade import with_colours

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
Tensors = Mapping[str, Tensor]


def with_statistics(shapes: Mapping[str, Shape]) -> Shapes:
    """With what a normalisation of PyTorch before 2019 adds to a file."""
    result: Shapes = {}
    for key, shape in shapes.items():
        result[key] = shape
        layer, _, what = key.rpartition(".")
        if what == "weight" and len(shape) == 1:
            result[f"{layer}.running_mean"] = result[f"{layer}.running_var"] = shape
            result[f"{layer}.num_batches_tracked"] = ()
    return result


def stargan(width: int = 64, conditions: int = 5) -> Shapes:
    return with_statistics(published_layout(width, conditions))


def aggan(width: int = 64, conditions: int = 5) -> Shapes:
    return stargan(width, conditions) | {"main.21.weight": (4, width, 7, 7)}


def ganimation(width: int = 64, units: int = 17) -> Shapes:
    trunk = {key: shape for key, shape in stargan(width, units).items() if not key.startswith("main.21.")}
    shapes = trunk | {"im_reg.0.weight": (3, width, 7, 7), "im_att.0.weight": (1, width, 7, 7)}
    for number, last in enumerate((2, 8, 14, 20), start=1):
        for key, shape in trunk.items():
            if int(key.split(".")[1]) <= last:
                shapes[key.replace("main", f"debug{number}", 1)] = shape
    return shapes


def first_ganimation(width: int = 64, units: int = 17) -> Shapes:
    """The authors' own: its two outputs are called otherwise, and nothing is repeated."""
    other = {"im_reg.0.weight": "img_reg.0.weight", "im_att.0.weight": "attetion_reg.0.weight"}
    shapes = ganimation(width, units)
    return {other.get(key, key): shape for key, shape in shapes.items() if not key.startswith("debug")}


def resnet(width: int = 64, downs: int = 2, inputs: int = 3, affine: bool = False, dropout: bool = False) -> Shapes:
    shapes: Shapes = {}

    def convolution(key: str, first: int, second: int, kernel: int, bias: int) -> None:
        shapes[f"{key}.weight"], shapes[f"{key}.bias"] = (first, second, kernel, kernel), (bias,)

    def norm(key: str, channels: int) -> None:
        if affine:
            shapes[f"{key}.weight"] = shapes[f"{key}.bias"] = (channels,)

    convolution("model.1", width, inputs, 7, width)
    norm("model.2", width)
    for down in range(downs):
        channels = width * 2**down
        convolution(f"model.{4 + 3 * down}", 2 * channels, channels, 3, 2 * channels)
        norm(f"model.{5 + 3 * down}", 2 * channels)
    first, channels = 4 + 3 * downs, width * 2**downs
    second = 6 if dropout else 5
    for block in range(first, first + 9):
        for place in (1, second):
            convolution(f"model.{block}.conv_block.{place}", channels, channels, 3, channels)
            norm(f"model.{block}.conv_block.{place + 1}", channels)
    for up in range(downs):
        convolution(f"model.{first + 9 + 3 * up}", channels, channels // 2, 3, channels // 2)  # transposed
        norm(f"model.{first + 10 + 3 * up}", channels // 2)
        channels //= 2
    convolution(f"model.{first + 10 + 3 * downs}", 3, width, 7, 3)
    return shapes


def attgan(width: int = 64, attributes: int = 13, injections: int = 0) -> Shapes:
    w, a = width, attributes
    shapes: Shapes = {}
    channels = [3, w, 2 * w, 4 * w, 8 * w, 16 * w]
    for i in range(5):
        shapes[f"enc_layers.{i}.layers.0.weight"] = (channels[i + 1], channels[i], 4, 4)
        shapes[f"enc_layers.{i}.layers.1.weight"] = shapes[f"enc_layers.{i}.layers.1.bias"] = (channels[i + 1],)
    seen, made = (16 * w + a, 16 * w + 8 * w + a * injections, 8 * w, 4 * w, 2 * w), (16 * w, 8 * w, 4 * w, 2 * w, 3)
    for i in range(5):
        shapes[f"dec_layers.{i}.layers.0.weight"] = (seen[i], made[i], 4, 4)
        if i < 4:
            shapes[f"dec_layers.{i}.layers.1.weight"] = shapes[f"dec_layers.{i}.layers.1.bias"] = (made[i],)
    shapes["dec_layers.4.layers.0.bias"] = (3,)
    return with_statistics(shapes)


def spade(width: int = 64, classes: int = 10, plain: bool = False) -> Shapes:
    """Generator and encoder in one file; ``plain``: without the spectral norm that published files have."""
    shapes: Shapes = {}
    hidden = 2 * width

    def convolution(key: str, outputs: int, inputs: int, kernel: int = 3, bias: bool = True) -> None:
        shapes[f"{key}.weight"] = (outputs, inputs, kernel, kernel)
        if bias:
            shapes[f"{key}.bias"] = (outputs,)

    def spectral(key: str, outputs: int, inputs: int, kernel: int = 3, bias: bool = True) -> None:
        convolution(key, outputs, inputs, kernel, bias)
        if not plain:
            shapes[f"{key}.weight_orig"] = shapes.pop(f"{key}.weight")
            shapes[f"{key}.weight_u"], shapes[f"{key}.weight_v"] = (outputs,), (inputs * kernel**2,)

    def norm(key: str, channels: int) -> None:
        shapes[f"{key}.param_free_norm.running_mean"] = shapes[f"{key}.param_free_norm.running_var"] = (channels,)
        shapes[f"{key}.param_free_norm.num_batches_tracked"] = ()
        convolution(f"{key}.mlp_shared.0", hidden, classes)
        convolution(f"{key}.mlp_gamma", channels, hidden)
        convolution(f"{key}.mlp_beta", channels, hidden)

    wide = 16 * width
    shapes["painter.fc.weight"], shapes["painter.fc.bias"] = (wide * 16, 256), (wide * 16,)
    for name, inputs, outputs in spade_blocks(width):
        key, middle = f"painter.{name}", min(inputs, outputs)
        spectral(f"{key}.conv_0", middle, inputs)
        spectral(f"{key}.conv_1", outputs, middle)
        norm(f"{key}.norm_0", inputs)
        norm(f"{key}.norm_1", middle)
        if inputs != outputs:
            spectral(f"{key}.conv_s", outputs, inputs, 1, bias=False)
            norm(f"{key}.norm_s", inputs)
    convolution("painter.conv_img", 3, width)
    for number, (inputs, outputs) in enumerate(((3, 1), (1, 2), (2, 4), (4, 8), (8, 8)), start=1):
        key, inputs = f"encoder.layer{number}.0", inputs if number == 1 else inputs * width
        spectral(key, outputs * width, inputs, bias=False)
    for name in ("fc_mu", "fc_var"):
        shapes[f"encoder.{name}.weight"], shapes[f"encoder.{name}.bias"] = (256, 8 * width * 16), (256,)
    return shapes


def spade_blocks(width: int) -> list[tuple[str, int, int]]:
    """Names, inputs and outputs."""
    wide = 16 * width
    blocks = [(name, wide, wide) for name in ("head_0", "G_middle_0", "G_middle_1")]
    return [*blocks, *((f"up_{up}", wide >> up, wide >> (up + 1)) for up in range(4))]


def random_weights(shapes: Mapping[str, Shape], seed: int = 0) -> dict[str, Tensor]:
    """Weights that float16 holds exactly and under which no layer falls silent; the statistics are far from neutral."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for key, shape in shapes.items():
        what = key.rpartition(".")[2]
        noise = torch.randn(shape, generator=generator)
        if what == "num_batches_tracked":
            tensors[key] = torch.tensor(7)
        elif what == "running_var":
            tensors[key] = 0.5 + noise.abs()
        elif len(shape) == 1:
            tensors[key] = (what == "weight") + 0.2 * noise
        else:
            tensors[key] = noise * (1.5 / noise[0].numel()) ** 0.5
    tensors = {key: value.half().float() if value.is_floating_point() else value for key, value in tensors.items()}
    for key in [key for key in tensors if key.endswith("weight_orig")]:
        # What spectral norm divides by is a number of W that leaves quotients which float16 holds exactly as well.
        tensors[key].flatten(1)[1, 2] = 2
        weight = key.removesuffix("_orig")
        for part, place in (("_u", 1), ("_v", 2)):
            tensors[weight + part] = F.one_hot(torch.tensor(place), len(tensors[weight + part])).float()
    for key in tensors:
        if key.startswith("debug"):  # the same module under another name
            tensors[key] = tensors["main." + key.partition(".")[2]]
    return tensors


# What they compute, for faces in [-1, 1]


def normalised(x: Tensor, tensors: Tensors, key: str) -> Tensor:
    return F.instance_norm(x, weight=tensors.get(f"{key}.weight"), bias=tensors.get(f"{key}.bias"))


def trunk_results(tensors: Tensors, faces: Tensor, conditions: Tensor) -> Tensor:
    tiles = conditions[:, :, None, None].repeat(1, 1, *faces.shape[2:])
    x = F.conv2d(torch.cat([faces, tiles], 1), tensors["main.0.weight"], padding=3)
    x = F.relu(normalised(x, tensors, "main.1"))
    for place in (3, 6):
        x = F.conv2d(x, tensors[f"main.{place}.weight"], stride=2, padding=1)
        x = F.relu(normalised(x, tensors, f"main.{place + 1}"))
    for block in range(9, 15):
        key = f"main.{block}.main"
        y = F.relu(normalised(F.conv2d(x, tensors[f"{key}.0.weight"], padding=1), tensors, f"{key}.1"))
        x = x + normalised(F.conv2d(y, tensors[f"{key}.3.weight"], padding=1), tensors, f"{key}.4")
    for place in (15, 18):
        x = F.conv_transpose2d(x, tensors[f"main.{place}.weight"], stride=2, padding=1)
        x = F.relu(normalised(x, tensors, f"main.{place + 1}"))
    return x


def stargan_results(tensors: Tensors, faces: Tensor, conditions: Tensor) -> Tensor:
    return F.conv2d(trunk_results(tensors, faces, conditions), tensors["main.21.weight"], padding=3).tanh()


def aggan_results(tensors: Tensors, faces: Tensor, conditions: Tensor) -> Tensor:
    out = F.conv2d(trunk_results(tensors, faces, conditions), tensors["main.21.weight"], padding=3)
    a = torch.sigmoid(out[:, :1])
    return (a * out[:, 1:] + (1 - a) * faces).clamp(-1, 1)


def ganimation_results(
    tensors: Tensors, faces: Tensor, conditions: Tensor, colour: str = "im_reg", attention: str = "im_att"
) -> Tensor:
    features = trunk_results(tensors, faces, conditions)
    att = torch.sigmoid(F.conv2d(features, tensors[f"{attention}.0.weight"], padding=3))
    reg = torch.tanh(F.conv2d(features, tensors[f"{colour}.0.weight"], padding=3))
    return (1 - att) * reg + att * faces


first_ganimation_results = partial(ganimation_results, colour="img_reg", attention="attetion_reg")


def resnet_results(tensors: Tensors, faces: Tensor, downs: int, dropout: bool = False) -> Tensor:
    def convolved(x: Tensor, key: str, pad: int, stride: int = 1) -> Tensor:
        mode = "reflect" if stride == 1 else "constant"
        padded = F.pad(x, (pad,) * 4, mode=mode)
        return F.conv2d(padded, tensors[f"{key}.weight"], tensors[f"{key}.bias"], stride)

    x = F.relu(normalised(convolved(faces, "model.1", 3), tensors, "model.2"))
    place = 4
    for _ in range(downs):
        x = F.relu(normalised(convolved(x, f"model.{place}", 1, stride=2), tensors, f"model.{place + 1}"))
        place += 3
    second = 6 if dropout else 5
    for block in range(place, place + 9):
        key = f"model.{block}.conv_block"
        y = F.relu(normalised(convolved(x, f"{key}.1", 1), tensors, f"{key}.2"))
        x = x + normalised(convolved(y, f"{key}.{second}", 1), tensors, f"{key}.{second + 1}")
    place += 9
    for _ in range(downs):
        weight, bias = tensors[f"model.{place}.weight"], tensors[f"model.{place}.bias"]
        x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)
        x = F.relu(normalised(x, tensors, f"model.{place + 1}"))
        place += 3
    return convolved(x, f"model.{place + 1}", 3).tanh()


def cyclegan_results(tensors: Tensors, faces: Tensor, conditions: Tensor) -> Tensor:
    return resnet_results(tensors, faces, 2, dropout="model.10.conv_block.5.weight" not in tensors)


def pix2pixhd_results(tensors: Tensors, faces: Tensor, conditions: Tensor, downs: int = 4) -> Tensor:
    return resnet_results(tensors, faces, downs)


def attgan_results(tensors: Tensors, faces: Tensor, conditions: Tensor) -> Tensor:
    def normal(x: Tensor, key: str) -> Tensor:
        mean, variance = tensors[f"{key}.running_mean"], tensors[f"{key}.running_var"]
        return F.batch_norm(x, mean, variance, tensors[f"{key}.weight"], tensors[f"{key}.bias"])

    def beside(x: Tensor) -> Tensor:
        return torch.cat([x, conditions[:, :, None, None].repeat(1, 1, *x.shape[2:])], 1)

    x, codes = faces, []
    for i in range(5):
        key = f"enc_layers.{i}.layers"
        x = F.leaky_relu(normal(F.conv2d(x, tensors[f"{key}.0.weight"], stride=2, padding=1), f"{key}.1"), 0.01)
        codes.append(x)
    x = beside(x)
    for i in range(4):
        key = f"dec_layers.{i}.layers"
        x = F.relu(normal(F.conv_transpose2d(x, tensors[f"{key}.0.weight"], stride=2, padding=1), f"{key}.1"))
        if i == 0:
            x = torch.cat([x, codes[3]], 1)
            if tensors["dec_layers.1.layers.0.weight"].shape[0] > x.shape[1]:
                x = beside(x)
    weight, bias = tensors["dec_layers.4.layers.0.weight"], tensors["dec_layers.4.layers.0.bias"]
    return F.conv_transpose2d(x, weight, bias, stride=2, padding=1).tanh()


def spade_results(tensors: Tensors, faces: Tensor, conditions: Tensor) -> Tensor:
    def convolved(x: Tensor, key: str, stride: int = 1) -> Tensor:
        if f"{key}.weight" in tensors:
            weight = tensors[f"{key}.weight"]
        else:
            whole = tensors[f"{key}.weight_orig"]
            weight = whole / torch.einsum(
                "o,oi,i->", tensors[f"{key}.weight_u"], whole.flatten(1), tensors[f"{key}.weight_v"]
            )
        return F.conv2d(x, weight, tensors.get(f"{key}.bias"), stride, padding=weight.shape[-1] // 2)

    def normal(x: Tensor, key: str, labels: Tensor) -> Tensor:
        mean, variance = (tensors[f"{key}.param_free_norm.running_{what}"] for what in ("mean", "var"))
        plain = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        shared = F.relu(convolved(labels, f"{key}.mlp_shared.0"))
        return plain * (1 + convolved(shared, f"{key}.mlp_gamma")) + convolved(shared, f"{key}.mlp_beta")

    def leaky(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    points = portrait_points(load_landmarks(), faces / 2 + 0.5)
    opening, smile, brows = conditions[0].tolist()
    before, masks = (face_masks(moved(points, move), 128) for move in (Move(), Move(opening, smile, brows)))
    asked = with_colours(faces, masks, before)
    x = faces
    for number in range(1, 6):
        x = leaky(F.instance_norm(convolved(x, f"encoder.layer{number}.0", stride=2)))
    codes = F.linear(x.flatten(1), tensors["encoder.fc_mu.weight"], tensors["encoder.fc_mu.bias"])
    x = F.linear(codes, tensors["painter.fc.weight"], tensors["painter.fc.bias"]).view(len(faces), -1, 4, 4)
    for name in ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3"):
        key = f"painter.{name}"
        if name not in ("head_0", "G_middle_1"):  # which come at the size of the block before, as published
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        labels = asked[:, :, :: 128 // x.shape[2], :: 128 // x.shape[3]]
        y = convolved(leaky(normal(x, f"{key}.norm_0", labels)), f"{key}.conv_0")
        y = convolved(leaky(normal(y, f"{key}.norm_1", labels)), f"{key}.conv_1")
        if f"{key}.norm_s.mlp_beta.bias" in tensors:
            x = convolved(normal(x, f"{key}.norm_s", labels), f"{key}.conv_s")
        x = x + y
    return convolved(leaky(x), "painter.conv_img").tanh()


@dataclass(frozen=True)
class Published:
    """One published layout at a width of its choice, and what it computes."""

    family: str
    layout: Callable[[int], Shapes]
    results: Callable[[Tensors, Tensor, Tensor], Tensor]
    size: int = 32  # of the smallest pictures that it can be given


PUBLISHED = {
    "stargan": Published("stargan", stargan, stargan_results),
    "stargan, RaFD": Published("stargan", lambda width: stargan(width, 8), stargan_results),
    "stargan, two data sets": Published("stargan", lambda width: stargan(width, 15), stargan_results),
    "aggan": Published("aggan", aggan, aggan_results),
    "ganimation": Published("ganimation", ganimation, ganimation_results),
    "ganimation, the first": Published("ganimation", first_ganimation, first_ganimation_results),
    "cyclegan": Published("cyclegan", resnet, cyclegan_results),
    "cyclegan, affine": Published("cyclegan", lambda width: resnet(width, affine=True), cyclegan_results),
    "cyclegan, affine, statistics": Published(
        "cyclegan", lambda width: with_statistics(resnet(width, affine=True)), cyclegan_results
    ),
    "pix2pix, dropout": Published("cyclegan", lambda width: resnet(width, dropout=True), cyclegan_results),
    "pix2pix, dropout, affine": Published(
        "cyclegan", lambda width: resnet(width, affine=True, dropout=True), cyclegan_results
    ),
    "pix2pixhd": Published("pix2pixhd", lambda width: resnet(width, downs=4), pix2pixhd_results),
    **{
        f"pix2pixhd, {downs} deep": Published(
            "pix2pixhd",
            partial(resnet, downs=downs),
            partial(pix2pixhd_results, downs=downs),
            size=max(32, 2 ** (downs + 1)),
        )
        for downs in (1, 2, 3, 5)
    },
    "attgan": Published("attgan", attgan, attgan_results),
    "attgan, injected": Published("attgan", lambda width: attgan(width, injections=1), attgan_results),
    "spade": Published("spade", spade, spade_results, size=128),
    "spade, plain": Published("spade", partial(spade, plain=True), spade_results, size=128),
}
