"""Any console and any system: encodings, narrow terminals, what Windows lacks, a port that is taken."""

import ast
import io
import math
import os
import socket
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from rich.console import Console
from typer.testing import CliRunner

import shield
from shield import cli
from shield.__main__ import main
from shield.bench.statistics import peak_memory

UNIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}  # what Windows has not


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii", "utf-8"])
def test_no_encoding_raises(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written, complained = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(complained, encoding))
    monkeypatch.setattr(sys, "argv", ["shield", "detect", "夏のé.jpg"])
    monkeypatch.setattr(shield, "detect", lambda *_, **__: Mock(sentence=lambda: "Unsure: 夏."))
    with pytest.raises(SystemExit):
        main()
    sys.stdout.flush()
    shown = written.getvalue().decode(encoding)
    assert shown.startswith("夏の" if encoding == "utf-8" else r"\u590f\u306e")
    assert ("é" in shown) == (encoding != "ascii")
    monkeypatch.setattr(sys, "argv", ["shield", "detect", "夏.jpg"])
    monkeypatch.setattr(shield, "detect", Mock(side_effect=shield.PhotoError("夏.jpg is empty.")))
    with pytest.raises(SystemExit):
        main()
    sys.stderr.flush()
    assert "jpg is empty." in complained.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_models_can_be_told_apart_on_a_narrow_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=width, file=io.StringIO())
    monkeypatch.setattr(cli, "console", console)
    assert CliRunner().invoke(cli.app, ["models"]).exit_code == 0
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    assert set(shield.manifest()) <= {line.split()[0] for line in lines if line.strip()}


def test_figures_can_be_told_apart_on_a_narrow_terminal() -> None:
    console = Console(width=20, file=io.StringIO())
    console.print(cli.Table(*map(cli._named, ("stargan-hardened-g", "stargan-hardened-gd"))))
    assert "…" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_command_line_starts_where_windows_modules_are_all_there_is(checkout: Path) -> None:
    code = "import sys; sys.modules['resource'] = None; from shield.__main__ import main; main()"
    passed = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, "bench", "--help"], env=passed, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert b"results" in done.stdout


def test_no_module_needs_unix_to_be_imported(checkout: Path) -> None:
    for path in (checkout / "shield").rglob("*.py"):
        for node in ast.parse(
            path.read_text(encoding="utf-8")
        ).body:  # what is within a function runs when it is called
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not UNIX.intersection(names), f"{path}:{node.lineno}"


def test_memory_is_not_a_number_where_nobody_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.01 < peak_memory() < 1000
    monkeypatch.setitem(sys.modules, "resource", None)
    assert math.isnan(peak_memory())


def test_a_taken_port_is_a_sentence_and_exit_code_2(checkout: Path, tmp_path: Path) -> None:
    passed = os.environ | {"PYTHONPATH": str(checkout), "TMPDIR": str(tmp_path)}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        call = [sys.executable, "app.py", "--no-open", "--port", port]
        done = subprocess.run(call, cwd=checkout, env=passed, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr.startswith(f"shield: The page cannot listen on port {port} of 127.0.0.1")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.glob("*shield*")) == []
