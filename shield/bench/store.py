"""Files of results that benchmarks append to, a line of JSON each, and go on with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def kept(path: Path, kind: type[T]) -> Iterator[T]:
    """Every line as what it was written from; one that is torn, or of another kind, is passed over."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            yield kind(**json.loads(line))
        except (ValueError, TypeError):
            continue
