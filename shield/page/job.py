"""A job: one long run of shield on a thread of its own, watched from outside, ended by a person or by the clock."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import shield

POLL = 0.2  # s between two looks at a job
CHECKING = 60  # steps of the search, about as long as a verification takes
LOOKING = "Looking for faces"
LOADING = "Loading the networks, the first time only, and looking for faces"

T = TypeVar("T")


class StoppedError(Exception):
    """The person cancelled, or the time was up."""


class TimeUpError(shield.ShieldError):
    """A job took longer than the page allows."""


@dataclass(frozen=True)
class Moment:
    """How far a job is: in words, as a share in [0, 1], and in seconds that are left where that can be said."""

    words: str
    share: float = 0.0
    left: float | None = None


class Job(Generic[T]):
    """``work`` gets the job and passes its ``searching`` and ``verifying`` on to shield as callbacks.

    ``photos``: how many it will go through, each announced by ``next_photo``. ``limit``: seconds that it may take.
    """

    def __init__(self, work: "Callable[[Job[T]], T]", photos: int, limit: float) -> None:
        self._work, self._photos, self._limit = work, photos, limit
        self._photo = 0
        self._stopped = threading.Event()
        self._began = time.monotonic()
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._steps = 0
        self.moment = Moment(LOADING)

    def cancel(self) -> None:
        """End the job at its next step."""
        self._stopped.set()

    def watch(self) -> Iterator[Moment]:
        """Run, and give every new moment until the end. Whoever closes the iterator cancels the job."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        shown = None
        try:
            while thread.is_alive() and not self._stopped.is_set():
                if self.moment is not shown:
                    shown = self.moment
                    yield shown
                thread.join(POLL)
        finally:
            self.cancel()

    def result(self) -> T:
        """What the work returned. Raises what it raised, StoppedError where the job was cancelled first."""
        if self._error is not None:
            raise self._error
        if not self._result:
            raise StoppedError
        return self._result[0]

    def next_photo(self, number: int) -> None:
        """The work begins with this photo, counted from 0."""
        self._photo = number
        self._tell(LOOKING if number else LOADING, 0.0)

    def searching(self, step: int, steps: int, best: float) -> None:
        """The search's progress."""
        self._steps = steps
        self._tell(f"Protecting: step {step} of {steps}", step / (steps + CHECKING))

    def verifying(self, done: int, total: int) -> None:
        """The progress of the verification after a search."""
        self._tell(_checked(done, total), (self._steps + CHECKING * done / total) / (self._steps + CHECKING))

    def checking(self, done: int, total: int) -> None:
        """The progress of a verification that is all there is to do."""
        self._tell(_checked(done, total), done / total)

    def _tell(self, words: str, share: float) -> None:
        spent = time.monotonic() - self._began
        if self._stopped.is_set():
            raise StoppedError
        if spent > self._limit:
            raise TimeUpError(f"This took longer than {self._limit:g} s, which is the limit here; try a smaller photo.")
        share = max(self.moment.share, (self._photo + share) / self._photos)  # a bar never runs backwards
        left = spent * (1 - share) / share if share > 0 else None
        if self._photos > 1:
            words = f"Photo {self._photo + 1} of {self._photos}. {words}"
        self.moment = Moment(words, share, left)

    def _run(self) -> None:
        try:
            self._result.append(self._work(self))
        except BaseException as error:  # it is raised again where the result is asked for
            self._error = error


def _checked(done: int, total: int) -> str:
    return f"Checking the saved file: {done} of {total} tests"
