"""A Recipe in other spellings: the command line and the lines of Python that do the same."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from shield.errors import RecipeError
from shield.recipe import PIXELS_ALONE, STRENGTH, Recipe

REPEATED = {"surrogates": "surrogate", "edits": "edit", "transforms": "transform"}
PYTHON_ONLY = ("steered", "masked")
NO_WARP = "--no-warp"


def command_line(recipe: Recipe, photo: str = "me.jpg") -> str:
    """The ``shield protect`` command that protects the file ``photo`` by the Recipe, quoted for a shell.

    Raises RecipeError where the command line has no option for a setting.
    """
    changed = _changed(recipe)
    if hidden := [name for name in PYTHON_ONLY if name in changed]:
        raise RecipeError(f"The command line has no option for {hidden[0]!r}; use Python.")
    if recipe.preset is None:
        raise RecipeError("The command line knows no strength but the presets; use Python.")
    if changed.get("carriers", PIXELS_ALONE) != PIXELS_ALONE:
        raise RecipeError("The command line has no option for a warp alone; use Python.")
    words = [word for name, value in changed.items() if name not in STRENGTH for word in _options(name, value)]
    preset = [] if recipe.preset == Recipe().preset else ["--preset", recipe.preset]
    return shlex.join(["shield", "protect", *preset, *words, *_operand(photo)])


def python_lines(recipe: Recipe, photo: str = "me.jpg") -> str:
    """The lines of Python that protect the file ``photo`` by the Recipe."""
    changed = _changed(recipe)
    preset = ""
    if recipe.preset and set(STRENGTH) & set(changed):
        changed = {name: value for name, value in changed.items() if name not in STRENGTH}
        preset = f".with_preset({recipe.preset!r})"
    settings = ", ".join(f"{name}={value!r}" for name, value in changed.items())
    return (
        f"import shield\n\nrecipe = shield.Recipe({settings}){preset}\n"
        f"protection, written = shield.protect_file({photo!r}, recipe=recipe)\n"
        "print(protection.report.lead())\n"
    )


def _changed(recipe: Recipe) -> Mapping[str, Any]:
    """The settings that are not the defaults."""
    defaults = Recipe().settings()
    return {name: value for name, value in recipe.settings().items() if value != defaults[name]}


def _options(name: str, value: Any) -> Iterator[str]:
    """One setting as words of the command line."""
    if name == "carriers":  # the only other choice that it has
        yield NO_WARP
        return
    option = "--" + REPEATED.get(name, name).replace("_", "-")
    for item in value if isinstance(value, tuple) else (value,):
        yield option
        if item is not True:
            yield str(item)


def _operand(photo: str) -> list[str]:
    """The photo's name, which may look like an option, or like standard input."""
    if photo == "-":
        return ["./-"]
    return ["--", photo] if photo.startswith("-") else [photo]
