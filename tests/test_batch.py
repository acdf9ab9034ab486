"""Many photos: what is wrong with one ends nothing, and nobody's files are lost or overwritten."""

import json
import os
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from stand_in import stand_in
from typer.testing import CliRunner

import shield
from shield import batch
from shield.cli import app
from shield.photo import decode, encode, open_photo
from shield.results import space_for

run = CliRunner().invoke
ESCAPES = "\x1b[31mred\x9b0m\nshield: fine\u202e.jpg"


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two photos, one without a face, one that keeps to no bound, and other things."""
    monkeypatch.setattr(batch, "protect", stand_in)
    monkeypatch.setattr(shield, "protect", stand_in)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "album"
    folder.mkdir()
    for name, colour in {"a.jpg": (9, 9, 9), "b.PNG": (255, 0, 0), "c.png": (0, 255, 0), "d.heic": (8, 9, 9)}.items():
        Image.new("RGB", (80, 80), colour).save(folder / name)
    (folder / "notes.txt").write_text("no photo")
    (folder / "._a.jpg").write_text("what macOS leaves")
    Image.new("RGB", (80, 80)).save(folder / "old.shield.sheet.png")
    (folder / "deeper").mkdir()
    return folder


def listing(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# In Python


def test_an_error_about_one_photo_is_its_outcome() -> None:
    def work(photo: str | Path) -> int:
        raised = {
            "a": shield.PhotoError("a"),
            "b": shield.FaceError("b"),
            "c": MemoryError(),
            "d": RuntimeError("full"),
        }
        if error := raised.get(str(photo)):
            raise error
        return 7

    outcomes = list(batch.each_photo("abcde", work))
    assert [outcome.photo for outcome in outcomes] == [*"abcde"]
    assert [outcome.result for outcome in outcomes] == [None] * 4 + [7]
    assert [type(outcome.error) for outcome in outcomes] == [
        shield.PhotoError,
        shield.FaceError,
        shield.SearchError,
        shield.SearchError,
        type(None),
    ]
    assert "The work on d broke down (full)" in str(outcomes[3].error)


@pytest.mark.parametrize("error", [shield.RecipeError("x"), shield.WeightsError("x"), KeyboardInterrupt(), KeyError()])
def test_what_is_wrong_for_every_photo_or_cancels_is_raised(error: BaseException) -> None:
    with pytest.raises(type(error)):
        list(batch.each_photo("ab", Mock(side_effect=error)))


def test_a_folder_is_its_photos(album: Path) -> None:
    assert [path.name for path in batch.photos_in(album)] == ["a.jpg", "b.PNG", "c.png", "d.heic"]
    assert [path.name for path in batch.photos_in(album, 1)] == ["a.jpg"]
    empty = list(batch.each_photo([album / "deeper", "x"], lambda photo: 1))
    assert [outcome.result for outcome in empty] == [None, 1]
    assert "holds no photo" in str(empty[0].error)


@pytest.mark.parametrize("path", ["", Path("keep"), "nul\0", "n" * 300])
def test_what_is_no_path_is_a_photo_error(path: str | Path, album: Path) -> None:
    (outcome,) = batch.each_photo([path], shield.protect_file)
    assert isinstance(outcome.error, shield.PhotoError)
    assert path != "" or "'' is empty" in str(outcome.error)


def test_two_photos_under_one_chosen_name_keep_their_reports(album: Path) -> None:
    for name in ("keep.jpg", "keep.heic"):
        shield.protect_file(album / ("a.jpg" if name == "keep.jpg" else "d.heic"), album.parent / name)
    reports = {json.loads(path.read_text())["protected"]["name"] for path in album.parent.glob("*.json")}
    assert reports == {"keep.jpg", "keep.heic"}
    assert len(list(album.parent.glob("*.sheet.png"))) == 2


@pytest.mark.parametrize("kind", ["photo", "report", "sheet"])
def test_no_existing_result_is_overwritten_and_that_is_known_before_the_search(
    kind: str, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, written = shield.protect_file(album / "a.jpg")
    for path in written:
        if path.suffix != {"photo": ".jpg", "report": ".json", "sheet": ".png"}[kind]:
            path.unlink()
    before, search = listing(album), Mock(side_effect=stand_in)
    monkeypatch.setattr(batch, "protect", search)
    with pytest.raises(shield.PhotoError, match="is there already"):
        shield.protect_file(album / "a.jpg")
    with pytest.raises(shield.PhotoError, match="is there already"):
        stand_in(album / "a.jpg").save(written[0])
    assert listing(album) == before and not search.called
    _, again = shield.protect_file(album / "a.jpg", force=True)
    assert again == written


def test_a_full_disk_is_noticed_before_the_search(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, search = listing(album), Mock()
    monkeypatch.setattr(batch, "protect", search)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Mock(free=1_000_000))
    with pytest.raises(shield.PhotoError, match="has 1 MB left"):
        shield.protect_file(album / "a.jpg")
    assert listing(album) == before and not search.called


@pytest.mark.parametrize("kind", shield.WRITABLE)
def test_the_estimate_is_above_what_is_written(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    assert len(encode(open_photo(noise), kind)) < space_for(open_photo(noise), kind)


# On the command line


def test_protect_goes_on_after_a_bad_photo(album: Path) -> None:
    result = run(app, ["protect", "album", "", "none.jpg"])
    assert result.exit_code == 2
    lines = result.stderr.strip().splitlines()
    complaints = [line for line in lines if line.startswith("shield: ")]
    assert len(complaints) == 4
    for name, words in {"b.PNG": "no face", "c.png": "fits the bound", "''": "is empty", "none.jpg": "exist"}.items():
        assert sum(name in line and words in line for line in complaints) == 1, complaints
    assert {path.name for path in album.glob("[a-d].shield.*")} == {
        *("a.shield.jpg", "a.shield.json", "a.shield.sheet.png"),
        *("d.shield.heic", "d.shield.json", "d.shield.sheet.png"),
    }
    assert "Protected. " in result.stdout


def test_json_holds_an_entry_for_every_photo(album: Path) -> None:
    result = run(app, ["protect", "album", "none.jpg", "--json", "-o", "."])
    entries = json.loads(result.stdout)
    assert [Path(entry["photo"]).name for entry in entries] == ["a.jpg", "b.PNG", "c.png", "d.heic", "none.jpg"]
    assert [list(entry)[1:] for entry in entries] == [
        ["files", "report"],
        ["error"],
        ["error"],
        ["files", "report"],
        ["error"],
    ]
    assert entries[0]["report"]["protected"]["name"] == "a.shield.jpg"
    assert all(Path(file).parent == Path(".") and Path(file).is_file() for file in entries[3]["files"])
    one = run(app, ["protect", "album/b.PNG", "--json"])
    assert json.loads(one.stdout)["error"] in one.stderr and one.exit_code == 2


@pytest.mark.parametrize(("photos", "code"), [(["a.jpg"], 0), (["a.jpg", "c.png"], 1), (["c.png", "b.PNG"], 2)])
def test_the_worst_photo_decides_the_exit_code(photos: list[str], code: int, album: Path) -> None:
    assert run(app, ["protect", *(f"album/{name}" for name in photos), "--quiet"]).exit_code == code


def test_photos_of_one_name_are_not_written_over_one_another(album: Path) -> None:
    shutil.copytree(album, album.parent / "other")
    assert run(app, ["protect", "album/a.jpg", "other/a.jpg", "-o", ".", "--force"]).exit_code == 2
    report = json.loads(Path("a.shield.json").read_text())
    assert len(list(Path().glob("*.shield.json"))) == 1 and report["original"]["name"] == "a.jpg"


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_dash_is_standard_input_and_output(format: str, album: Path) -> None:
    data, before = Path("album/a.jpg").read_bytes(), listing(album)
    for arguments in (["-"], ["album/a.jpg", "-o", "-"], ["-", "-o", "-"]):
        result = run(app, ["protect", *arguments, "--format", format], input=data)
        assert result.exit_code == 0, result.stderr
        assert decode(result.stdout_bytes).format == format
        assert "break on the saved file" in " ".join(result.stderr.split())
    assert listing(album) == before and not Path("-").exists()
    assert run(app, ["protect", "-", "-o", "kept.png"], input=data).exit_code == 0
    assert decode(Path("kept.png").read_bytes()).format == "png"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["protect", "-", "--json"], "both for standard output"),
        (["protect", "-", "album/a.jpg"], "are for one photo"),
        (["protect", "album", "-o", "-"], "are for one photo"),
        (["protect", "album", "-o", "none"], "'none' is not a folder"),
        (["protect", "album/a.jpg", "-o", ""], "'' is empty"),
        (["protect", "-", "-o", "album"], "has no name"),
        (["verify", "-", "-"], "is one photo"),
        (["verify", "", "album/a.jpg"], "'' is empty"),
        (["verify", "-", "album/a.jpg", "--sheet", "-", "--json"], "both for standard output"),
        (["detect", "-"], "is empty"),
    ],
)
def test_what_streams_cannot_do_is_a_sentence(arguments: list[str], words: str, album: Path) -> None:
    before = listing(album.parent)
    result = run(app, arguments, input=b"" if arguments[0] == "detect" else (album / "a.jpg").read_bytes())
    assert result.exit_code == 2
    assert words in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert listing(album.parent) == before


def test_detect_goes_on_after_a_bad_photo(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(source: Any, **_: object) -> shield.Verdict:
        if str(source) == "landscape.jpg":
            raise shield.FaceError("landscape.jpg shows no face.")
        return Mock(sentence=lambda: f"judged {source}", to_dict=lambda: {"photo": source})

    monkeypatch.setattr(shield, "detect", judged)
    result = run(app, ["detect", "a.jpg", "landscape.jpg", "c.jpg"])
    assert (result.exit_code, result.stderr) == (2, "shield: landscape.jpg shows no face.\n")
    assert result.stdout.splitlines() == ["a.jpg: judged a.jpg", "c.jpg: judged c.jpg"]
    result = run(app, ["detect", "a.jpg", "landscape.jpg", "c.jpg", "--json"])
    failed = {"photo": "landscape.jpg", "error": "landscape.jpg shows no face."}
    assert json.loads(result.stdout) == [{"photo": "a.jpg"}, failed, {"photo": "c.jpg"}]
    assert result.exit_code == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_no_name_of_a_file_steers_the_terminal(album: Path) -> None:
    shutil.copy("album/a.jpg", ESCAPES)
    shown = "\\x1b[31mred\\x9b0m\\nshield: fine\\u202e.jpg"
    for arguments in (
        ["protect", ESCAPES],
        ["protect", ESCAPES, "album"],
        ["protect", ESCAPES],  # is there already
        ["detect", ESCAPES + ".none"],
        ["verify", "album/a.jpg", "album/a.jpg", ESCAPES],
        ["train", "stargan", "--data", ESCAPES, "--out", ESCAPES + "/out"],
        ["models", "import", ESCAPES + ".pth", "--as", "stargan"],
    ):
        output = run(app, arguments).output
        assert not {"\x1b", "\x9b", "\u202e"} & set(output), arguments
        assert not any(line.startswith("shield: fine") for line in output.splitlines()), arguments
        assert shown[:18] in output, (arguments, output)


def test_printable_leaves_what_people_write() -> None:
    plain = "Zoë & 李四 🙂👨‍👩‍👧 علي [bold].jpg"
    assert shield.printable(plain) == plain
    assert shield.printable("\udcff\t\u2028") == "\\udcff\\t\\u2028"
    assert str(shield.PhotoError("a\x1bb")) == "a\\x1bb"
