"""The one training loop: learning rate, checkpoints, resuming, sample sheets, progress."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, TypeVar

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from shield.device import computes_bfloat16
from shield.errors import InputError, RecipeError
from shield.registry import Registry
from shield.training.data import FaceSet

Network = TypeVar("Network", bound=nn.Module)
Report = Callable[[int, int, dict[str, float], float], None]  # step, steps, losses, seconds left


class Training(Protocol):
    """What a model brings to the loop."""

    @property
    def steps(self) -> int: ...
    def step(self, number: int) -> dict[str, float]: ...
    def set_rate(self, factor: float) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...
    def begin_with(self, weights: dict[str, Tensor]) -> int: ...
    def sheet(self, faces: Tensor) -> Tensor | None: ...
    def export(self) -> dict[str, Tensor]: ...


# Faces to learn from and the device to do it on.
recipes: Registry[Callable[[FaceSet, torch.device], Training]] = Registry("training recipe")


def on_processor(device: torch.device) -> bool:
    """For recipes that know no other device: whether it computes in bfloat16. Raises RecipeError for another one."""
    if device.type != "cpu":
        raise RecipeError(f"This recipe trains on the processor alone, not on {device}; leave --device out.")
    return computes_bfloat16(device)


def rate_factor(step: int, steps: int) -> float:
    """Constant for two thirds, then straight to zero."""
    return min(1.0, (steps - step) / (steps / 3))


def train(
    training: Training,
    out: Path,
    samples: Tensor,
    resume: bool = False,
    weights: Path | None = None,
    hours: float | None = None,
    minutes_between: float = 4.0,
    report: Report | None = None,
) -> int:
    """Train for all of the recipe's steps or for ``hours``; returns the step reached.

    ``weights``: an earlier training's weights to begin with; ``resume`` goes before.

    Every few minutes ``out`` receives ``checkpoint.pt`` (for ``resume``), ``weights.safetensors`` (float16, of the
    average) and, where there is something to see, ``sheet.png`` of ``samples``, (N, 3, s, s) in [-1, 1].
    """
    steps = training.steps
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    first = 0
    if resume and checkpoint.is_file():
        try:
            state = torch.load(checkpoint, weights_only=True)
            training.load_state_dict(state["training"])
            first = state["step"]
        except (EOFError, KeyError, RuntimeError, ValueError, UnpicklingError) as error:
            raise InputError(
                f"{checkpoint} is damaged or another recipe's checkpoint; choose another folder."
            ) from error
    elif weights is not None:
        first = _begin_with(training, weights)
    began = saved = time.monotonic()
    deadline = began + hours * 3600 if hours is not None else float("inf")
    step = first
    while step < steps and time.monotonic() < deadline:
        training.set_rate(rate_factor(step, steps))
        losses = training.step(step)
        step += 1
        now = time.monotonic()
        if report is not None:
            report(step, steps, losses, (now - began) / (step - first) * (steps - step))
        if now - saved > 60 * minutes_between:
            _save(training, step, out, samples)
            saved = now
    _save(training, step, out, samples)
    return step


def trained(network: Network, weights: Path) -> Network:
    """The network with the weights that a training left, frozen. Raises InputError where they are others."""
    try:
        network.load_state_dict(load_file(weights))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{weights} does not hold weights of this network ({error}).") from error
    return network.float().eval().requires_grad_(False)


def _begin_with(training: Training, weights: Path) -> int:
    try:
        return training.begin_with(load_file(weights))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{weights} does not hold weights of this recipe ({error}).") from error


def _save(training: Training, step: int, out: Path, samples: Tensor) -> None:
    """Each file whole or not at all: whoever looks while training runs must not find half a picture."""
    with _replacing(out / "checkpoint.pt") as file:
        torch.save({"training": training.state_dict(), "step": step}, file)
    with _replacing(out / "weights.safetensors") as file:
        save_file(training.export(), file)
    rows = training.sheet(samples)  # (N, columns, 3, s, s)
    if rows is not None:
        with _replacing(out / "sheet.png") as file:
            tiled(rows).save(file, "PNG")


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    temporary = target.with_suffix(".tmp")
    yield temporary
    os.replace(temporary, target)


def tiled(rows: Tensor) -> Image.Image:
    """Pictures (N, columns, 3, s, s) in [-1, 1] as one: a row per face."""
    pixels = ((rows + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 3, 1, 4, 2)  # (N, s, columns, s, 3)
    height, width = pixels.shape[0] * pixels.shape[1], pixels.shape[2] * pixels.shape[3]
    return Image.fromarray(pixels.reshape(height, width, 3).numpy())
