"""The container's and the Space's files name what there is. Nobody builds an image here."""

import json
import re
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from packaging.version import Version
from test_packages import named, project

import app


def lines_of(checkout: Path, word: str) -> list[str]:
    text = (checkout / "Dockerfile").read_text(encoding="utf-8")
    return [line.partition(" ")[2] for line in text.splitlines() if line.startswith(f"{word} ")]


def test_the_image_copies_what_there_is_and_what_may_come_into_it(checkout: Path) -> None:
    copied = [source for line in lines_of(checkout, "COPY") for source in line.split()[:-1]]
    let_in = (checkout / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {"shield", "models", "examples", "app.py", "pyproject.toml"} <= set(copied)
    for source in copied:
        assert (checkout / source).exists(), source
        assert f"!{source}" in let_in
    assert let_in[0] == "*"


def test_the_image_starts_the_page_for_others_than_itself_and_not_as_root(checkout: Path) -> None:
    *_, start = lines_of(checkout, "CMD")
    program, script, *options = json.loads(start)
    assert (program, script) == ("python", "app.py")
    known = typer.main.get_command(_typer())
    given = known.make_context("app.py", options).params
    assert given["host"] == "0.0.0.0" and not given["open_browser"]
    assert lines_of(checkout, "EXPOSE") == [str(given["port"])]
    assert lines_of(checkout, "USER") == ["shield"]


def _typer() -> typer.Typer:
    made = typer.Typer()
    made.command()(app.main)
    return made


def test_the_image_has_a_python_and_extras_that_the_project_asks_for(checkout: Path) -> None:
    (base,) = lines_of(checkout, "FROM")
    python = re.fullmatch(r"python:(\d+\.\d+)-slim", base)
    assert python and Version(python[1]) >= Version("3.10")
    extras = re.findall(r"pip install .*'\.\[(\w+)\]'", "\n".join(lines_of(checkout, "RUN")))
    assert extras == ["page"] and "page" in project(checkout)


def test_the_space_names_the_page_and_a_gradio_that_it_runs_on(checkout: Path) -> None:
    text = (checkout / "docs" / "page.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^    (\w+): (\S+)$", text.split("    ---")[1], re.MULTILINE))
    assert said["sdk"] == "gradio"
    assert (checkout / said["app_file"]).exists()
    assert Requirement(named(project(checkout)["page"], "gradio")).specifier.contains(said["sdk_version"])


@pytest.mark.parametrize("name", ["tests", "docs", ".git"])
def test_what_the_page_does_not_need_stays_out_of_the_image(checkout: Path, name: str) -> None:
    assert f"!{name}" not in (checkout / ".dockerignore").read_text(encoding="utf-8").splitlines()
