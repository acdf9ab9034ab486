"""README and docs/: their links lead somewhere, their commands and their Python exist, and README stays short."""

import ast
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import shield
from shield.__main__ import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = typer.main.get_command(app)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
OPTION = re.compile(r"--[a-z][a-z-]*")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def headings(path: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert target.is_relative_to(ROOT)
        assert not anchor or anchor in headings(target), f"{name_of(page)}: {link}"


def test_every_page_is_reached_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(PAGES[0].read_text(encoding="utf-8"))}
    assert {name_of(page) for page in PAGES[1:]} <= {name_of(path) for path in linked if path.is_relative_to(ROOT)}


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The language and text of every fenced block; an indented one has none."""
    text = page.read_text(encoding="utf-8")
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield language, body
    plain = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for body in re.findall(r"(?:^    .*\n)+", plain, re.MULTILINE):
        yield "", body


def command_lines() -> list[tuple[str, str]]:
    """Every call of shield that stands in a block by itself: the page and the line."""
    found = []
    for page in PAGES:
        for language, body in blocks(page):
            calls = (part.strip() for line in body.splitlines() for part in line.split("&&"))
            found += [(name_of(page), call) for call in calls if re.match(r"(\S*/)?shield ", call) and not language]
    return found


def parsed(words: list[str]) -> None:
    """Let the real command line read the words of a call, and run nothing. Raises what click raises."""
    command: Any = COMMANDS
    context = read(command, "shield", words, None)
    while hasattr(command, "resolve_command") and (rest := [*context._protected_args, *context.args]):
        name, command, words = command.resolve_command(context, rest)
        context = read(command, name, words, context)


def read(command: Any, name: str, words: list[str], parent: Any) -> Any:
    """The context of a command whose options and arguments are right."""
    context = command.context_class(command, info_name=name, parent=parent, **command.context_settings)
    with context.scope(cleanup=False):
        command.parse_args(context, [*words])
    return context


def test_there_are_command_lines_to_check() -> None:
    assert len(command_lines()) > 30


@pytest.mark.parametrize(("page", "call"), command_lines())
def test_the_command_line_takes_what_the_pages_say(page: str, call: str) -> None:
    words = shlex.split(call, comments=True)
    words = [*itertools.takewhile(lambda word: word not in ("<", ">", "|"), words)][1:]
    parsed(words)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("protect me.jpg --no-such-option", "No such option"),
        ("protekt me.jpg", "No such command"),
        ("models import", "Missing"),
        ("bench nothing FOLDER", "No such command"),
        ("bench speed", "Missing"),
    ],
)
def test_what_the_command_line_does_not_take_is_found(call: str, error: str) -> None:
    with pytest.raises(Exception, match=error):
        parsed(call.split())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_compiles_and_its_names_exist(page: Path) -> None:
    for language, body in blocks(page):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "shield":
                assert node.attr in shield.__all__, f"{name_of(page)}: shield.{node.attr}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_names_of_shield_in_words_exist(page: Path) -> None:
    for name in re.findall(r"`shield\.([A-Za-z_]+)", page.read_text(encoding="utf-8")):
        known = name in shield.__all__ or (ROOT / "shield" / name).exists() or name == "surrogates"
        assert known or (ROOT / "shield" / f"{name}.py").exists(), f"{name_of(page)}: shield.{name}"


def test_options_in_words_exist() -> None:
    """Of shield, of a part of it, or of the page."""
    known = set(OPTION.findall((ROOT / "app.py").read_text(encoding="utf-8")))
    known |= {"--help", "--no-open", "--host", "--port", "--root-path", "--dist", "--check"}
    known |= {f"--max-{name}" for name in ("upload", "seconds", "photos")} | {"--together"}

    def collect(command: Any) -> None:
        for parameter in command.params:
            known.update([*parameter.opts, *parameter.secondary_opts])
        for part in getattr(command, "commands", {}).values():
            collect(part)

    collect(COMMANDS)
    for page in PAGES:
        for option in OPTION.findall(re.sub(r"`[a-z-]+ install.*?`", "", page.read_text(encoding="utf-8"))):
            assert option in known, f"{name_of(page)}: {option}"


def test_the_readme_is_short_and_has_its_marks() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130
    assert text.count("<!-- results: portraits -->") == 2


def test_ci_runs_the_second_set_up_command() -> None:
    (wanted,) = re.findall(r'grep -m1 -F "(.+)" README\.md', (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    commands = [line for line in PAGES[0].read_text(encoding="utf-8").splitlines() if wanted in line]
    assert len(commands) == 1 and commands[0].startswith("    python3 -m venv .venv && ")
