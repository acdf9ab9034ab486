"""A registry takes parts by name, refuses a name that is taken, and helps with a name that is unknown."""

import pytest

from shield.errors import RecipeError
from shield.registry import Registry


def filled() -> Registry[int]:
    registry: Registry[int] = Registry("colour")
    registry.register("red")(1)
    registry.register("blue")(2)
    return registry


def test_is_a_mapping_in_order_of_entry() -> None:
    registry = filled()
    assert dict(registry) == {"red": 1, "blue": 2}
    assert list(registry) == ["red", "blue"]
    assert len(registry) == 2
    assert "red" in registry
    assert "green" not in registry
    assert 3 not in registry


def test_the_decorator_hands_back_the_part() -> None:
    registry: Registry[type] = Registry("shape")

    @registry.register("circle")
    class Circle:
        pass

    assert registry["circle"] is Circle
    assert Circle.__name__ == "Circle"


def test_an_unknown_name_lists_the_known_ones_sorted() -> None:
    with pytest.raises(RecipeError, match=r"^There is no colour named 'green'; choose from: blue, red\.$"):
        filled()["green"]


def test_a_taken_name_raises_and_keeps_the_first() -> None:
    registry = filled()
    with pytest.raises(ValueError, match="there is a colour named 'red' already"):
        registry.register("red")(3)
    assert registry["red"] == 1
    assert len(registry) == 2


def test_registries_do_not_share_parts() -> None:
    other: Registry[int] = Registry("colour")
    assert dict(filled()) != dict(other)
    assert len(other) == 0


def test_follows_other_mappings_as_they_are_at_every_access() -> None:
    registry, others = filled(), {"green": 3, "red": 4}
    registry.follow(others)
    assert dict(registry) == {"red": 1, "blue": 2, "green": 3}
    assert len(registry) == 3
    assert "green" in registry
    del others["green"]
    assert "green" not in registry
    with pytest.raises(RecipeError, match="no colour named 'green'"):
        registry["green"]
