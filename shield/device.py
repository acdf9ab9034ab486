"""Where the networks run and how precisely."""

from contextlib import AbstractContextManager, nullcontext

import torch

from shield.errors import RecipeError

AUTO = "auto"


def pick_device(name: str = AUTO) -> torch.device:
    """The device of that name; "auto" takes CUDA where there is one, else the processor.

    MPS has to be named: PyTorch lacks some of the gradients that warping needs there.
    Raises RecipeError where the device is unknown or not there.
    """
    if name == AUTO:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RecipeError(f"The device {name!r} is not available here; leave --device out or use cpu.") from error
    return device


def fast_precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast where the processor computes in it (it halves the time of a search), else nothing."""
    return torch.autocast(device.type, torch.bfloat16) if computes_bfloat16(device) else nullcontext()


def fast_layout(device: torch.device) -> torch.memory_format:
    """How pictures lie in memory where networks are trained: on a processor torch's convolutions break down backwards
    with the channels last.
    """
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; elsewhere it would be slower, not faster."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # torch has no public name for this, and older versions no name at all.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and bool(supported())
