"""torch's global state as shield needs it, whatever the caller made of it; and put back afterwards."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from shield.errors import ProcessError


class _Shared:
    """What threads share: the first that enters keeps what it found, the last that leaves puts it back."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._found: tuple[Any, ...] = ()
        self._threaded_in: int | None = None  # the process in which torch's threads were begun

    def enter(self) -> None:
        with self._lock:
            self._refuse_fork()
            if self._inside == 0:
                self._found = _read()
                _write(torch.float32, False, False)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                _write(*self._found)

    def _refuse_fork(self) -> None:
        if self._threaded_in not in (None, os.getpid()):
            raise ProcessError(
                "This process was forked from one in which shield ran, and would wait for that one's threads for ever; "
                'start workers with multiprocessing.get_context("spawn").'
            )
        if torch.get_num_threads() > 1:
            self._threaded_in = os.getpid()


_shared = _Shared()


@contextmanager
def own_torch_state() -> Iterator[None]:
    """Gradients on, float32, no autocast, on the processor unless said otherwise; also a decorator.

    Works under ``no_grad``, ``inference_mode``, autocast, another default type or device, deterministic algorithms,
    and in threads. Raises ProcessError in a process that was forked after shield had run with several threads.
    """
    _shared.enter()
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            if torch.get_default_device().type != "cpu":  # else it would cost every operation a little
                stack.enter_context(torch.device("cpu"))
            yield
    finally:
        _shared.leave()


def _read() -> tuple[torch.dtype, bool, bool]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    return torch.get_default_dtype(), deterministic, torch.is_deterministic_algorithms_warn_only_enabled()


def _write(dtype: torch.dtype, deterministic: bool, warn_only: bool) -> None:
    if _read() != (dtype, deterministic, warn_only):
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
