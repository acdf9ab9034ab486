"""Checkpoints as their authors saved them: opened without running anything in them, unwrapped, cleaned."""

import hashlib
import io
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from shield.errors import InputError, WeightsError

# What authors call the generator among what they save, as a key of its own or before the keys of its weights. Of
# several the smoothed one, an average over the steps of training, is what they publish results of.
GENERATOR = r"(?:g|net_?g|gen|generator)(?:_state_dict)?"
WHOLE = r"(?:model|net|network|params|state_dict|model_state_dict)"
SMOOTHED = rf"(?:ema|ema_(?:{GENERATOR}|{WHOLE})|(?:{GENERATOR}|{WHOLE})_ema|gen_test|g_running)(?:_state_dict)?"
PREFERENCE = tuple(re.compile(names, re.IGNORECASE) for names in (SMOOTHED, GENERATOR, WHOLE))
NUMBER = re.compile(r"model\.\d")  # how keys of CycleGAN and pix2pixHD begin: there "model" is the network's own word
# What torch puts into keys: DataParallel (once or twice), torch.compile, FSDP. No network calls a part of itself so.
ADDED = {"module", "_orig_mod", "_fsdp_wrapped_module"}
DEEPEST = 8  # wrappers inside each other; a file can hold itself

HEADER = 8  # bytes before a safetensors file's "{", which say how much JSON follows
LONGEST_JSON = 100_000_000  # bytes, as safetensors itself takes
ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # how the two formats of torch.save begin
NVIDIAS = ("dnnlib", "torch_utils", "training.")  # modules that the pickles of StyleGAN and ProGAN ask for
FOREIGN = re.compile(r"(?:GLOBAL|Unsupported class)\s+(\S+)")  # in what torch says of a pickled object


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file by key, and the file's sha256.

    ``part``: which part of the file they are, such as "state_dict.generator"; "" for all of it. ``smoothed``: whether
    they are an average over the steps of training.
    """

    tensors: Mapping[str, Tensor]
    sha256: str
    part: str
    smoothed: bool


def read_checkpoint(path: Path) -> Checkpoint:
    """Open a checkpoint of torch.save or safetensors, whatever its name, and take the generator out of it.

    Smoothed weights are preferred to others. Nothing in the file is run. Raises InputError where the file cannot be
    read, WeightsError where it is damaged, holds pickled objects, or holds no tensors by name.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    content, taken = _unwrapped(_safetensors(data, path) if _is_safetensors(data, path) else _torch(data, path), path)
    smoothed = any(PREFERENCE[0].fullmatch(name) for name in taken)
    return Checkpoint(_tensors(content, path), hashlib.sha256(data).hexdigest(), ".".join(taken), smoothed)


def _is_safetensors(data: bytes, path: Path) -> bool:
    length = int.from_bytes(data[:HEADER], "little")  # which may begin as a pickle does
    begins = data[HEADER : HEADER + 1] == b"{" and length <= LONGEST_JSON
    if data.startswith((ZIP, PICKLE)):
        return begins and length <= len(data) - HEADER
    return begins or path.suffix.lower() == ".safetensors"


def _safetensors(data: bytes, path: Path) -> Any:
    try:
        return safetensors.torch.load(data)
    except SafetensorError as error:
        raise WeightsError(f"{path} is no safetensors file or not a whole one ({error}); get it again.") from error


def _torch(data: bytes, path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TorchScript archives torch warns before it refuses them
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        raise WeightsError(_complaint(data, path, error)) from error


def _complaint(data: bytes, path: Path, error: Exception) -> str:
    words = str(error)
    foreign = FOREIGN.search(words) if isinstance(error, pickle.UnpicklingError) else None
    if foreign and foreign[1].startswith(NVIDIAS):
        return (
            f"{path} is one of NVIDIA's pickles ({foreign[1]}), which run code when they are opened; convert it where "
            "you trust it, with convert_weight.py of rosinality/stylegan2-pytorch, and import what that writes."
        )
    if foreign or "TorchScript" in words:
        what = f"the pickled Python object {foreign[1]}" if foreign else "a TorchScript program"
        return (
            f"{path} holds {what}, which may run code when it is opened, where tensors are expected; open it where you "
            "trust it, save the network's weights with torch.save(network.state_dict(), 'weights.pth') and import that."
        )
    if data.startswith((ZIP, PICKLE)):
        return (
            f"{path} ends too early, is damaged, or was not written by torch.save "
            f"(torch cannot make sense of its {len(data):,} bytes); get it again."
        )
    return f"{path} is no checkpoint of PyTorch: it begins with {data[:16]!r}; give the file that the authors publish."


def _unwrapped(content: Any, path: Path) -> tuple[Any, list[str]]:
    """What the innermost wrapper holds, and the names of the wrappers."""
    taken: list[str] = []
    while isinstance(content, Mapping) and len(taken) < DEEPEST:
        content = _without_added(content, path)
        wrappers = list(_wrappers(content))
        found = [name for names in PREFERENCE for name in wrappers if names.fullmatch(name)]
        if not found:
            break
        taken.append(found[0])
        content = _inside(content, found[0])
    return content, taken


def _without_added(content: Mapping[Any, Any], path: Path) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for key, value in content.items():
        short = ".".join(part for part in key.split(".") if part not in ADDED) if isinstance(key, str) else key
        if short in result:
            raise WeightsError(f"{path} holds {short!r} twice, once as {key!r}; save the generator's state_dict alone.")
        result[short] = value
    return result


def _wrappers(content: Mapping[Any, Any]) -> Iterator[str]:
    """The names under which something is that can hold tensors, or before the names of tensors."""
    for key, value in content.items():
        if isinstance(value, Mapping) and any(isinstance(inner, Mapping | Tensor) for inner in value.values()):
            yield str(key)
        elif isinstance(key, str) and "." in key and not NUMBER.match(key):
            yield key.partition(".")[0]


def _inside(content: Mapping[Any, Any], name: str) -> Any:
    if isinstance(content.get(name), Mapping):
        return content[name]
    before = f"{name}."
    return {key[len(before) :]: value for key, value in content.items() if str(key).startswith(before)}


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"{path} holds a {type(content).__name__}, where tensors by name are expected.")
    for key, value in content.items():
        if not (isinstance(key, str) and isinstance(value, Tensor)):
            raise WeightsError(
                f"{path} holds {key!r}, a {type(value).__name__}, where only tensors are expected; save the "
                "generator's state_dict alone, or under one of the keys G, netG, generator, g_ema, state_dict."
            )
    return dict(content)
