"""What keeps photos on this machine: no telemetry, and one private folder for every file, deleted on exit."""

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

FOLDER = Path(tempfile.mkdtemp(prefix="shield-page-")).resolve()  # readable by this user alone
RESULTS = FOLDER / "results"
RESULTS.mkdir()
KEEP = 3600  # s that a file is kept at most
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

# Gradio and the hub's client read these while they are imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_TEMP_DIR"] = str(FOLDER)


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
