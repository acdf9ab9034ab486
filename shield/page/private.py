"""What keeps photos on this machine: no proxy is asked, and every file has one private folder, deleted on exit.

A page that was killed cannot delete its folder; the next one does. Which pages are alive is told by locks, which the
system opens when a process ends, however it ends.
"""

import atexit
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "shield-page-"
KEEP = 3600  # s that a file is kept at most
LOOPBACK = "127.0.0.1,localhost,::1"
NO_PROXY = ("no_proxy", "NO_PROXY")


def _lock(folder: Path) -> FileLock:
    """The lock that a page holds for as long as it uses the folder. It lies beside it and comes first."""
    return FileLock(folder.with_name(f".{folder.name}.lock"), blocking=False)


def _own_folder() -> tuple[Path, FileLock]:
    """An empty folder that this user alone may read, and its lock, held."""
    folder = Path(tempfile.gettempdir()).resolve() / f"{PREFIX}{secrets.token_hex(8)}"
    lock = _lock(folder)
    lock.acquire()
    folder.mkdir(mode=0o700)
    return folder, lock


def remove_abandoned(parent: Path) -> None:
    """Delete the folders of pages that were killed."""
    for folder in parent.glob(f"{PREFIX}*"):
        lock = _lock(folder)
        try:
            with lock:
                _remove(folder, lock)
        except (Timeout, OSError):  # its page is alive, or it is another user's
            continue


def _remove(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)


FOLDER, _held = _own_folder()
RESULTS = FOLDER / "results"
RESULTS.mkdir()
atexit.register(_remove, FOLDER, _held)
remove_abandoned(FOLDER.parent)

# Gradio reads these while it is imported. It would ask a proxy for the page's own address.
_exceptions = next(filter(None, map(os.environ.get, NO_PROXY)), "")
os.environ.update(dict.fromkeys(NO_PROXY, "*"))
os.environ["GRADIO_TEMP_DIR"] = str(FOLDER)


def allow_proxy(host: str) -> None:
    """Let the user's proxy be asked again, as a public link may need, but never for the page itself at ``host``."""
    names = filter(None, (LOOPBACK, host, _exceptions))
    os.environ.update(dict.fromkeys(NO_PROXY, ",".join(names)))


def new_folder() -> Path:
    """An empty folder for the files of one run, under a name that nobody can guess: who knows a path may download.

    Folders that are older than KEEP are deleted by the way.
    """
    for old in list(RESULTS.iterdir()):
        if time.time() - old.stat().st_mtime > KEEP:
            forget(old)
    folder = RESULTS / secrets.token_hex(16)
    folder.mkdir()
    return folder


def forget(folder: Path) -> None:
    """Delete a folder that ``new_folder`` made, or one in it."""
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def kept_on_success() -> Iterator[Path]:
    """A new folder that is forgotten where an exception passes."""
    folder = new_folder()
    try:
        yield folder
    except BaseException:
        forget(folder)
        raise


def without_folders(text: str) -> str:
    """The text with every file in the private folder called by its name alone."""
    return re.sub(rf"{re.escape(str(FOLDER))}/(?:[^/\s]+/)*", "", text)
