"""Every start keeps what it promises, and every front end finds it by itself."""

import pytest
import torch
from typer.testing import CliRunner

import shield
from shield.cli import app
from shield.faces import whole_picture
from shield.recipe import UNSEARCHED
from shield.region import region_of
from shield.starts import Start, starts
from shield.surrogates import surrogates

CPU = torch.device("cpu")
NAMES = list(starts)


@pytest.mark.parametrize("name", NAMES)
def test_its_change_lies_over_the_region_and_is_a_share(name: str) -> None:
    region = region_of(whole_picture(80, 64), 80, 64)
    if (make := starts[name].change) is None:
        return
    working = torch.rand(1, 3, *region.working_size, generator=torch.Generator().manual_seed(0))
    change, again = make(region, working), make(region, working)
    assert change.pixels.shape == working.shape
    assert change.pixels.isfinite().all() and 0 < change.pixels.abs().max() <= 1
    assert torch.equal(change.pixels, again.pixels)
    assert starts[name].bends == (change.flow is not None)
    if change.flow is not None and again.flow is not None:
        assert change.flow.field.isfinite().all() and 0 < change.flow.field.abs().max() <= 1
        assert torch.equal(change.flow.field, again.flow.field)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_is_fitted_to_and_its_levels_are_usable(name: str) -> None:
    start = starts[name]
    assert {*start.fitted_to} <= {*surrogates}
    assert start.levels is None or 1 <= start.levels <= 255
    assert start.change is not None or not start.fitted_to


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_begins_with_it(name: str) -> None:
    recipe = shield.Recipe(start=name)
    assert recipe.beginning is starts[name]
    assert recipe.searched == recipe.surrogates


def test_by_default_the_beginning_is_random_and_an_attack_that_is_none_is_its_own() -> None:
    assert shield.Recipe().beginning == Start()
    for attack, start in UNSEARCHED.items():
        alone = shield.Recipe(attack=attack)
        assert alone.beginning is starts[start] and alone.searched == ()


def test_a_new_one_is_found_and_an_unknown_one_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "_followed", [{"elsewhere": Start()}])
    assert shield.Recipe(start="elsewhere").beginning == Start()
    with pytest.raises(shield.RecipeError, match="choose from: elsewhere, protector, random, universal"):
        shield.Recipe(start="nowhere")


def test_the_help_names_every_start() -> None:
    words = CliRunner().invoke(app, ["protect", "--help"], env={"COLUMNS": "200"}).stdout
    assert ", ".join(NAMES) in " ".join(words.split())
