"""Every weight file is the one that the manifest describes, or shield refuses it in one sentence."""

import hashlib
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from shield import weights
from shield.errors import WeightsError
from shield.weights import WeightsEntry, check_weights, load_tensors, manifest, models_folder, read_weights

LARGEST = 40_000_000  # bytes: what a repository carries without complaint
NAMES = sorted(manifest())
SMALL = "landmarks68"

every_model = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models/ of one small file, which a test may break; returns the path of that file."""
    entry = manifest()[SMALL]
    shutil.copy(models_folder() / "manifest.toml", tmp_path)
    shutil.copy(models_folder() / entry.file, tmp_path)
    monkeypatch.setattr(weights, "models_folder", lambda: tmp_path)
    return tmp_path / entry.file


def test_the_copy_is_accepted_as_it_is(copied: Path) -> None:
    assert read_weights(SMALL) == copied.read_bytes()
    assert check_weights(SMALL) is None
    assert len(load_tensors(SMALL)) > 10


def test_the_manifest_lists_every_file_and_no_other() -> None:
    listed = [entry.file for entry in manifest().values()] + [f"{name}.md" for name in NAMES]
    listed += [f"{name}.jpg" for name in ("cyclegan", "detector", "ganimation", "spade", "stargan", "swap")]  # on cards
    assert sorted([*listed, "manifest.toml", "donors"]) == sorted(path.name for path in models_folder().iterdir())


@every_model
def test_the_manifest_says_everything_of_a_model(name: str) -> None:
    entry = manifest()[name]
    assert entry.name == name
    assert entry.size >= 0
    for field in fields(WeightsEntry):
        assert getattr(entry, field.name) != "", f"{name} has no {field.name}"


@every_model
def test_files_are_small_enough_hold_no_pickle_and_match_their_sha256(name: str) -> None:
    entry = manifest()[name]
    path = models_folder() / entry.file
    assert path.suffix in (".safetensors", ".onnx")
    assert path.stat().st_size < LARGEST
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256


@every_model
def test_every_model_has_a_card(name: str) -> None:
    card = (models_folder() / f"{name}.md").read_text(encoding="utf-8")
    assert card.startswith("# ")
    assert len(card) > 200


@every_model
def test_every_tensor_loads_and_is_finite(name: str) -> None:
    if not manifest()[name].file.endswith(".safetensors"):
        pytest.skip("not a file of tensors")
    tensors = load_tensors(name)
    assert tensors
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())


@pytest.mark.parametrize("place", [0, 1000, -1], ids=["first", "middle", "last"])
def test_one_altered_byte_is_refused(copied: Path, place: int) -> None:
    data = bytearray(copied.read_bytes())
    data[place] ^= 1
    copied.write_bytes(data)
    with pytest.raises(WeightsError, match=copied.name):
        read_weights(SMALL)
    with pytest.raises(WeightsError, match=copied.name):
        load_tensors(SMALL)
    assert copied.name in (check_weights(SMALL) or "")


def test_a_file_cut_short_is_refused(copied: Path) -> None:
    copied.write_bytes(copied.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=copied.name):
        read_weights(SMALL)


def test_a_missing_file_is_refused(copied: Path) -> None:
    copied.unlink()
    with pytest.raises(WeightsError, match=f"{copied.name} are missing"):
        read_weights(SMALL)


@pytest.mark.parametrize("data", [b"", b"no tensors at all", save({"a": torch.ones(4)})[:-1]])
def test_a_file_that_is_no_safetensors_is_refused(copied: Path, data: bytes) -> None:
    accept(copied, data)
    assert read_weights(SMALL) == data
    with pytest.raises(WeightsError, match=SMALL):
        load_tensors(SMALL)


def accept(file: Path, data: bytes) -> None:
    """Write ``data`` to the file and its sha256 into the manifest beside it."""
    table = file.parent / "manifest.toml"
    now = hashlib.sha256(data).hexdigest()
    table.write_text(table.read_text(encoding="utf-8").replace(manifest()[SMALL].sha256, now), encoding="utf-8")
    file.write_bytes(data)


def test_a_name_that_the_manifest_lacks_is_refused() -> None:
    with pytest.raises(WeightsError, match="'nobody'"):
        read_weights("nobody")


@pytest.mark.parametrize(
    "text",
    [
        "[a",
        "a = 1",
        "[a]\nfile = 'a.onnx'",
        "[a]\n" + "".join(f"{field.name} = 'x'\n" for field in fields(WeightsEntry)),
        "\udcff",
    ],
    ids=["no TOML", "no table", "fields missing", "name twice", "no UTF-8"],
)
def test_a_broken_manifest_is_refused(copied: Path, text: str) -> None:
    (copied.parent / "manifest.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WeightsError, match=r"manifest\.toml"):
        manifest()


def test_a_missing_manifest_is_refused(copied: Path) -> None:
    (copied.parent / "manifest.toml").unlink()
    with pytest.raises(WeightsError, match=r"manifest\.toml"):
        read_weights(SMALL)


def test_an_installed_package_uses_its_own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "shield" / "weights.py"))
    assert models_folder() == tmp_path / "models"
    inside = tmp_path / "shield" / "models"
    inside.mkdir(parents=True)
    assert models_folder() == inside
