"""What whoever runs the page decides: how much of the machine a visitor may use."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """The limits of a visitor's use.

    ``examples``: folder with photos to try. ``together``: jobs that run at once; up to ``waiting`` more wait.
    ``seconds``: a job's limit. ``photos``: in one job, at most. ``megabytes``: of one file, at most.
    """

    examples: Path
    together: int = 1
    waiting: int = 20
    seconds: float = 900.0
    photos: int = 20
    megabytes: int = 50
