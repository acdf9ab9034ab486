"""The house keeps its order: who may use whom, what is public, what has no place."""

import ast
import graphlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import shield

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "shield"
MODULES = sorted(PACKAGE.rglob("*.py"))
PAGE = sorted((PACKAGE / "page").glob("*.py"))
PACKAGES = [path for path in MODULES if path.name == "__init__.py"]

# Of shield, each room (a module or a package directly under shield/) uses only these. "shield" stands for the public
# names in shield/__init__.py.
MAY_USE = {
    "shield": "attacks batch bounds channels credentials detection doctor drawing errors faces folders generators "
    "objectives photo pipeline privacy quality recipe results spelling starts summary surrogates training verify "
    "weights",
    "errors": "",
    "credentials": "errors",
    "objectives": "errors registry",
    "persons": "errors faces objectives surrogates weights",
    "separable": "",
    "masking": "separable",
    "privacy": "",
    "device": "errors",
    "photo": "credentials errors formats",
    "files": "errors photo",
    "formats": "errors",
    "registry": "errors",
    "weights": "errors",
    "lpips": "errors photo weights",
    "starts": "carriers errors faces region registry surrogates weights",
    "generators": "device errors registry surrogates torch_state weights",
    "faces": "errors photo registry weights",
    "surrogates": "errors faces files objectives photo registry torch_state weights",
    "flip": "separable",
    "diversity": "",
    "carriers": "errors region",
    "skin": "faces masking",
    "irises": "faces",
    "bounds": "device faces flip irises lpips registry skin",
    "visibility": "bounds faces flip irises lpips skin",
    "attacks": "bounds errors photo registry",
    "channels": "formats photo registry",
    "disruption": "bounds channels device diversity faces frames objectives skin surrogates",
    "frames": "faces",
    "region": "faces photo",
    "swap": "device errors faces photo region registry surrogates weights",
    "drawing": "faces photo",
    "detection": "errors faces files photo region registry surrogates torch_state weights",
    "recipe": "attacks bounds channels device errors objectives persons photo starts surrogates",
    "spelling": "errors recipe",
    # Verification opens files and measures. It never asks the search, so attacks and disruption are not for it.
    "verify": "bounds carriers channels credentials detection device errors faces files formats frames lpips "
    "objectives photo recipe region registry surrogates swap torch_state visibility weights",
    "results": "files photo verify",
    "search": "attacks bounds carriers channels device disruption errors faces frames lpips masking objectives "
    "persons photo recipe region surrogates",
    "fit": "bounds carriers device errors photo recipe region visibility",
    "pipeline": "attacks credentials device fit photo recipe region results search surrogates torch_state verify",
    "batch": "attacks credentials errors files photo pipeline recipe results verify",
    "workers": "errors",
    "cluster": "errors workers",
    "journal": "errors files photo results",
    "folders": "attacks batch cluster credentials device errors files journal photo recipe results verify weights "
    "workers",
    "summary": "batch errors files photo results",
    "quality": "errors faces lpips photo surrogates torch_state training",
    "training": "attacks bounds carriers channels detection device disruption diversity errors faces frames generators "
    "lpips masking objectives recipe region registry search skin starts surrogates swap torch_state weights",
    "bench": "attacks batch bounds channels detection device disruption errors faces files frames lpips objectives "
    "photo pipeline recipe region registry search shield starts surrogates swap training verify masking weights",
    "doctor": "channels device errors faces photo pipeline privacy recipe surrogates swap verify weights",
    "cli": "shield",
    "page": "shield",
    "console": "",
    "torch_state": "errors",
    "__main__": "bench cli console",
}
ADVICE = "if that is meant, say so in MAY_USE of tests/test_layout.py"
NAMELESS = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "shield" if first == "__init__" else first


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every import from shield, wherever it stands: its line and the room it comes from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top, _, rest = alias.name.partition(".")
                if top == "shield":
                    yield node.lineno, rest.split(".")[0] or "shield"
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "." * node.level
        elif isinstance(node, ast.ImportFrom) and node.module == "shield":
            for alias in node.names:
                yield node.lineno, "shield" if alias.name in shield.__all__ else alias.name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shield."):
            yield node.lineno, str(node.module).split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_uses_only_what_it_may(path: Path) -> None:
    room = room_of(path)
    assert room in MAY_USE, f"{name_of(path)} is new: enter {room!r} and what it may use into MAY_USE"
    allowed = {room, *MAY_USE[room].split()}
    for line, used in imported(parsed(path)):
        assert used in allowed, f"{name_of(path)}:{line}: {room} uses {used}; {ADVICE}"


@pytest.mark.parametrize("path", [ROOT / "app.py", PACKAGE / "cli.py", *PAGE], ids=name_of)
def test_front_ends_use_only_public_names(path: Path) -> None:
    tree = parsed(path)
    own = {"page"} if path.name == "app.py" or path in PAGE else set()
    for line, used in imported(tree):
        assert used in {"shield"} | own, f"{name_of(path)}:{line}: uses {used}, not a public name of shield"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "shield":
            assert node.attr in shield.__all__, f"{name_of(path)}:{node.lineno}: shield.{node.attr} is not public"


def test_no_room_uses_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        room = room_of(path)
        graph.setdefault(room, set()).update(used for _, used in imported(parsed(path)) if used != room)
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("import torch", []),
        ("import shield", ["shield"]),
        ("import shield.photo as p, os", ["photo"]),
        ("from shield import Recipe, photo", ["shield", "photo"]),
        ("from shield.verify.report import Effect", ["verify"]),
        ("def f():\n    from shield.attacks import adam", ["attacks"]),
        ("from . import photo", ["."]),
        ("from shieldwall import x", []),
    ],
)
def test_imports_are_found(source: str, rooms: list[str]) -> None:
    assert [room for _, room in imported(ast.parse(source))] == rooms


def order(name: str) -> tuple[int, str]:
    """Ruff's order (RUF022): CONSTANTS, then Classes, then the rest."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_public_names_are_complete_sorted_and_there(path: Path) -> None:
    module = importlib.import_module(".".join(path.parent.relative_to(ROOT).parts))
    imports = [node for node in ast.walk(parsed(path)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    taken = {alias.asname or alias.name for node in imports for alias in node.names}
    names: list[str] = getattr(module, "__all__", [])
    assert names == sorted(names, key=order)
    assert len(names) == len(set(names))
    assert taken <= set(names)
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.parent != PACKAGE or path.stem[0] != "_"], ids=name_of
)
def test_no_name_shadows_a_module(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    module = importlib.import_module(name)
    package, _, last = name.rpartition(".")
    found = getattr(sys.modules[package], last)
    assert found is module, f"{package}.{last} is {found!r}, so that 'import {name} as x' finds no module"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_prints_but_the_command_line(path: Path) -> None:
    calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    lines = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert lines == [] or room_of(path) == "cli"


def test_every_module_has_a_name_that_says_something() -> None:
    assert [name_of(path) for path in MODULES if path.name in NAMELESS] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(parsed(path))
