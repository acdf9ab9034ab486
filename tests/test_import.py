"""Importing a model through the command line, keeping it, losing it; and surrogates from outside shield."""

import hashlib
import inspect
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import published_layouts as layouts
import pytest
import test_surrogates
import torch
from published_layouts import random_weights
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

import shield
from shield import weights
from shield.cli import app
from shield.errors import InputError, PhotoError, RecipeError, WeightsError
from shield.surrogates import STUDENTS, Surrogate, imported, judges, load_surrogate, load_surrogates, own, surrogates
from shield.surrogates import surrogate as room
from shield.verify import PLAN
from shield.weights import imported_models, load_tensors, user_models_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CPU = torch.device("cpu")
WEIGHTS = random_weights(layouts.stargan(4))
run = CliRunner().invoke


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "200000-G.ckpt"
    torch.save(WEIGHTS, path)
    return path


@pytest.fixture
def mine(home: Path, checkpoint: Path) -> Path:
    """The file of a model imported as "mine", 64 px."""
    shield.import_model(checkpoint, "stargan", "mine", 64)
    return home / "mine.safetensors"


@pytest.fixture
def other_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone when it ends."""
    monkeypatch.setattr(surrogates, "_parts", dict(surrogates._parts))
    monkeypatch.setattr(surrogates, "_followed", list(surrogates._followed))
    monkeypatch.setattr(room, "_loaded", {})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def noise(size: int = 64) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def listing(folder: Path) -> dict[str, bytes]:
    """What a folder holds, without the lock, which comes and goes."""
    paths = [path for path in folder.iterdir() if path.name != ".lock"] if folder.exists() else []
    return {path.name: path.read_bytes() for path in paths}


# Import


def test_the_command_imports_says_so_and_records_everything(home: Path, checkpoint: Path) -> None:
    before = checkpoint.read_bytes()
    command = ["models", "import", str(checkpoint), "--as", "stargan", "--name", "mine", "--size", "64"]
    result = run(app, [*command, "--attributes", "Black_Hair,Eyeglasses,Smiling,Male,Young"])
    assert result.exit_code == 0, result.output
    for word in ("200000-G.ckpt", sha256(checkpoint)[:12], "Eyeglasses; Smiling", "Licence: MIT", "--surrogate mine"):
        assert word in " ".join(result.stdout.split())
    assert checkpoint.read_bytes() == before
    assert sorted(listing(home)) == ["manifest.toml", "mine.safetensors"]
    row = tomllib.loads((home / "manifest.toml").read_text(encoding="utf-8"))["mine"]
    assert row == {
        "file": "mine.safetensors",
        "sha256": sha256(home / "mine.safetensors"),
        "licence": "MIT",
        "source": "200000-G.ckpt",
        "size": 64,
        "what": "Face manipulator: Black_Hair; Eyeglasses; Smiling; Male; Young.",
        "training": "Imported as StarGAN, float16.",
        "family": "stargan",
        "source_sha256": sha256(checkpoint),
        "attributes": "Black_Hair,Eyeglasses,Smiling,Male,Young",
    }
    assert load_surrogate("mine", CPU).edits == ("Black_Hair", "Eyeglasses", "Smiling", "Male", "Young")


def test_the_command_says_which_weights_it_took_and_that_it_numbered_the_edits(home: Path, tmp_path: Path) -> None:
    torch.save({"g": WEIGHTS, "g_ema": WEIGHTS}, tmp_path / "x.pt")
    result = run(app, ["models", "import", str(tmp_path / "x.pt"), "--as", "stargan", "--name", "mine"])
    words = " ".join(result.stdout.split())
    assert "Face manipulator: condition 1; condition 2; condition 3; condition 4; condition 5." in words
    assert "from its smoothed weights g_ema; its conditions are numbered, since a file does not name them." in words


def test_a_manifest_of_before_there_were_attributes_is_read(mine: Path) -> None:
    path = mine.parent / "manifest.toml"
    path.write_text("".join(row for row in path.read_text().splitlines(True) if not row.startswith("attributes")))
    assert imported_models()["mine"].attributes == ""
    assert load_surrogate("mine", CPU).edits[0] == "condition 1"


def test_the_description_of_many_edits_is_cut_short(home: Path, tmp_path: Path) -> None:
    torch.save(random_weights(layouts.stargan(2, 40)), tmp_path / "x.pt")
    assert shield.import_model(tmp_path / "x.pt", "stargan").what.endswith("condition 8; 32 more.")


def test_the_file_holds_the_weights_as_float16_without_statistics(mine: Path) -> None:
    stored = load_file(mine)
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert stored.keys() == {key for key in WEIGHTS if not key.endswith(("mean", "var", "tracked"))}
    assert all(torch.equal(stored[key].float(), WEIGHTS[key]) for key in stored)


def test_numbers_that_float16_cannot_hold_stay_float32(home: Path, tmp_path: Path) -> None:
    large = {**WEIGHTS, "main.1.weight": torch.full((4,), 1e5)}
    torch.save(large, tmp_path / "large.pth")
    entry = shield.import_model(tmp_path / "large.pth", "stargan")
    stored = load_file(home / entry.file)
    assert stored["main.1.weight"].dtype == torch.float32
    assert torch.equal(stored["main.1.weight"], large["main.1.weight"])


def test_an_imported_model_is_a_surrogate_at_once_and_reads_nothing_before_use(mine: Path) -> None:
    assert "mine" in surrogates
    assert list(surrogates) == [*surrogates._parts, "mine"]
    assert shield.Recipe(surrogates=("mine",)).surrogates == ("mine",)
    surrogate = load_surrogate("mine", CPU)
    assert (surrogate.name, surrogate.size, surrogate.licence) == ("mine", 64, "MIT")
    assert surrogate(noise()).shape == (2, 5, 3, 64, 64)
    mine.unlink()
    assert dict(surrogates).keys() >= {"mine", "stargan"}


def test_without_a_name_or_size_family_and_file_make_them(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "weights 199 (é).pth"
    torch.save(WEIGHTS, path)
    entry = shield.import_model(path, "stargan")
    assert (entry.name, entry.size) == ("stargan-weights-199-", 128)
    assert imported_models()[entry.name].source == path.name


@pytest.fixture
def one_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification tries every network on the file as it is saved, and after nothing else."""
    for name, value in {"channels": ("none",), "frames": ("exact",)}.items():
        monkeypatch.setitem(vars(PLAN), name, value)


def test_protect_and_verify_use_an_imported_model(mine: Path, photo: Path, one_channel: None) -> None:
    result = run(app, ["protect", str(photo), "--surrogate", "mine", "--steps", "2", "--no-robust", "--json"])
    assert result.exit_code in (0, 1), result.output
    report = json.loads(result.stdout)
    assert report["weights"]["mine"] == sha256(mine)
    assert {row["surrogate"] for row in report["effects"] if row["seen"]} == {"mine"}
    assert {row["surrogate"] for row in report["effects"] if not row["seen"]} == {
        *surrogates._parts,
        *judges._parts,
    } - {*STUDENTS}


def test_models_lists_imported_ones(mine: Path) -> None:
    result = run(app, ["models"])
    assert result.exit_code == 0
    assert "mine" in result.stdout
    rows = json.loads(run(app, ["models", "--json"]).stdout)
    assert [row["name"] for row in rows] == [*shield.manifest(), "mine"]
    assert rows[-1]["intact"] is True
    assert rows[-1]["family"] == "stargan"


def test_several_models_share_the_folder(mine: Path, checkpoint: Path, tmp_path: Path) -> None:
    torch.save(random_weights(layouts.resnet(4)), tmp_path / "latest_net_G.pth")
    shield.import_model(tmp_path / "latest_net_G.pth", "cyclegan", "a.b-c")
    shield.import_model(checkpoint, "stargan", "third", 32)
    assert list(imported_models()) == ["mine", "a.b-c", "third"]
    assert [load_surrogate(name, CPU).size for name in imported_models()] == [64, 256, 32]


def test_any_source_name_survives_the_manifest(mine: Path, tmp_path: Path) -> None:
    names = ['a"b\\c.pth', "tab\there\x7f.pth", "ünï 😀.pth"] + (["\udcff.pth"] if sys.platform == "linux" else [])
    for number, name in enumerate(names):
        torch.save(WEIGHTS, tmp_path / "plain.pth")
        (tmp_path / "plain.pth").rename(tmp_path / name)
        shield.import_model(tmp_path / name, "stargan", f"m{number}")
        assert imported_models()[f"m{number}"].source == name.replace("\udcff", "?")


# Refusals


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"family": "gan"}, RecipeError, "no family of published networks named 'gan'; choose from: aggan, attgan, "),
        ({"name": "stargan"}, InputError, "There is a model named 'stargan' already; choose another name with --name"),
        ({"name": "CenterFace"}, InputError, "There is a model named 'CenterFace' already"),
        ({"name": "MINE"}, InputError, "There is a model named 'MINE' already"),
        ({"name": "mine"}, InputError, "There is a model named 'mine' already"),
        ({"name": "../mine"}, InputError, "cannot be a model's name; take up to 64 letters"),
        ({"name": ""}, InputError, "cannot be a model's name"),
        ({"name": "a" * 65}, InputError, "cannot be a model's name"),
        ({"size": 130}, InputError, "The size is 130 px; StarGAN takes multiples of 4 from 32 to 1024"),
        ({"size": 0}, InputError, "The size is 0 px"),
        ({"size": 2048}, InputError, "The size is 2048 px"),
        ({"attributes": "Black_Hair"}, InputError, "has 5 conditions, where 1 attributes are named; name every one"),
        ({"path": "nowhere.pth"}, InputError, r"nowhere\.pth cannot be read \(No such file or directory\)\.$"),
        ({"path": "."}, InputError, r"cannot be read \(Is a directory\)"),
        ({"family": "aggan"}, WeightsError, r"it fits StarGAN, so import it as stargan\.$"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_changes_nothing(
    options: dict[str, Any], error: type[Exception], words: str, mine: Path, checkpoint: Path
) -> None:
    before = listing(mine.parent)
    arguments: dict[str, Any] = {"path": checkpoint, "family": "stargan", "name": "new"} | options
    with pytest.raises(error, match=words):
        shield.import_model(**arguments)
    assert listing(mine.parent) == before


def test_a_refusal_of_the_command_is_one_sentence_and_exit_code_2(mine: Path, checkpoint: Path) -> None:
    before = listing(mine.parent)
    for words in (["--name", "mine"], ["--size", "3"]):
        result = run(app, ["models", "import", str(checkpoint), "--as", "stargan", *words])
        assert result.exit_code == 2
        assert result.stderr.startswith("shield: The")
        assert result.stderr.count("\n") == 1
    result = run(app, ["models", "import", str(checkpoint), "--as", "aggan"])
    assert result.exit_code == 2
    assert "is not a generator of AGGAN" in result.stderr
    assert listing(mine.parent) == before


def test_a_folder_that_cannot_be_made_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SHIELD_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(InputError, match=r"cannot be created .* SHIELD_MODELS"):
        shield.import_model(checkpoint, "stargan")


def test_a_write_that_fails_leaves_the_manifest_as_it_was(
    mine: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (mine.parent / "manifest.toml").read_bytes()

    def full(old: Path, new: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PhotoError, match="No space left"):
        shield.import_model(checkpoint, "stargan", "new")
    assert (mine.parent / "manifest.toml").read_bytes() == before
    assert not list(mine.parent.glob(".shield-*"))


def altered(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "words"),
    [(altered, "are not the ones that were imported"), (Path.unlink, "are missing")],
    ids=["altered", "missing"],
)
def test_an_altered_or_missing_file_is_refused(
    harm: Callable[[Path], None], words: str, mine: Path, photo: Path
) -> None:
    harm(mine)
    with pytest.raises(
        WeightsError, match=f"mine.safetensors {words}.*'shield models remove mine' and import it again"
    ):
        load_surrogate("mine", CPU)
    for command in (["models"], ["protect", str(photo)], ["verify", str(photo), str(photo)]):
        result = run(app, command)
        assert result.exit_code == 2
        assert words in result.stderr
    assert sorted(path.name for path in photo.parent.glob("me*")) == ["me.jpg"]
    assert run(app, ["models", "remove", "mine"]).exit_code == 0
    assert run(app, ["models"]).exit_code == 0


BROKEN = {
    "no TOML": b"[a",
    "no table": b"a = 1",
    "fields missing": b"[a]\nfile = 'a'",
    "no UTF-8": b"\xff",
    "another type": b"",
    "a path": b"",
}


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, mine: Path) -> Path:
    """A manifest that cannot be used."""
    path = mine.parent / "manifest.toml"
    text = path.read_bytes()
    changed = {
        "another type": text.replace(b"size = 64", b"size = '64'"),
        "a path": text.replace(b'file = "mine', b'file = "../mine'),
    }
    path.write_bytes(changed.get(request.param, BROKEN[request.param]))
    return path


def test_a_broken_manifest_is_a_sentence_where_it_is_used_and_stays_as_it_is(broken: Path, checkpoint: Path) -> None:
    before = listing(broken.parent)
    words = r"manifest\.toml cannot be read \(.*\); mend it, or delete it and import again\.$"
    actions: tuple[Callable[[], Any], ...] = (
        lambda: surrogates["mine"],
        lambda: list(surrogates),
        lambda: load_surrogates(CPU),
        lambda: shield.import_model(checkpoint, "stargan", "new"),
        lambda: shield.remove_model("mine"),
        lambda: imported_models(),
    )
    for action in actions:
        with pytest.raises(WeightsError, match=words):
            action()
    result = run(app, ["models"])
    assert result.exit_code == 2
    assert "manifest.toml cannot be read" in result.stderr
    assert listing(broken.parent) == before
    assert surrogates["stargan"]
    assert load_tensors("stargan")


def test_a_broken_manifest_breaks_neither_import_nor_help(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "manifest.toml").write_text("[a")
    code = "import shield; shield.SURROGATES['stargan']; from shield.__main__ import main; main()"
    command = [sys.executable, "-W", "error::UserWarning:shield", "-c", code, "protect", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "see shield models" in " ".join(result.stdout.split())


def test_a_model_of_a_family_that_is_gone_is_refused(mine: Path) -> None:
    path = mine.parent / "manifest.toml"
    path.write_text(path.read_text().replace('family = "stargan"', 'family = "gone"'))
    with pytest.raises(RecipeError, match="no family of published networks named 'gone'"):
        load_surrogate("mine", CPU)


# Several at once


WORKERS, MODELS = 4, 3


def busy(number: int, folder: Path, file: Path, start: Barrier) -> None:
    """One process of several: imports, under a name that all want and names of its own, and removes one of those."""
    os.environ["SHIELD_MODELS"] = str(folder)
    torch.set_num_threads(1)
    start.wait(60)
    try:
        shield.import_model(file, "stargan", "wanted", 64)
        file.with_suffix(".won").touch()
    except InputError:  # another was first
        pass
    for model in range(MODELS):
        shield.import_model(file, "stargan", f"of-{number}-{model}", 64)
    shield.remove_model(f"of-{number}-0")


def test_several_processes_at_once_lose_nothing(home: Path, tmp_path: Path) -> None:
    several = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    several.set_forkserver_preload(["shield", __name__])  # torch is imported once for all of them
    start = several.Barrier(WORKERS)
    files = [tmp_path / f"{number}.pth" for number in range(WORKERS)]
    for number, file in enumerate(files):
        torch.save(random_weights(layouts.stargan(2), number), file)
    workers = [several.Process(target=busy, args=(n, home, file, start)) for n, file in enumerate(files)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * WORKERS
    kept = {f"of-{number}-{model}" for number in range(WORKERS) for model in range(1, MODELS)}
    assert imported_models().keys() == kept | {"wanted"}
    assert {name: shield.check_weights(name) for name in imported_models()} == dict.fromkeys(imported_models())
    [won] = [file for file in files if file.with_suffix(".won").exists()]
    assert imported_models()["wanted"].source == won.name
    assert listing(home).keys() == {"manifest.toml"} | {f"{name}.safetensors" for name in imported_models()}


def test_a_folder_that_is_held_is_a_sentence_and_is_free_when_its_holder_is_killed(
    mine: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imported, "PATIENCE", 0.1)
    before = listing(mine.parent)
    code = (
        "import sys, time; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(mine.parent / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline().strip() == b"held"
        for action in (lambda: shield.import_model(checkpoint, "stargan", "new"), lambda: shield.remove_model("mine")):
            with pytest.raises(InputError, match=r"models is held by another shield; try again when that is done\.$"):
                action()
        assert listing(mine.parent) == before
        holder.kill()
    shield.import_model(checkpoint, "stargan", "new")
    assert list(imported_models()) == ["mine", "new"]


# Removal


def test_a_removed_model_is_gone_and_its_name_is_free(mine: Path, tmp_path: Path) -> None:
    first = load_surrogate("mine", CPU)(noise())
    result = run(app, ["models", "remove", "mine"])
    assert (result.exit_code, result.stdout) == (0, "removed mine\n")
    assert list(listing(mine.parent)) == ["manifest.toml"]
    with pytest.raises(RecipeError, match="no surrogate named 'mine'"):
        load_surrogate("mine", CPU)
    torch.save(random_weights(layouts.stargan(4), seed=1), tmp_path / "other.pth")
    shield.import_model(tmp_path / "other.pth", "stargan", "mine", 64)
    assert float((load_surrogate("mine", CPU)(noise()) - first).abs().max()) > 0.1


@pytest.mark.parametrize("name", ["stargan", "nobody"])
def test_only_what_was_imported_can_be_removed(name: str, mine: Path) -> None:
    result = run(app, ["models", "remove", name])
    assert result.exit_code == 2
    assert f"no imported model named '{name}'; imported are: mine" in result.stderr
    assert shield.check_weights("stargan") is None


# The folder


def test_the_folder_is_the_platforms_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHIELD_MODELS", "~/networks")
    assert user_models_folder() == Path.home() / "networks"
    monkeypatch.delenv("SHIELD_MODELS")
    monkeypatch.setattr(weights, "user_data_path", lambda name, appauthor: tmp_path / name)
    assert user_models_folder() == tmp_path / "shield" / "models"


def test_the_tests_see_no_models_of_whoever_runs_them() -> None:
    assert imported_models() == {}


# Surrogates from outside


@pytest.fixture
def surrogate(other_parts: None, checkout: Path) -> Surrogate:
    runpy.run_path(str(checkout / "examples" / "own_surrogate.py"))
    return load_surrogate("edges", CPU)


pair = test_surrogates.pair  # a fixture of theirs
for _name, _promise in vars(test_surrogates).items():
    if _name.startswith("test_") and "surrogate" in inspect.signature(_promise).parameters:
        globals()[_name] = _promise


def test_the_example_is_short_and_runs(
    other_parts: None,
    one_channel: None,
    checkout: Path,
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    example = checkout / "examples" / "own_surrogate.py"
    assert len(example.read_text(encoding="utf-8").splitlines()) < 30
    monkeypatch.setattr(sys, "argv", [str(example), str(photo)])
    protect = shield.protect
    quick = {"steps": 1, "transforms": shield.PLAIN}
    monkeypatch.setattr(
        shield, "protect", lambda path, recipe, plan: protect(path, replace(recipe, **quick), plan=plan)
    )
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_a_taken_name_cannot_be_registered(other_parts: None) -> None:
    with pytest.raises(ValueError, match="there is a surrogate named 'stargan' already"):
        shield.register_surrogate("stargan")(lambda device: load_surrogate("stargan", device))


def test_what_is_no_surrogate_is_a_sentence(other_parts: None) -> None:
    with pytest.raises(InputError, match=r"'wrong' has no name, size, framing, .*distance; add that to it"):
        shield.register_surrogate("wrong")(lambda device: torch.nn.Identity())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="registered as 'other' calls itself 'stargan'"):
        shield.register_surrogate("other")(lambda device: load_surrogate("stargan", device))
    assert not {"wrong", "other"} & set(surrogates)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_parts: None) -> None:
    """An installed package with a surrogate that works and three that do not."""
    info = tmp_path / "site" / "facelab-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: facelab\nVersion: 1.0\n")
    points = {
        "edges": "facelab:edges",
        "absent": "facelab:nothing",
        "broken": "facelab.broken:load",
        "fails": "facelab:fails",
    }
    rows = "\n".join(f"{name} = {target}" for name, target in points.items())
    (info / "entry_points.txt").write_text(f"[shield.surrogates]\n{rows}\n")
    module = tmp_path / "site" / "facelab" / "__init__.py"
    module.parent.mkdir()
    module.write_text(
        "from pathlib import Path\n"
        f"example = {str(Path(__file__).parents[1] / 'examples' / 'own_surrogate.py')!r}\n"
        "def edges(device):\n"
        "    source = Path(example).read_text().replace('@shield.register_surrogate(\"edges\")', '')\n"
        "    scope = {'__name__': 'x'}\n"
        "    exec(source, scope)\n"
        "    return scope['load_edges'](device)\n"
        "def fails(device):\n"
        "    raise OSError('no such weights')\n"
    )
    module.with_name("broken.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    surrogates.follow(own.installed())


def test_an_installed_package_brings_surrogates(package: None) -> None:
    assert {"edges", "absent", "broken", "fails"} <= set(surrogates)
    assert "facelab" not in sys.modules  # imported when used
    assert load_surrogate("edges", CPU)(noise(128)).shape == (2, 1, 3, 128, 128)
    sys.modules.pop("facelab")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
        ("absent", "AttributeError: .*nothing"),
        ("fails", "OSError: no such weights"),
    ],
)
def test_one_that_cannot_be_loaded_is_a_sentence_when_used(name: str, words: str, package: None, photo: Path) -> None:
    with pytest.raises(
        InputError, match=f"surrogate '{name}' of the package facelab .*cannot be loaded \\({words}.*uninstall"
    ):
        load_surrogate(name, CPU)
    assert surrogates["stargan"]
    result = run(app, ["protect", str(photo), "--surrogate", name])
    assert result.exit_code == 2
    assert "cannot be loaded" in result.stderr
    sys.modules.pop("facelab", None)
