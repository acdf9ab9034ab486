"""What installing shield does to the packages beside it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def project(checkout: Path) -> dict[str, list[str]]:
    settings = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"core": settings["dependencies"], **settings["optional-dependencies"]}


def named(requirements: list[str], name: str) -> str:
    """The requirement of that package, as written."""
    return next(text for text in requirements if text.startswith(name) and not text[len(name)].isalnum())


def test_torchattacks_leaves_requests_alone(checkout: Path) -> None:
    """Its later versions ask for requests 2.25 and no other, so that pip would put back what others need."""
    asked = named(project(checkout)["core"], "torchattacks")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    done = subprocess.run([*pip, asked], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        pytest.skip(f"pip reaches no index here: {done.stderr.strip().splitlines()[-1]}")
    found = {part["metadata"]["name"].lower(): part["metadata"] for part in json.loads(done.stdout)["install"]}
    assert "torchattacks" in found
    assert "requests" not in found, found["requests"]["version"]


def test_the_core_needs_no_page_and_development_needs_everything(checkout: Path) -> None:
    asked = project(checkout)
    assert not any(text.startswith("gradio") for text in asked["core"])
    assert named(asked["page"], "gradio")
    # Not matplotlib: the page's library imports it where it is there, and it leaves a list of fonts in the home.
    assert {*asked} - {"core", "dev"} == {"page", "bench", "credentials", "cluster"}
    assert "shield[page,credentials,cluster]" in asked["dev"]


def test_the_library_and_the_command_line_start_without_what_only_some_work_needs(checkout: Path) -> None:
    """Without Gradio where it is not installed, and without the second that torchvision takes, which LPIPS brings."""
    code = (
        "import sys; sys.modules['gradio'] = None; import shield.__main__; "
        "names = 'gradio', 'fastapi', 'pandas', 'torchvision', 'ray', 'matplotlib'; "
        "assert not any(name.startswith(names) for name in sys.modules if name != 'gradio')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_page_without_gradio_says_what_to_install(checkout: Path) -> None:
    code = "import sys, runpy; sys.modules['gradio'] = None; runpy.run_path('app.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr.strip() == "shield: The page needs Gradio; install it with: pip install 'shield[page]'"
