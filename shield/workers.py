"""Work in processes of its own: one that dies costs what it worked on, and nothing else."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import torch

from shield.errors import ProcessError

Item = TypeVar("Item")
Result = TypeVar("Result")
Tell = Callable[[int, int, float], None]  # step, steps, how good
READY, TOLD, DONE, RAISED, DIED = "ready", "told", "done", "raised", "died"  # what is heard of a process
PATIENCE = 10.0  # seconds that a process has to put away what it holds


@dataclass(frozen=True)
class Task(Generic[Item]):
    """What to work on. No two tasks of one ``apart`` are worked on at once. ``again``: a process died over it."""

    item: Item
    apart: str
    again: bool = False


Work = Callable[[Task[Item], Tell], Result]


@dataclass
class _Worker(Generic[Item]):
    """One process, and the task it was given."""

    process: BaseProcess
    connection: "Connection[Any, Any]"
    ready: bool = False
    task: Task[Item] | None = None


def in_workers(
    tasks: Sequence[Task[Item]],
    work: Work[Item, Result],
    count: int,
    tell: Callable[[Task[Item], int, int, float], None],
) -> Iterator[tuple[Task[Item], Result | None]]:
    """Every task and what ``work`` makes of it, as they are finished; of one over which two processes died, None.

    With one worker (``count``) the work is done in this process, in order. Otherwise ``work``, the tasks and results
    have to be picklable, and processes are spawned, each with as many threads as this one has: on these the last bits
    of results depend. What ``work`` raises is raised here. However this ends, so do the processes.

    Raises ProcessError where processes cannot be started.
    """
    if min(count, len(tasks)) < 2:
        yield from ((task, work(task, partial(tell, task))) for task in tasks)
        return
    waiting, crew = [*tasks], [_started(work) for _ in range(min(count, len(tasks)))]
    begun = False
    try:
        while waiting or any(worker.task for worker in crew):
            _hand_out(waiting, crew)
            for connection in wait([worker.connection for worker in crew]):
                worker = next(one for one in crew if one.connection is connection)
                said, value = _heard(worker)
                task = worker.task
                if said == READY:
                    worker.ready = begun = True
                elif said == RAISED:
                    raise value
                elif said == TOLD and task:
                    tell(task, *value)
                elif said == DONE and task:
                    worker.task = None
                    yield task, value
                elif said == DIED:
                    if not begun or (not worker.ready and len(crew) == 1):
                        raise ProcessError(
                            "A worker process ended before it had begun; take one worker, or, in a program, call "
                            'shield under if __name__ == "__main__".'
                        )
                    _end([worker])
                    crew.remove(worker)
                    if task and not task.again:
                        waiting.insert(0, replace(task, again=True))
                    if waiting and worker.ready:  # where one could not begin, as for want of memory, fewer go on
                        crew.append(_started(work))
                    if task and task.again:
                        yield task, None
    finally:
        _end(crew)


def _hand_out(waiting: list[Task[Item]], crew: list[_Worker[Item]]) -> None:
    """Give every process that has nothing to do the next task."""
    idle = [worker for worker in crew if worker.ready and not worker.task]
    running = [worker.task for worker in crew if worker.task]
    for worker, task in zip(idle, next_tasks(waiting, running, len(idle)), strict=False):
        waiting.remove(task)
        worker.task = task
        try:
            worker.connection.send(task)
        except OSError:  # it died meanwhile, which is heard next
            continue


def next_tasks(waiting: Sequence[Task[Item]], running: Sequence[Task[Item]], room: int) -> list[Task[Item]]:
    """The first tasks that may be begun beside those that run, as many as there is room for."""
    busy, chosen = {task.apart for task in running}, list[Task[Item]]()
    for task in waiting:
        if len(chosen) < room and task.apart not in busy:
            busy.add(task.apart)
            chosen.append(task)
    return chosen


def _heard(worker: _Worker[Item]) -> tuple[str, Any]:
    """What a process says, or that it died."""
    try:
        said, value = worker.connection.recv()
        return said, value
    except (EOFError, OSError):
        return DIED, None


def _started(work: Work[Item, Result]) -> _Worker[Item]:
    spawn = get_context("spawn")  # a forked process would wait for this one's threads
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, work, torch.get_num_threads()), daemon=True)
    with _deaf():
        process.start()
    there.close()  # so that the end of the process is the end of the line
    return _Worker(process, here)


@contextmanager
def _deaf() -> Iterator[None]:
    """What is started here does not hear Ctrl-C, not even while it begins: this process alone says when it ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


def _end(crew: Sequence[_Worker[Item]]) -> None:
    """End processes, which first take back what they have begun to write."""
    for worker in crew:
        worker.process.terminate()
    for worker in crew:
        worker.process.join(PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()


def _serve(connection: "Connection[Any, Any]", work: Work[Item, Result], threads: int) -> None:
    """The life of a process: work on what comes down the line until it is told to end, or nobody listens any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was begun is taken back
        torch.set_num_threads(threads)
        connection.send((READY, None))
        while True:
            connection.send(_answer(connection, work, connection.recv()))
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _answer(connection: "Connection[Any, Any]", work: Work[Item, Result], task: Task[Item]) -> tuple[str, Any]:
    try:
        return DONE, work(task, lambda *step: connection.send((TOLD, step)))
    except Exception as error:
        return RAISED, error
