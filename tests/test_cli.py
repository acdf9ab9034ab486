"""The command line: what it prints and writes, its exit codes, and that bad input ends in one sentence."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import shield
from shield import cli, weights
from shield.cli import app
from shield.surrogates import surrogate

run = CliRunner().invoke


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("shield pro", ["protect"]),
        ("shield protect --preset ", [*shield.PRESETS]),
        ("shield protect --attack tan", ["tangent"]),
        ("shield protect --verify q", ["quick"]),
        ("shield verify --device cu", ["cuda"]),
    ],
)
def test_the_shell_completes_commands_and_the_names_of_values(words, completed):
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_SHIELD_COMPLETE": "complete_bash"}
    assert run(app, [], env=asked, prog_name="shield").output.split() == completed


def listing(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_what_is_left_out_of_a_photo_is_said(tmp_path, small, briefly):
    pages = [Image.fromarray(small), Image.fromarray(255 - small)]
    path, protected = tmp_path / "pages.tif", tmp_path / "me.png"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    pages[0].save(protected)
    note = "Of its 2 pages one is left, the first; the others are left out."
    result = run(app, ["verify", str(path), str(protected)])
    assert note in " ".join(result.stdout.split())
    verification = shield.verify_photo(path, protected)
    report = json.loads(verification.report.to_json())
    assert report["schema"] == 6 and report["original"]["notes"] == [note] and report["protected"]["notes"] == []


def test_protect_writes_prints_and_agrees_with_the_api(photo, briefly):
    result = run(app, ["protect", str(photo), "--steps", "2", "--seed", "7", "--format", "png"])
    protection = shield.protect(photo, shield.Recipe(steps=2, seed=7, format="png"))
    assert result.exit_code == (0 if protection.report.reached else 1), result.output
    assert " ".join(result.stdout.split()).startswith(protection.report.lead())
    assert photo.with_name("me.shield.png").read_bytes() == protection.data
    assert {path.name for path in photo.parent.iterdir()} == {
        "me.jpg",
        "me.shield.png",
        "me.shield.json",
        "me.shield.sheet.png",
    }


def test_json_is_the_report_and_nothing_else(photo, briefly):
    result = run(app, ["protect", str(photo), "--steps", "2", "--json"])
    report = json.loads(result.stdout)
    assert report == json.loads(photo.with_name("me.shield.json").read_text())
    assert report["protected"]["format"] == "jpeg"
    assert {row["channel"] for row in report["effects"]} >= {"none", "jpeg75"}
    assert {row["picture"] for row in report["effects"]} == {"protected", "resaved", "noise"}


def test_quiet_prints_nothing(photo, briefly):
    result = run(app, ["protect", str(photo), "--steps", "1", "--quiet"])
    assert (result.stdout, result.stderr) == ("", "")


def test_not_reaching_the_effect_is_exit_code_1(photo, briefly):
    result = run(app, ["protect", str(photo), "--steps", "1", "--surrogate", "dlib", "--preset", "subtle"])
    assert result.exit_code == 1, result.output
    assert photo.with_name("me.shield.jpg").exists()


def test_not_keeping_the_bound_is_exit_code_1_and_writes_nothing(photo):
    before = listing(photo.parent)
    result = run(app, ["protect", str(photo), "--steps", "1", "--quality", "1", "--preset", "subtle"])
    assert result.exit_code == 1
    assert "Saving this photo" in result.stderr
    assert listing(photo.parent) == before


def test_verify_reads_the_recipe_beside_the_file(photo, tmp_path, briefly):
    first = run(app, ["protect", str(photo), "--steps", "2", "--preset", "strong", "--quiet"])
    assert first.exit_code in (0, 1), first.output
    sheet = tmp_path / "sheet.png"
    protected = str(photo.with_name("me.shield.jpg"))
    result = run(app, ["verify", str(photo), protected, "--sheet", str(sheet), "--json"])
    assert result.exit_code == first.exit_code, result.output
    report = json.loads(result.stdout)
    assert (report["recipe"]["steps"], report["recipe"]["levels"]) == (2, shield.PRESETS["strong"].levels)
    assert {row["surrogate"] for row in report["effects"] if row["seen"]} == {"dlib", "stargan"}
    with Image.open(sheet) as picture:
        assert picture.format == "PNG"


def test_verify_of_an_unprotected_photo_is_exit_code_1(photo, tmp_path, briefly):
    result = run(app, ["verify", str(photo), str(photo), "--sheet", str(tmp_path / "sheet.png")])
    assert result.exit_code == 1
    assert f"wrote {tmp_path / 'sheet.png'}" in result.stdout
    assert re.search(r"\b0 of \d+ manipulations break", " ".join(result.stdout.split()))


def test_models_lists_all_and_finds_an_altered_file(monkeypatch, tmp_path):
    assert run(app, ["models"]).exit_code == 0
    rows = json.loads(run(app, ["models", "--json"]).stdout)
    assert {row["name"] for row in rows} == set(shield.manifest())
    assert all(row["intact"] for row in rows)
    _altered_models(monkeypatch, tmp_path)
    result = run(app, ["models"])
    assert result.exit_code == 2
    assert "are not the ones shield was tested with" in result.stderr


def _altered_models(monkeypatch, tmp_path, missing=False):
    folder = tmp_path / "models"
    folder.mkdir()
    for path in weights.models_folder().iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "stargan.safetensors").unlink()
    if not missing:
        data = bytearray((weights.models_folder() / "stargan.safetensors").read_bytes())
        data[-1] ^= 1
        (folder / "stargan.safetensors").write_bytes(data)
    monkeypatch.setattr(weights, "models_folder", lambda: folder)
    monkeypatch.setattr(surrogate, "_loaded", {})


@pytest.mark.parametrize("missing", [False, True])
def test_missing_or_altered_weights_are_exit_code_2(photo, monkeypatch, tmp_path, missing):
    _altered_models(monkeypatch, tmp_path, missing)
    before = listing(tmp_path)
    result = run(app, ["protect", str(photo)])
    assert result.exit_code == 2
    assert "stargan.safetensors" in result.stderr
    assert listing(tmp_path) == before


def _png_bomb():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.fixture
def bad(tmp_path, photo):
    files = {
        "empty.jpg": b"",
        "text.jpg": b"this is no photo\n" * 50,
        "cut.jpg": photo.read_bytes()[:9000],
        "bomb.png": _png_bomb(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.jpg").mkdir()
    sky = np.linspace(90, 220, 300, dtype=np.uint8)[:, None, None].repeat(300, 1).repeat(3, 2)
    Image.fromarray(sky).save(tmp_path / "sky.png")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.jpg"], "does not exist"),
        (["folder.jpg"], "holds no photo"),
        (["empty.jpg"], "empty"),
        (["text.jpg"], "not a photo"),
        (["cut.jpg"], "damaged or cut short"),
        (["bomb.png"], "million pixels"),
        (["sky.png"], "shows no face"),
        (["me.jpg", "-o", "nowhere/me.png"], "not a folder"),
        (["me.jpg", "-o", "text.jpg/me.png"], "not a folder"),
        (["me.jpg", "-o", "/proc/me.png"], "cannot be written"),
        (["me.jpg", "-o", "me.jpg"], "never overwrites"),
        (["me.jpg", "-o", "me.gif"], "does not write"),
        (["me.jpg", "--preset", "huge"], "no preset named"),
        (["me.jpg", "--surrogate", "nobody"], "no surrogate named"),
        (["me.jpg", "--attack", "magic"], "no attack named"),
        (["me.jpg", "--format", "docx"], "does not write"),
        (["me.jpg", "--device", "quantum"], "not available"),
        (["me.jpg", "--steps", "0"], "at least 1"),
    ],
)
def test_bad_input_is_one_sentence_exit_code_2_and_nothing_written(bad, monkeypatch, arguments, words):
    monkeypatch.chdir(bad)
    before = listing(bad)
    result = run(app, ["protect", *arguments])
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert words in lines[0]
    assert "Traceback" not in result.output
    assert listing(bad) == before


def test_verify_refuses_photos_of_different_size(photo, tmp_path):
    other = tmp_path / "other.png"
    Image.new("RGB", (50, 60)).save(other)
    result = run(app, ["verify", str(photo), str(other)])
    assert result.exit_code == 2
    assert "differ in size" in result.stderr


@pytest.mark.parametrize("when", ["shield.pipeline.fit", "shield.files.os.replace"])
def test_ctrl_c_leaves_nothing(photo, when):
    code = (
        "import os, signal, unittest.mock as mock; from shield.__main__ import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"with mock.patch({when!r}, lambda *_: os.kill(os.getpid(), signal.SIGINT)): main()"
    )
    before = listing(photo.parent)
    call = [sys.executable, "-c", code, "protect", str(photo), "--steps", "1", "--threads", "1"]
    result = subprocess.run(call, capture_output=True, text=True)
    assert (result.returncode, result.stderr.strip()) == (130, "shield: Cancelled.")
    assert listing(photo.parent) == before


def test_the_console_script_and_its_version():
    script = os.path.join(os.path.dirname(sys.executable), "shield")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"shield {shield.__version__}\n"


@pytest.mark.parametrize("width", [80, 60])
def test_no_terminal_is_too_narrow_for_a_column(width, monkeypatch):
    console = Console(width=width, file=io.StringIO())
    monkeypatch.setattr(cli, "console", console)
    names = ["cyclegan, unseen", "ganimation, unseen", "identity, unseen", "stargan", "stargan-hardened-gd"]
    titles = [*names, "control: saved only", "control: noise"]
    row = "as saved, found:centerface"
    report = Mock(table=lambda: {t: {row: n / 100} for n, t in enumerate(titles, 1)}, row_titles=lambda: (row,))
    console.print(cli._table("disrupted after", report))
    shown = console.file.getvalue()
    assert all(f"{n}%" in shown for n in range(1, len(titles) + 1))
    assert max(map(len, shown.splitlines())) <= width


def test_help_shows_first_what_everybody_needs():
    """In a panel of their own, below, stand the options of a search that nobody has to know."""
    shown = run(app, ["protect", "--help"]).stdout
    everybody, research = shown.split("For research:")
    for option in ("--output", "--preset", "--format", "--person", "--force"):
        assert option in everybody and option not in research
    for option in ("--surrogate", "--attack", "--steps"):
        assert option in research and f"  {option}" not in everybody
    commands = run(app, ["--help"]).stdout
    assert "..." not in commands.split("Commands:")[1]  # no sentence is cut


def test_the_progress_of_a_verification_has_a_clock_of_its_own(monkeypatch):
    """The time that a search took says nothing about it, and a search that has ended promises no zero seconds."""
    bars = []

    class Watched(cli.Progress):
        def __init__(self, *columns, **settings):
            super().__init__(*columns, **settings)
            bars.append(self)

    monkeypatch.setattr(cli, "Progress", Watched)
    monkeypatch.setattr(cli, "errors", Console(file=io.StringIO()))
    with cli._progress(silent=False) as told:

        def task():
            (only,) = bars[0].tasks
            return only.description, only.completed, only.total

        assert task()[2] is None
        told.searching(1, 3, 0.5)
        assert task() == ("1 of 2, searching", 1, 3)
        told.searching(3, 3, 1.0)
        assert task()[2] is None
        told.verifying(0, 20)
        told.verifying(5, 20)
        assert task() == ("2 of 2, checking the saved file", 5, 20)
        assert bars[0].tasks[0].time_remaining != 0
