"""A surrogate of one's own is tried when it is registered; what it does not keep is a sentence with its name."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import shield
from shield.surrogates import own, promises, surrogate, surrogates

CPU = torch.device("cpu")


class Mine:
    """Keeps everything: two edits on faces of 16 px."""

    name, size, framing, edits = "mine", 16, shield.Framing(), ("a", "b")
    licence, threshold, makes_pictures = "CC0-1.0", 0.05, True

    def __call__(self, faces: Tensor) -> Any:
        return torch.stack([faces, 1 - faces], 1)

    def distance(self, results: Tensor, clean: Tensor) -> Any:
        return (results - clean).square().flatten(2).mean(2)


class Embedding(Mine):
    """The same for a network that only embeds."""

    makes_pictures = False

    def __call__(self, faces: Tensor) -> Any:
        return torch.stack([faces.flatten(1), faces.flatten(1)], 1)


@pytest.fixture(autouse=True)
def other_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone when it ends."""
    monkeypatch.setattr(surrogates, "_parts", dict(surrogates._parts))
    monkeypatch.setattr(surrogate, "_loaded", {})


def with_results(change: Callable[[Tensor], Any], kind: type[Mine] = Mine) -> type[Mine]:
    return type("Changed", (kind,), {"__call__": lambda self, faces: change(kind.__call__(self, faces))})


def with_distance(change: Callable[[Tensor], Any]) -> type[Mine]:
    distance = Mine.distance
    return type("Changed", (Mine,), {"distance": lambda self, *pair: change(distance(self, *pair))})


def with_setting(**settings: object) -> type[Mine]:
    return type("Changed", (Mine,), settings)


class Fails(Mine):
    """A network with an error in it."""

    def __call__(self, faces: Tensor) -> Any:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


class Frozen(Mine):
    """A network that takes no gradient along."""

    @torch.no_grad()
    def __call__(self, faces: Tensor) -> Any:
        return super().__call__(faces)


class Deaf(Mine):
    """A network that does not look at the face."""

    weight = torch.ones((), requires_grad=True)

    def __call__(self, faces: Tensor) -> Any:
        return self.weight * super().__call__(faces).detach()


FAULTS = {
    "no gradient": (Frozen, r"results with a gradient, and has results detached"),
    "detached": (with_results(Tensor.detach), r"results with a gradient, and has results detached"),
    "numpy": (with_results(lambda r: r.detach().numpy()), r"a float tensor \(2, 2, 3, 16, 16\), and has numpy.ndarray"),
    "list": (with_results(list), r"float tensor .*, and has builtins.list"),
    "edits": (with_results(lambda r: r[:, :1]), r"\(2, 2, 3, 16, 16\), and has torch.float32 \(2, 1, 3, 16, 16\)"),
    "axes": (with_results(lambda r: r[:, 0]), r"\(2, 2, 3, 16, 16\), and has torch.float32 \(2, 3, 16, 16\)"),
    "swapped": (with_results(lambda r: r.movedim(2, 4)), r"and has torch.float32 \(2, 2, 16, 16, 3\)"),
    "size": (with_results(lambda r: r[..., :8, :8]), r"\(2, 2, 3, 16, 16\), and has torch.float32 \(2, 2, 3, 8, 8\)"),
    "levels": (with_results(lambda r: (255 * r).to(torch.uint8)), r"and has torch.uint8"),
    "not numbers": (with_results(lambda r: r / 0 * 0), r"results that are numbers"),
    "embeds": (with_results(lambda r: r[..., None], Embedding), r"results as a float tensor \(2, 2, 1\)"),
    "rounded": (with_results(torch.round), r"a gradient from its distances to the faces, and has zeros"),
    "deaf": (Deaf, r"a gradient from its distances to the faces, and has none"),
    "steep": (with_results(lambda r: (r - r.detach()).sqrt()), "a gradient .*, and has values that are no numbers"),
    "fails": (Fails, r"fails on faces \(2, 3, 16, 16\) \(RuntimeError: mat1 and mat2"),
    "distance": (with_distance(Tensor.mean), r"distances as a float tensor \(2, 2\), and has torch.float32 \(\)"),
    "number": (with_distance(float), "fails in its distance"),
    "far": (with_distance(Tensor.detach), "distances with a gradient"),
    "size's kind": (with_setting(size=16.0), "a size in px, and has 16.0"),
    "edits' kind": (with_setting(edits="ab"), "a tuple of names as edits, and has 'ab'"),
    "framing": (with_setting(framing=None), "a shield.Framing or a template as framing, and has None"),
    "threshold": (with_setting(threshold=0), "a threshold above 0, and has 0"),
}


@pytest.mark.parametrize("kind", [Mine, Embedding])
def test_one_that_keeps_its_promises_enters(kind: type[Mine]) -> None:
    state = torch.get_rng_state()
    with torch.inference_mode():
        shield.register_surrogate("mine")(lambda device: kind())
    assert "mine" in surrogates
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("fault", FAULTS)
def test_one_that_does_not_is_refused_and_does_not_enter(fault: str) -> None:
    kind, words = FAULTS[fault]
    with pytest.raises(shield.InputError, match=rf"^The surrogate 'mine' .*{words}"):
        shield.register_surrogate("mine")(lambda device: kind())
    assert "mine" not in surrogates


def test_one_of_an_installed_package_is_tried_when_it_is_loaded() -> None:
    class Point:
        name, dist, value = "mine", None, "mine:Mine"

        def load(self) -> Callable[[torch.device], Mine]:
            return lambda device: FAULTS["size"][0]()

    with pytest.raises(shield.InputError, match="'mine' should have results"):
        own._load(Point(), CPU)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["stargan", "dlib"])
def test_those_of_shield_keep_them(name: str, device: torch.device) -> None:
    promises.check_promises(name, surrogate.load_surrogate(name, device), device)
