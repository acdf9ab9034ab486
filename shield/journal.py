"""The journal of a folder: what came of every photo, so that a second run does only what is missing or changed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shield.errors import PhotoError, ShieldError
from shield.files import append_line, fingerprint
from shield.photo import reason
from shield.results import Saved

NAME = "shield.journal.jsonl"


class Journal:
    """``shield.journal.jsonl`` in the folder that results are written to.

    Every finished photo is a line of JSON: ``photo`` (its path as seen from the folder), ``settings`` (a hash of all
    that decides a result but the photo) and ``saved`` (``Saved``, the files by name with their sha256) or ``error``.
    Of several lines on one photo the last counts that says what was saved; what failed since undid nothing. What is no
    such line, as the torn one of a run that was killed, is
    not there. Raises PhotoError where the journal is there and cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._lines: dict[str, dict[str, Any]] = {}
        self._owners: dict[str, str] = {}  # the photo that a file was last written for
        self._owned: dict[str, set[str]] = {}  # the same the other way round
        for line in self._read():
            self._keep(line)

    def done(self, photo: Path, settings: str) -> Saved | None:
        """What an earlier run saved, where photo, settings and files are as they were then."""
        line = self._lines.get(self._name(photo), {})
        if line.get("settings") != settings or "saved" not in line:
            return None
        saved = Saved.of(line["saved"], self._path.parent)
        hashes = {photo: saved.original, **saved.files}
        return saved if all(fingerprint(path) == sha256 for path, sha256 in hashes.items()) else None

    def files_of(self, photo: Path) -> frozenset[Path]:
        """The files that were written for the photo, and for no other since."""
        return frozenset(self._path.parent / file for file in self._owned.get(self._name(photo), ()))

    def add(self, photo: Path, settings: str, came: Saved | ShieldError) -> None:
        """Append what came of a photo; when this returns, it is on the disk. Raises PhotoError where that fails."""
        result = {"error": str(came)} if isinstance(came, ShieldError) else {"saved": came.to_dict()}
        line = {"photo": self._name(photo), "settings": settings} | result
        try:
            append_line(self._path, line)
        except OSError as error:
            raise PhotoError(f"The journal {self._path} cannot be written ({reason(error)}); make room.") from error
        self._keep(line)

    def _name(self, photo: Path) -> str:
        try:
            return Path(os.path.relpath(photo, self._path.parent)).as_posix()
        except ValueError:  # Windows knows no way from one disk to another
            return photo.absolute().as_posix()

    def _keep(self, line: dict[str, Any]) -> None:
        photo = line["photo"]
        if "saved" in line or "saved" not in self._lines.get(photo, {}):  # what failed since undid nothing
            self._lines[photo] = line
        for file in line.get("saved", {}).get("files", {}):
            self._owned.get(self._owners.get(file, photo), set()).discard(file)
            self._owned.setdefault(photo, set()).add(file)
            self._owners[file] = photo

    def _read(self) -> Iterator[dict[str, Any]]:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError) as error:
            raise PhotoError(f"The journal {self._path} cannot be read ({reason(error)}); move it away.") from error
        for text in lines:
            try:
                line = json.loads(text)
                if isinstance(line["photo"], str) and ("saved" not in line or Saved.of(line["saved"], Path())):
                    yield line
            except (ValueError, LookupError, TypeError, AttributeError):
                continue
