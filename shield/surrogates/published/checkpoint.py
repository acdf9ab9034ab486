"""Checkpoints as their authors saved them: opened without running anything in them, unwrapped, cleaned."""

import hashlib
import io
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from shield.errors import InputError, WeightsError

WRAPPERS = ("G", "gen_test", "g_ema", "state_dict", "model")  # keys under which authors store the generator's weights
PARALLEL = "module."  # what training on several GPUs puts before every key

ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # how the two formats of torch.save begin
FOREIGN = re.compile(r"(?:GLOBAL|Unsupported class)\s+(\S+)")  # in what torch says of a pickled object


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file by key, and the file's sha256."""

    tensors: Mapping[str, Tensor]
    sha256: str


def read_checkpoint(path: Path) -> Checkpoint:
    """Open a checkpoint (.pth, .ckpt, .pt, .safetensors or any other name that torch.save was given).

    Nothing in the file is run. Raises InputError where the file cannot be read, WeightsError where it is damaged, holds
    pickled objects, or holds no tensors by name.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    content = _safetensors(data, path) if path.suffix == ".safetensors" else _torch(data, path)
    return Checkpoint(_tensors(content, path), hashlib.sha256(data).hexdigest())


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


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(content, Mapping) and (wrapper := next((key for key in WRAPPERS if key in content), None)):
        if not isinstance(content[wrapper], Mapping):
            break
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"{path} holds a {type(content).__name__}, where tensors by name are expected.")
    for key, value in content.items():
        if not (isinstance(key, str) and isinstance(value, Tensor)):
            raise WeightsError(
                f"{path} holds {key!r}, a {type(value).__name__}, where only tensors are expected; "
                f"save the generator's state_dict alone, or under one of the keys {', '.join(WRAPPERS)}."
            )
    return {key.removeprefix(PARALLEL): value for key, value in content.items()}
