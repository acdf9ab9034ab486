"""Whatever a program has made of torch, shield gives the same bytes and leaves torch as it was."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import shield
from shield import torch_state
from shield.errors import ProcessError
from shield.surrogates import surrogate
from shield.torch_state import own_torch_state

RECIPE = shield.Recipe(steps=1)


@contextmanager
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True, warn_only=False)
    yield
    torch.use_deterministic_algorithms(False)


CALLERS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "float64": float64,
    "deterministic": deterministic,
    "another device": lambda: torch.device("meta"),
}


def state() -> tuple[object, ...]:
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_default_device(),
    )


@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
def test_inside_torch_is_itself_and_outside_the_callers(caller: Callable[[], AbstractContextManager[object]]) -> None:
    itself = state()
    with caller():
        before = state()
        assert before != itself
        with own_torch_state(), own_torch_state():
            assert state() == itself
        assert state() == before
        with pytest.raises(KeyError), own_torch_state():
            raise KeyError
        assert state() == before


def test_threads_share_what_is_shared() -> None:
    """The first to leave does not take the others' type away."""
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with own_torch_state():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with float64():
        thread.start()
        assert entered.wait(10)
        with own_torch_state():
            leave.set()
            thread.join()
            assert torch.get_default_dtype() == torch.float32
        assert torch.get_default_dtype() == torch.float64


@pytest.fixture(scope="module")
def usual(small: NDArray[np.uint8], briefly: None) -> bytes:
    return shield.protect(small, RECIPE).data


@contextmanager
def everything_else() -> Iterator[None]:
    with torch.no_grad(), float64(), deterministic():
        yield


@pytest.mark.parametrize("caller", [torch.inference_mode, everything_else])
def test_a_photo_is_protected_from_any_thread_and_state_with_the_same_bytes(
    caller: Callable[[], AbstractContextManager[object]],
    usual: bytes,
    small: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(surrogate, "_loaded", {})  # the networks are loaded in this state too
    found: list[bytes] = []

    def work() -> None:
        with caller():
            found.append(shield.protect(small, RECIPE).data)
            found.append(str(shield.detect(small).probability).encode())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0] == usual
    assert found[1] == str(shield.detect(small).probability).encode()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forks no process")
def test_a_forked_process_is_refused_with_a_sentence(checkout: Path) -> None:
    code = """
import multiprocessing, torch, shield
torch.set_num_threads(2)
shield.detect("examples/portrait.jpg")
def work(queue):
    try:
        shield.detect("examples/portrait.jpg")
    except shield.ProcessError as error:
        queue.put(str(error))
fork = multiprocessing.get_context("fork")
queue = fork.Queue()
child = fork.Process(target=work, args=(queue,))
child.start()
print(queue.get(timeout=60))
child.join()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, timeout=300)
    assert 'multiprocessing.get_context("spawn")' in done.stdout, done.stderr


def test_a_fork_of_a_process_with_one_thread_may_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_state, "_shared", torch_state._Shared())  # what this process is told here is not true
    with own_torch_state():  # the tests have one thread
        pass
    monkeypatch.setattr("os.getpid", lambda: 1)
    with own_torch_state():
        pass
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    with own_torch_state():
        pass
    monkeypatch.setattr("os.getpid", lambda: 2)
    with pytest.raises(ProcessError, match="spawn"), own_torch_state():
        pass
