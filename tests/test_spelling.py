"""A Recipe in other spellings: what they say is what they do."""

import json
import shlex

import pytest
from typer.testing import CliRunner

import shield
from shield.cli import app

RECIPES = [
    shield.Recipe(),
    shield.Recipe(seed=3, steps=7, format="png", keep_exif=True).with_preset("subtle"),
    shield.Recipe().with_preset("strong"),
    shield.Recipe(surrogates=("stargan", "cyclegan"), transforms=("none", "jpeg75"), edits=("male",), whole=True),
    shield.Recipe(person="Ann"),
    shield.Recipe(attack="pgd", bound="l2", objective="masked", classes="iterative", quality=90, device="cpu"),
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("photo", ["me.jpg", "my photo's.jpg", "--me.jpg"])
def test_the_command_line_gives_the_same_recipe(monkeypatch, recipe, photo):
    asked = []
    monkeypatch.setattr(shield, "protect_file", lambda *arguments, **_: asked.append(arguments) or pytest.exit)
    first, *words = shlex.split(shield.command_line(recipe, photo))
    assert first == "shield"
    CliRunner().invoke(app, words)
    (path, _, given, *_), *_ = asked
    assert (str(path), given) == (photo, recipe)


@pytest.mark.parametrize("recipe", [*RECIPES, shield.Recipe(face_lpips=0.03, masked=False)])
def test_the_lines_of_python_give_the_same_recipe(monkeypatch, recipe):
    asked = []
    monkeypatch.setattr(shield, "protect_file", lambda *a, **k: asked.append((a, k)) or (_Silent(), []))
    exec(shield.python_lines(recipe, "it's me.jpg"), {})
    assert asked == [(("it's me.jpg",), {"recipe": recipe})]


class _Silent:
    @property
    def report(self):
        return self

    def lead(self):
        return ""


@pytest.mark.parametrize("recipe", [shield.Recipe(face_lpips=0.03), shield.Recipe(steered=False)])
def test_what_the_command_line_cannot_say_is_a_sentence(recipe):
    with pytest.raises(shield.RecipeError, match="use Python"):
        shield.command_line(recipe)


@pytest.mark.parametrize("recipe", RECIPES)
def test_json_gives_the_same_recipe(recipe):
    assert shield.Recipe.of(json.loads(recipe.to_json())) == recipe


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"stepps": 3}, "no setting named 'stepps'"),
        ({"steps": "3"}, "'steps' is '3'"),
        ({"steps": True}, "'steps' is True"),
        ({"whole": 1}, "'whole' is 1"),
        ({"surrogates": "stargan"}, "'surrogates' is 'stargan'"),
        ({"surrogates": [1]}, "'surrogates'"),
        ({"format": 3}, "'format' is 3"),
        ({"steps": 0}, "at least 1"),
    ],
)
def test_settings_of_strangers_are_checked(settings, words):
    with pytest.raises(shield.RecipeError, match=words):
        shield.Recipe.of(settings)


def test_a_whole_number_is_a_float_as_well():
    assert shield.Recipe.of({"face_lpips": 1}).face_lpips == 1
