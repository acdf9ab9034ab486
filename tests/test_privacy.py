"""Nothing leaves the machine: what protect, detect and the page ask for and write, dependencies included."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SOCKS = "socks5://127.0.0.1:9"  # nobody listens there

# Before anything else is imported: every address, name and file that Python connects to, looks up or writes.
WATCH = """
import json, os, sys
log = []

def watch(event, words):
    if event in ("socket.connect", "socket.sendto"):
        log.append((event, words[1][0] if isinstance(words[1], tuple) else str(words[1])))
    elif event == "socket.getaddrinfo":
        log.append((event, str(words[0])))
    elif event == "open" and words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        log.append((event, os.fsdecode(words[0]) if isinstance(words[0], (str, bytes)) else ""))

sys.addaudithook(watch)
"""
TELL = """
with open("log.json", "w") as file:
    json.dump(log, file)
"""
LIBRARY = """
import shield
plan = shield.Plan(surrogates=("stargan",), channels=("none",), held=1, few=1)
shield.protect_file("me.jpg", recipe=shield.Recipe(steps=1), plan=plan)
shield.detect("me.jpg")
"""
PAGE = """
from pathlib import Path
from shield.page import site
from shield.page.options import Options
import gradio_client

def visit():
    visitor = gradio_client.Client(page.local_url, verbose=False, download_files=False)
    print(visitor.predict(gradio_client.handle_file("me.jpg"), api_name="/detect"))

options = Options(Path.cwd())
page = site.build(options)
page.block_thread = visit  # where the page would wait for visitors
site.serve(page, options, host="127.0.0.1")
page.close()
"""


@dataclass(frozen=True)
class Watched:
    """A process with a home of its own, whose proxy and whose every connection is logged."""

    folder: Path
    proxy: str
    asked: list[str]  # of the proxy

    def run(self, program: str, **environment: str) -> set[tuple[str, str]]:
        """What the program connects to, looks up and writes, as (event, place)."""
        for name in ("home", "temporary"):
            (self.folder / name).mkdir(exist_ok=True)
        kept = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "SHIELD_MODELS")  # CI is not: dependencies are shy there
        passed = {name: os.environ[name] for name in kept if name in os.environ}
        own = {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "temporary"),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
            "http_proxy": self.proxy,
            "https_proxy": self.proxy,
        }
        call = [sys.executable, "-c", WATCH + textwrap.dedent(program) + TELL]
        everything = passed | own | environment
        done = subprocess.run(call, cwd=self.folder, env=everything, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return {(event, place) for event, place in json.loads((self.folder / "log.json").read_text())}

    def left(self) -> set[str]:
        """The files in the home and in the folder for temporary ones (torch makes an empty folder there), and pages."""
        places = [*self.folder.glob("home/**/*"), *self.folder.glob("temporary/**/*")]
        kept = [path for path in places if not path.is_dir() or path.name.startswith("shield")]
        return {path.relative_to(self.folder).as_posix() for path in kept}


@pytest.fixture
def watched(photo: Path) -> Iterator[Watched]:
    asked: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            asked.append(self.requestline)
            self.send_error(403)

        do_GET = do_HEAD = do_POST = do_CONNECT = refuse  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Watched(photo.parent, f"http://127.0.0.1:{server.server_port}", asked)
        server.shutdown()


def far(log: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Everything in the log that is not this machine."""
    return {
        (event, place) for event, place in log if event != "open" and place not in ("127.0.0.1", "localhost", "::1")
    }


def written(log: set[tuple[str, str]], folder: Path) -> set[str]:
    """The files of the log outside ``folder``."""
    paths = {Path(place) for event, place in log if event == "open" and place}
    return {
        str(path)
        for path in paths
        if not (path.is_relative_to(folder) or path == Path(os.devnull)) and path.is_absolute()
    }


def test_protect_and_detect_ask_nobody_and_write_nothing_but_results(watched: Watched) -> None:
    log = watched.run(LIBRARY)
    assert far(log) == set()
    assert watched.asked == []
    assert written(log, watched.folder) == set()
    assert watched.left() == set()


def test_the_page_asks_nobody_whatever_the_proxy_and_leaves_nothing(watched: Watched) -> None:
    log = watched.run(PAGE, all_proxy=SOCKS)
    assert ("socket.connect", "127.0.0.1") in log
    assert far(log) == set()
    assert watched.asked == []
    assert written(log, watched.folder) == set()
    assert watched.left() == set()


def test_the_watch_sees_what_goes_out(watched: Watched) -> None:
    program = """
    import socket, urllib.request
    try:
        urllib.request.urlopen("http://example.invalid")
    except OSError:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sent:
        sent.connect(("192.0.2.1", 9))  # of the addresses that nobody has
    open(os.path.expanduser("~/id"), "w").close()
    """
    log = watched.run(program)
    assert far(log) == {("socket.connect", "192.0.2.1")}
    assert watched.asked == ["GET http://example.invalid HTTP/1.1"]
    assert watched.left() == {"home/id"}
    assert written(log, watched.folder / "temporary") >= {str(watched.folder / "home" / "id")}
