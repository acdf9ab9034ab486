"""What a family of published networks is, and how its tensors become a surrogate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from shield.errors import WeightsError
from shield.faces import PORTRAIT, Framing, Template
from shield.objectives import l2
from shield.registry import Registry
from shield.surrogates.published.conditions import Conditions, Edits

Tensors = Mapping[str, Tensor]

LEFT_OUT = ("debug", "preprocessing")  # modules of a file that repeat others or only prepare pictures
STATISTICS = ("running_mean", "running_var")
COUNTERS = ("num_batches_tracked", "n_averaged")  # of normalisation and of smoothing
ORIGINAL = "weight_orig"  # under spectral norm
SMALLEST_SIZE, LARGEST_SIZE = 32, 1024  # px: of the pictures that an imported network is given


class MisfitError(Exception):
    """Why tensors are not of a family: the second half of a sentence."""


class Planned(Protocol):
    """What is built of tensors: a network, and what there is to know beside it."""

    @property
    def network(self) -> nn.Module: ...


P = TypeVar("P", bound=Planned)


class Plan(NamedTuple):
    """A network of a file's sizes, its weights still to be loaded.

    ``conditions``: how many it takes; ``sides``: of the pictures that it can be given, in px.
    """

    network: nn.Module
    conditions: int
    sides: range


class Fitted(NamedTuple):
    """A network with the weights of a file, its edits, and the sides of the pictures that it can be given, in px."""

    network: nn.Module
    edits: Edits
    sides: range


@dataclass(frozen=True)
class Family:
    """Networks that share a layout.

    ``what``: what they do, before the names of their edits. ``size``: of the pictures they were trained on, in px.
    ``build``: tensors to a network of their sizes; raises MisfitError. The network takes faces (N, 3, h, w) in [-1, 1]
    and conditions (N, C) and returns faces in [-1, 1]. ``statistics``: the network normalises by statistics stored in
    the file. ``framing``: shield's portrait framing, which is close to the authors' centre crop of CelebA. ``renamed``:
    modules that some files call otherwise, by those names.
    """

    title: str
    licence: str
    what: str
    size: int
    build: Callable[[Tensors], Plan]
    conditions: Conditions
    statistics: bool = False
    framing: Framing = PORTRAIT
    renamed: Mapping[str, str] = field(default_factory=dict)

    def cleaned(self, tensors: Tensors) -> dict[str, Tensor]:
        """The tensors of a file that the network is loaded from.

        InstanceNorm works on the picture's own statistics, so that those of a file go; BatchNorm keeps them. A weight
        under spectral norm (Miyato et al. 2018, arXiv 1802.05957) becomes the one that counts.
        """
        unwanted = COUNTERS if self.statistics else COUNTERS + STATISTICS
        return {
            self._own_name(key): value
            for key, value in without_spectral_norm(tensors).items()
            if not key.startswith(LEFT_OUT) and key.rpartition(".")[2] not in unwanted
        }

    def _own_name(self, key: str) -> str:
        module, dot, rest = key.partition(".")
        return self.renamed.get(module, module) + dot + rest


def without_spectral_norm(tensors: Tensors) -> dict[str, Tensor]:
    """The tensors with W / (u . W v) as ``weight`` where they hold ``weight_orig`` (W), ``weight_u`` and ``weight_v``.

    W counts as a matrix of (outputs, everything else). What does not fit together stays as it is.
    """
    result = dict(tensors)
    for key in [key for key in tensors if key.endswith(ORIGINAL)]:
        weight = key.removesuffix("_orig")
        whole, u, v = tensors[key].float(), tensors.get(weight + "_u"), tensors.get(weight + "_v")
        if u is None or v is None or whole.dim() < 2:
            continue
        if u.numel() != len(whole) or v.numel() * len(whole) != whole.numel():
            continue
        for part in ("_orig", "_u", "_v"):
            del result[weight + part]
        result[weight] = whole / (u.float().flatten() @ whole.flatten(1) @ v.float().flatten())
    return result


families: Registry[Family] = Registry("family of published networks")


class Editor(nn.Module):
    """A published network as a surrogate: faces (N, 3, s, s) in [0, 1] to (N, E, 3, s, s) in [-1, 1]."""

    threshold = 0.05  # l2, Ruiz et al. 2020
    makes_pictures = True

    conditions: Tensor

    def __init__(self, name: str, licence: str, framing: Template, network: nn.Module, edits: Edits, size: int) -> None:
        super().__init__()
        self.name, self.licence, self.framing, self.size = name, licence, framing, size
        self.edits = tuple(edits)
        self.network = network
        self.register_buffer("conditions", torch.tensor(list(edits.values()), dtype=torch.float32))
        self.eval().requires_grad_(False)

    def only(self, edits: Sequence[str]) -> "Editor":
        """The same network, asked for these of its edits."""
        vectors = {edit: self.conditions[self.edits.index(edit)].tolist() for edit in edits}
        editor = Editor(self.name, self.licence, self.framing, self.network, vectors, self.size)
        return editor.to(self.conditions.device)

    def train(self, mode: bool = True) -> "Editor":
        """Stays in evaluation mode: a surrogate is asked and never taught."""
        return super().train(False)

    def forward(self, faces: Tensor) -> Tensor:
        count, edits = len(faces), len(self.edits)
        repeated = (2 * faces - 1).repeat_interleave(edits, 0)  # (N E, 3, s, s): a face's edits lie together
        results: Tensor = self.network(repeated, self.conditions.repeat(count, 1))
        return results.view(count, edits, *results.shape[1:])

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        return l2(results, clean)


def fit(family: Family, tensors: Tensors, source: str, attributes: str = "") -> Fitted:
    """The family's network with these tensors of a file as weights, float32 and frozen.

    ``attributes``: what its conditions are, as ``Conditions.edits`` takes them.

    Raises WeightsError, which names ``source``, what was expected and what was found, where a tensor is missing, left
    over, of another shape, or not of finite numbers; InputError where the attributes do not suit the network.
    """
    weights = family.cleaned(tensors)
    try:
        network, conditions, sides = filled(family.build, weights)
    except MisfitError as misfit:
        raise WeightsError(f"{source} is not a generator of {family.title}: {misfit}{_advice(tensors)}.") from misfit
    edits = family.conditions.edits(conditions, attributes)
    return Fitted(network, edits, sides)


def filled(build: Callable[[Tensors], P], weights: Tensors) -> P:
    """What ``build`` makes of the sizes, its network with these weights, float32 and frozen.

    Raises MisfitError where a tensor is missing, left over, of another shape, or not of finite numbers.
    """
    plan = _skeleton(build, weights)
    _check_numbers(weights)
    plan.network.load_state_dict({key: value.float() for key, value in weights.items()}, assign=True)
    plan.network.eval().requires_grad_(False)
    return plan


def _skeleton(build: Callable[[Tensors], P], weights: Tensors) -> P:
    with torch.device("meta"):  # shapes alone: comparing them costs neither memory nor time
        plan = build(weights)
    _check_shapes({key: value.shape for key, value in plan.network.state_dict().items()}, weights)
    return plan


def sides(multiple: int, smallest: int = SMALLEST_SIZE) -> range:
    """The sides of pictures that a network can be given, in px: multiples of ``multiple`` from ``smallest`` on."""
    return range(max(smallest, SMALLEST_SIZE), LARGEST_SIZE + 1, multiple)


def _check_shapes(expected: Mapping[str, torch.Size], tensors: Tensors) -> None:
    if missing := [key for key in expected if key not in tensors]:
        raise MisfitError(f"it has no {_first_of(missing)}")
    if extra := [key for key in tensors if key not in expected]:
        raise MisfitError(f"it has {_first_of(extra)}, which is not expected")
    for key, shape in expected.items():
        if tensors[key].shape != shape:
            raise MisfitError(f"its {key} is {_words(tensors[key].shape)}, expected {_words(shape)}")


def _check_numbers(tensors: Tensors) -> None:
    for key, value in tensors.items():
        if not value.is_floating_point():
            raise MisfitError(f"its {key} holds {str(value.dtype).removeprefix('torch.')}, expected floats")
        if not value.isfinite().all():
            raise MisfitError(f"its {key} holds values that are not finite numbers")


def _advice(tensors: Tensors) -> str:
    """What the tensors are, if anything that shield knows."""
    for name, family in families.items():
        try:
            _skeleton(family.build, family.cleaned(tensors))
        except MisfitError:
            continue
        return f"; it fits {family.title}, so import it as {name}"
    return ""


def dimensions(tensors: Tensors, key: str, count: int = 4) -> list[int]:
    """The shape of a tensor. Raises MisfitError where it is missing, empty, or has not ``count`` dimensions."""
    if key not in tensors:
        raise MisfitError(f"it has no {key}")
    shape = tensors[key].shape
    if len(shape) != count or 0 in shape:
        raise MisfitError(f"its {key} is {_words(shape)}, expected {count} dimensions, none of them 0")
    return list(shape)


def _first_of(keys: Sequence[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} (and {len(keys) - 1} more)"


def _words(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
