"""Folders of photos: what is done is written down, what is not may be shared among processes."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from shield.attacks import Progress
from shield.batch import Outcome, found_in, is_result, outcome_of, protect_where
from shield.cluster import in_cluster
from shield.credentials import Credentials
from shield.device import AUTO
from shield.errors import PhotoError, ProcessError, RecipeError, SearchError
from shield.files import ResultFiles
from shield.journal import Journal
from shield.photo import Photo, as_path, open_photo, reason
from shield.recipe import Recipe
from shield.results import Saved
from shield.verify import PLAN, Plan, Source, find_faces, versions
from shield.weights import imported_models, manifest
from shield.workers import Task, in_workers

Watch = Callable[[int, int, str | Path, float], None]  # photos that are done, all, one at work, the share of its search


def protect_files(
    photos: Iterable[str | Path],
    recipe: Recipe | None = None,
    output: str | Path | None = None,
    *,
    recursive: bool = False,
    workers: int = 1,
    ray: str | None = None,
    resume: bool = False,
    force: bool = False,
    plan: Plan = PLAN,
    reference: Source | None = None,
    credentials: Credentials | None = None,
    watch: Watch | None = None,
) -> Iterator[Outcome[Saved]]:
    """Protect photos and folders of photos, writing each result beside its photo or into the folder ``output``.

    ``recursive``: folders in folders too, which ``output`` then mirrors. ``workers``: so many photos at once, each in
    a process of its own with as many threads as this one has, so that the bytes stay the same; a program that asks for
    several has to stand under ``if __name__ == "__main__":``. A process that dies costs its photo, after a second try.
    ``ray``: the same on the nodes of the Ray cluster of that address ("local": of this machine alone), as many at once
    as they have room for; they see photos and results under the same paths, and have the same shield and models.

    Every folder that results go to has a journal. With ``resume`` nothing is done again of which the journal says that
    photo, settings and files are as they were: its outcome is ``earlier`` and comes first. What an interrupted run, or
    one on other settings or another photo of that path, left there is overwritten; other files only by ``force``.

    ``credentials``: what to sign every file with. ``watch`` is called at every step; an exception that it raises
    cancels. Outcomes come as they are finished. An error about one photo is its outcome. What would be so for every
    photo is raised: PhotoError where ``output`` is no folder or ``reference`` cannot be read, FaceError where that
    shows nobody, RecipeError, WeightsError, ProcessError where no process can be started.
    """
    recipe, into = recipe or Recipe(), None if output is None else as_path(output)
    if into is not None and not into.is_dir():
        raise PhotoError(f"{str(into)!r} is not a folder; what is made of several photos goes into one.")
    if workers < 1:
        raise RecipeError(f"The workers are {workers}; choose at least 1.")
    if workers > 1 and ray is not None:
        raise RecipeError("Workers are processes of this machine; choose either several of them or a cluster.")
    if ray is not None and recipe.device not in (AUTO, "cpu"):
        raise RecipeError(f"A cluster works on processors, not on {recipe.device!r}; leave the device out.")
    if reference is not None:
        reference = open_photo(reference)
        find_faces(reference)
    settings = _settings(recipe, plan, reference, credentials)
    run = _Run(settings, into, resume)
    found = [one for given in photos for one in found_in(given, recursive)]
    tasks, done = list[Task[_Job]](), 0
    for one in found:
        outcome = run.begin(one.photo, one.result) if one.result is not None else Outcome(one.photo, error=one.error)
        if isinstance(outcome, Task):
            tasks.append(outcome)
        else:
            done += 1
            yield outcome

    def tell(task: Task[_Job], step: int, steps: int, best: float) -> None:
        if watch is not None:
            watch(done, len(found), task.item.photo, step / steps)

    work = _Work(recipe, plan, reference, credentials, force, resume)
    for task, came in (
        in_workers(tasks, work, workers, tell) if ray is None else in_cluster(tasks, _OnNode(work, settings), ray, tell)
    ):
        photo = task.item.photo
        died = SearchError(
            f"The process that worked on {photo} died, and so did a second, perhaps for want of memory; take fewer "
            "workers or a smaller copy."
        )
        done += 1
        if came and came.result and (lost := [path for path in came.result.files if not path.exists()]):
            raise ProcessError(
                f"{lost[0]} was written on a node of the cluster and is not here; results have to go where all nodes "
                "see them under the same path."
            )
        yield run.end(task.item, came or Outcome(photo, error=died))


def _settings(recipe: Recipe, plan: Plan, reference: Source | None, credentials: Credentials | None) -> str:
    """A hash of all that decides a result but the photo, processor and threads."""
    imported = imported_models()
    weights = manifest() | {name: imported[name] for name in (*recipe.surrogates, *plan.asked) if name in imported}
    other = None if reference is None else open_photo(reference).sha256
    hashes = {name: entry.sha256 for name, entry in weights.items()}
    signer = None if credentials is None else credentials.chain.decode("ascii", "replace")
    parts = [recipe.settings(), asdict(plan), other, signer, hashes, versions()["shield"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _Job:
    """A photo, the folder that its result goes to, and the files there that an earlier run wrote for it."""

    photo: str | Path
    folder: Path
    own: frozenset[Path]


@dataclass(frozen=True)
class _Run:
    """What a run over many photos remembers."""

    settings: str
    output: Path | None
    resume: bool
    taken: set[tuple[str, str]] = field(default_factory=set)
    journals: dict[Path, Journal] = field(default_factory=dict)

    def begin(self, photo: str | Path, below: Path) -> Task[_Job] | Outcome[Saved]:
        """What is to be done on a photo, or what came of it already."""
        path = Path(photo)
        folder = path.parent if self.output is None else self.output / below
        place = os.path.abspath(folder)
        if (place, path.name) in self.taken:
            words = f"{photo} has the name of a photo that was written to {folder} before; write elsewhere."
            return Outcome(photo, error=PhotoError(words))
        self.taken.add((place, path.name))
        try:
            journal = self.journals[folder] = self.journals.get(folder) or Journal(folder)
        except PhotoError as error:
            return Outcome(photo, error=error)
        if self.resume and (saved := journal.done(path, self.settings)):
            return Outcome(photo, saved)
        # IMG_1.HEIC and IMG_1.JPG ask one another's reports for their names: one is written after the other.
        apart = os.path.join(place, path.name.partition(".")[0]).lower()
        return Task(_Job(photo, folder, journal.files_of(path) if self.resume else frozenset()), apart)

    def end(self, job: _Job, outcome: Outcome[Saved]) -> Outcome[Saved]:
        """The outcome, once it stands in the journal; or that it does not."""
        came = outcome.result or outcome.error
        if came is not None and os.path.isfile(job.photo):
            try:
                self.journals[job.folder].add(Path(job.photo), self.settings, came)
            except PhotoError as error:
                return Outcome(job.photo, error=outcome.error or error)
        return outcome


@dataclass(frozen=True)
class _Work:
    """What is done to every photo, in whatever process."""

    recipe: Recipe
    plan: Plan
    reference: Source | None
    credentials: Credentials | None
    force: bool
    resume: bool

    def __call__(self, task: Task[_Job], tell: Progress) -> Outcome[Saved]:
        tell(0, 1, 0.0)
        return outcome_of(task.item.photo, lambda photo: self._save(photo, task, tell))

    def _save(self, photo: str | Path, task: Task[_Job], tell: Progress) -> Saved:
        def replaceable(opened: Photo, files: ResultFiles, recipe: Recipe) -> bool:
            there = {file for file in files.all if file.exists()}
            unfinished = (self.resume or task.again) and is_result(files, opened, recipe)
            return self.force or (there != set() and there <= task.item.own) or unfinished

        began, folder = time.perf_counter(), task.item.folder
        source = open_photo(photo)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PhotoError(f"{folder} cannot be created ({reason(error)}); write elsewhere.") from error
        result = protect_where(
            source, folder, self.recipe, tell, None, replaceable, self.plan, self.reference, self.credentials
        )
        return Saved.now(*result, time.perf_counter() - began)


@dataclass(frozen=True)
class _OnNode:
    """``work`` on another machine, where the same ``settings`` have to mean the same."""

    work: _Work
    settings: str

    def __call__(self, task: Task[_Job], tell: Progress) -> Outcome[Saved]:
        work = self.work
        if _settings(work.recipe, work.plan, work.reference, work.credentials) != self.settings:
            raise ProcessError(
                f"The node {platform.node()} has another shield or other models than this machine; install the same."
            )
        if not Path(task.item.photo).is_file():
            raise ProcessError(
                f"The node {platform.node()} does not see {task.item.photo}; photos have to lie where all nodes see "
                "them under the same path."
            )
        return work(task, tell)
