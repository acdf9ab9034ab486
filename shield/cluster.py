"""Work on the nodes of a Ray cluster: a node or a process that dies costs what it worked on, and nothing else.

Moritz et al. 2018, "Ray: A Distributed Framework for Emerging AI Applications" (arXiv 1712.05889). The library: extra
``cluster``.
"""

import os
import platform
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch

from shield.errors import ProcessError, ShieldError
from shield.workers import PATIENCE, Item, Result, Task, Work, next_tasks

LOCAL = "local"  # the address of a cluster of this machine alone, which begins and ends with the work
KNOCK = 5.0  # seconds that an address has to answer
OFTEN = 5.0  # seconds after which nodes are counted anew while nothing is finished


def in_cluster(
    tasks: Sequence[Task[Item]],
    work: Work[Item, Result],
    address: str,
    tell: Callable[[Task[Item], int, int, float], None],
) -> Iterator[tuple[Task[Item], Result | None]]:
    """Every task and what ``work`` makes of it, as they are finished; of one over which two processes died, None.

    ``address``: of a cluster that this machine is a node of, as Ray takes it ("auto", its head's HOST:PORT), or
    "local"; a program that is connected already stays so. Nodes work on their processors, see this process's working
    folder under the same path, and have the same shield. Every task takes as many cores as this process has threads, on
    which the last bits of results depend, and there are never more of them under way than the nodes have room for.
    ``work``, tasks and results have to be picklable. ``tell`` hears when a task begins. What ``work`` raises is raised
    here. However this ends, so does what is under way.

    Raises ProcessError where there is no Ray or no cluster, none of its nodes is large enough, or one cannot work.
    """
    if not tasks:
        return
    ray = _library()
    threads, waiting, running = torch.get_num_threads(), [*tasks], dict[Any, Task[Item]]()
    with _connected(ray, address):
        begin = ray.remote(num_cpus=threads, max_retries=0)(_answer)
        work_there = ray.put(work)
        try:
            while waiting or running:
                for task in next_tasks(waiting, [*running.values()], _room(ray, threads) - len(running)):
                    waiting.remove(task)
                    running[begin.remote(work_there, task, os.getcwd(), threads)] = task
                    tell(task, 0, 1, 0.0)
                for done in ray.wait([*running], num_returns=1, timeout=OFTEN)[0]:
                    task = running.pop(done)
                    try:
                        result = ray.get(done)
                    except ray.exceptions.RayTaskError as error:
                        raise _told(error.cause or error) from error
                    except ray.exceptions.RayError:  # the process or its node died
                        if not task.again:
                            waiting.insert(0, replace(task, again=True))
                            continue
                        result = None
                    yield task, result
        finally:
            for reference in running:
                ray.cancel(reference)  # so that it takes back what it began to write
            if running:
                for reference in ray.wait([*running], num_returns=len(running), timeout=PATIENCE)[1]:
                    ray.cancel(reference, force=True)


def _told(error: Exception) -> Exception:
    """What work raised, or what keeps a node from working at all."""
    if isinstance(error, ShieldError):
        return error
    return ProcessError(
        f"A node of the cluster cannot do the work ({type(error).__name__}: {error}); mend or remove it."
    )


def _room(ray: ModuleType, threads: int) -> int:
    """How many tasks the nodes that live can work on at once. Raises ProcessError where none can."""
    cores = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    room = sum(int(own // threads) for own in cores)
    if room == 0:
        raise ProcessError(
            f"No node of the cluster has {threads} cores; take fewer threads, or wait for its nodes and go on with "
            "what is done already (--resume)."
        )
    return room


def _answer(work: Work[Item, Result], task: Task[Item], folder: str, threads: int) -> Result:
    """What is done on a node."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise ProcessError(
            f"The node {platform.node()} does not see {folder}; photos and results have to lie where all nodes see "
            "them under the same path."
        ) from error
    torch.set_num_threads(threads)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray shares out processors alone: all tasks would meet on one GPU
    return work(task, lambda *_: None)


@contextmanager
def _connected(ray: ModuleType, address: str) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    alone: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    heard = signal.getsignal(signal.SIGTERM)  # which Ray takes for itself
    try:
        try:
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **alone)
        except (OSError, ValueError, RuntimeError) as error:
            raise ProcessError(
                f"There is no cluster at {address!r} that this machine is a node of ({error.__cause__ or error}); "
                f"start one with 'ray start --head', or take {LOCAL!r}."
            ) from error
        yield
    finally:
        ray.shutdown()
        if heard is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, heard)


def _knock(address: str) -> None:
    """Raise OSError where an address with a port does not answer; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host:
        with socket.create_connection((host.rpartition("/")[2].strip("[]"), int(port)), timeout=KNOCK):
            return


def _library() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise ProcessError("A cluster needs Ray; install it: pip install 'shield[cluster]'.") from error
    return ray
