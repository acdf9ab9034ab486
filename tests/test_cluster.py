"""Work on a Ray cluster: every photo exactly once, whatever dies, and never more than the nodes have room for."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import stand_in
import torch
from PIL import Image

import shield
from shield import batch, cluster, folders, journal
from shield.attacks import Progress
from shield.workers import Task

ray = pytest.importorskip("ray")
SMALL = 80 * 2**20  # bytes of a node's store
Tasks = list[Task[str]]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster on this machine: a head that does not work, and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    for module in (sys.modules[__name__], stand_in):  # which no node can import
        ray.cloudpickle.register_pickle_by_value(module)
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": SMALL}
    made = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=SMALL)
    yield made
    made.shutdown()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As many as a node has cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tasks(*names: str) -> Tasks:
    return [Task(name, name[0]) for name in names]


def in_cluster(nodes: Any, wanted: Tasks, work: Any, tell: Any = lambda *_: None) -> dict[str, Any]:
    return {task.item: result for task, result in cluster.in_cluster(wanted, work, nodes.address, tell)}


# What is done


def threads(task: Task[str], tell: Progress) -> tuple[str, int, int]:
    return task.item, torch.get_num_threads(), os.getpid()


def test_nodes_work_in_processes_of_their_own_with_as_many_threads_as_this(nodes: Any) -> None:
    found = in_cluster(nodes, tasks("a", "b", "c"), threads)
    assert {name: (said, count) for name, (said, count, _) in found.items()} == {it: (it, 1) for it in "abc"}
    assert os.getpid() not in {process for *_, process in found.values()}
    assert not ray.is_initialized()


def timed(task: Task[str], tell: Progress) -> tuple[float, float]:
    began = time.time()
    time.sleep(0.2)
    return began, time.time()


def test_no_more_are_under_way_than_nodes_have_room_for_and_some_never_together(nodes: Any) -> None:
    begun, most = list[str](), 0
    found = dict[str, tuple[float, float]]()
    wanted = tasks("a1", "a2", "b1", "b2", "b3")
    for task, spent in cluster.in_cluster(wanted, timed, nodes.address, lambda task, *_: begun.append(task.item)):
        most = max(most, len(begun) - len(found))
        assert spent is not None
        found[task.item] = spent
    assert most == 2 and sorted(found) == sorted(begun) == [task.item for task in wanted]
    for apart in "ab":
        spans = sorted(span for name, span in found.items() if name[0] == apart)
        assert all(one[1] <= other[0] for one, other in pairwise(spans))


def deadly(task: Task[str], tell: Progress) -> bool:
    if task.item == "twice" or (task.item == "once" and not task.again):
        os.kill(os.getpid(), signal.SIGKILL)
    return task.again


def test_a_process_that_dies_costs_its_task_after_a_second_try(nodes: Any) -> None:
    assert in_cluster(nodes, tasks("once", "twice", "never"), deadly) == {"once": True, "twice": None, "never": False}


def refusing(task: Task[str], tell: Progress) -> None:
    raise shield.WeightsError("The weights are missing; install shield again.")


def test_what_work_raises_is_raised_here(nodes: Any) -> None:
    with pytest.raises(shield.WeightsError, match="missing; install"):
        in_cluster(nodes, tasks("a"), refusing)


class Waiting:
    """Waits for ever, and says that it began and when it was told to end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, task: Task[str], tell: Progress) -> None:
        if task.item == "first":
            return
        try:
            (self.folder / "begun").touch()  # inside, for it is told to end as soon as this is seen
            while True:
                time.sleep(0.05)
        except KeyboardInterrupt:
            (self.folder / "ended").touch()
            raise


def test_what_is_under_way_ends_with_the_work(nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 60.0)  # on a machine that does other things as well
    came = cluster.in_cluster(tasks("wait", "first"), Waiting(tmp_path), nodes.address, lambda *_: None)
    assert next(came)[0].item == "first"
    while not (tmp_path / "begun").exists():
        time.sleep(0.05)
    came.close()  # type: ignore[attr-defined]
    assert (tmp_path / "ended").exists()


# Sentences


def test_what_is_missing_is_a_sentence(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(shield.ProcessError, match=r"no cluster at '127\.0\.0\.1:9'"):
        list(cluster.in_cluster(tasks("a"), threads, "127.0.0.1:9", lambda *_: None))
    torch.set_num_threads(2)
    with pytest.raises(shield.ProcessError, match="No node of the cluster has 2 cores"):
        in_cluster(nodes, tasks("a"), threads)
    torch.set_num_threads(1)
    monkeypatch.setattr(os, "getcwd", lambda: "/nowhere")
    with pytest.raises(shield.ProcessError, match="does not see /nowhere"):
        in_cluster(nodes, tasks("a"), threads)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(shield.ProcessError, match=r"pip install 'shield\[cluster\]'"):
        list(cluster.in_cluster(tasks("a"), threads, "local", lambda *_: None))


def unheard_of(task: Task[str], tell: Progress) -> None:
    raise ImportError("No module named 'shield'")


def test_a_node_that_cannot_work_is_a_sentence(nodes: Any) -> None:
    with pytest.raises(shield.ProcessError, match=r"cannot do the work .*No module named"):
        in_cluster(nodes, tasks("a"), unheard_of)


def test_a_cluster_has_processors_alone() -> None:
    with pytest.raises(shield.RecipeError, match="works on processors, not on 'cuda'"):
        list(shield.protect_files([], shield.Recipe(device="cuda"), ray="auto"))


def test_a_cluster_and_workers_are_not_both() -> None:
    with pytest.raises(shield.RecipeError, match="either several of them or a cluster"):
        list(shield.protect_files([], workers=2, ray="auto"))


# Photos


class OnNode(folders._OnNode):
    """Searches nothing. Of "killed.png" the process is killed once its files are written, of "lost.png" its node."""

    def __call__(self, task: Task[Any], tell: Progress) -> Any:
        batch.protect = stand_in.stand_in
        done = super().__call__(task, tell)
        name = Path(task.item.photo).name
        if name == "killed.png" and not task.again:
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "lost.png" and not task.again:
            Path("on").write_text(ray.get_runtime_context().get_node_id())
            time.sleep(600)
        return done


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "_OnNode", OnNode)
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("a", "b", "c", "killed", "d", "lost", "e"):
        Image.new("RGB", (80, 80), (9, 9, 9)).save(folder / f"{name}.png")
    Image.new("RGB", (80, 80), (255, 0, 0)).save(folder / "faceless.png")
    return folder


def test_every_photo_is_done_exactly_once_though_a_process_and_a_node_are_lost(nodes: Any, album: Path) -> None:
    found = list[shield.Outcome[shield.Saved]]()
    for outcome in shield.protect_files([album], shield.Recipe(seed=1), ray=nodes.address):
        found.append(outcome)
        if len(found) == 7:
            while not (node := Path("on")).exists() or not node.read_text():
                time.sleep(0.05)
            lost = next(it for it in nodes.worker_nodes if it.node_id == node.read_text())
            nodes.remove_node(lost, allow_graceful=False)
    failed = {Path(one.photo).name for one in found if one.error}
    assert failed == {"faceless.png"} and len({one.photo for one in found}) == len(found) == 8
    lines = [json.loads(line) for line in (album / journal.NAME).read_text().splitlines()]
    assert len(lines) == 8 and len({line["photo"] for line in lines}) == 8
    assert len(list(album.glob("*.shield.png"))) == 7 and not list(album.glob(".shield-*"))
    again = list(shield.protect_files([album], shield.Recipe(seed=1), ray=nodes.address, resume=True))
    assert {Path(one.photo).name for one in again if one.result and one.result.earlier} == {
        path.name for path in album.glob("*.png") if ".shield" not in path.name
    } - failed


class Elsewhere(folders._OnNode):
    """Writes where only its node sees it."""

    def __call__(self, task: Task[Any], tell: Progress) -> Any:
        batch.protect = stand_in.stand_in
        done = super().__call__(task, tell)
        for path in done.result.files:
            path.unlink()
        return done


class Blind(folders._OnNode):
    """Does not see the photo."""

    def __call__(self, task: Task[Any], tell: Progress) -> Any:
        os.remove(task.item.photo)
        return super().__call__(task, tell)


@pytest.mark.parametrize(("kind", "words"), [(Elsewhere, "is not here"), (Blind, r"does not see .*a\.png")])
def test_a_node_with_a_disk_of_its_own_ends_the_run_and_nothing_is_journalled(
    kind: type[folders._OnNode], words: str, nodes: Any, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_OnNode", kind)
    with pytest.raises(shield.ProcessError, match=words):
        list(shield.protect_files([album / "a.png"], shield.Recipe(seed=1), ray=nodes.address))
    assert not (album / journal.NAME).exists() or not (album / journal.NAME).read_text()


def test_a_node_with_another_shield_is_refused(nodes: Any, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "versions", lambda: {"shield": "another"})
    with pytest.raises(shield.ProcessError, match="has another shield or other models"):
        list(shield.protect_files([album / "a.png"], ray=nodes.address))
