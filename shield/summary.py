"""The summary of a run over many photos: a row each, and how many came out how."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shield.batch import Outcome
from shield.errors import InputError
from shield.files import check_writable, write_atomically
from shield.photo import as_path
from shield.results import Saved

CSV, JSON = ".csv", ".json"
FAILED = "failed"


@dataclass(frozen=True)
class Row:
    """One photo. ``verdict``: the report's, or "failed" with an ``error``. ``files``: photo, report and sheet.

    ``reached``, ``earlier``: as of ``Saved``. ``seconds``: that its protection took, whenever that was.
    """

    photo: str
    verdict: str
    face_lpips: float | None = None
    seconds: float | None = None
    reached: bool = False
    earlier: bool = False
    files: tuple[str, ...] = ()
    error: str = ""

    @classmethod
    def of(cls, outcome: Outcome[Saved]) -> "Row":
        """The row of an outcome."""
        name, saved = str(outcome.photo), outcome.result
        if saved is None:
            return cls(name, FAILED, error=str(outcome.error))
        files = tuple(map(str, saved.files))
        return cls(name, saved.verdict, saved.face_lpips, saved.seconds, saved.reached, saved.earlier, files)


@dataclass(frozen=True)
class Summary:
    """The rows of all photos, in the order in which they were finished."""

    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        return f"Summary({self.sentence()})"

    @classmethod
    def of(cls, outcomes: Sequence[Outcome[Saved]]) -> "Summary":
        """The summary of these outcomes."""
        return cls(tuple(map(Row.of, outcomes)))

    def sentence(self) -> str:
        """How many came out how, and how many an earlier run had done."""
        if not self.rows:
            return "No photos."
        counts = Counter(row.verdict for row in self.rows)
        earlier = sum(row.earlier for row in self.rows)
        parts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
        before = f"; {earlier} of them were done before" if earlier else ""
        return f"{len(self.rows)} photo{'' if len(self.rows) == 1 else 's'}: {parts}{before}."

    def save(self, path: str | Path, force: bool = False, again: bool = False) -> None:
        """Write the rows as CSV or JSON, as the ending says. Raises as ``check``, PhotoError on a full disk."""
        self.check(path, force, again)
        values = [vars(row) for row in self.rows]
        text = _as_csv(values) if as_path(path).suffix.lower() == CSV else json.dumps(values, indent=2) + "\n"
        write_atomically(text.encode("utf-8", "backslashreplace"), as_path(path), force=force or again)

    @staticmethod
    def check(path: str | Path, force: bool = False, again: bool = False) -> None:
        """Raise InputError where no summary can be written there.

        What is there is overwritten by ``force``, and ``again`` where it is a summary.
        """
        path = as_path(path)
        if path.suffix.lower() not in (CSV, JSON):
            raise InputError(f"{path} is no place for a summary; give it the ending {CSV} or {JSON}.")
        check_writable(path, None, force or (again and _is_summary(path)))


def _is_summary(path: Path) -> bool:
    """Whether the file holds what ``Summary.save`` wrote."""
    names = list(Row.__dataclass_fields__)
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == CSV:
            return text.partition("\n")[0].strip() == ",".join(names)
        return all(list(row) == names for row in json.loads(text))
    except (OSError, ValueError, TypeError):
        return False


def _as_csv(rows: Sequence[dict[str, Any]]) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(Row.__dataclass_fields__))
    writer.writeheader()
    writer.writerows({**row, "files": ";".join(row["files"])} for row in rows)
    return file.getvalue()
