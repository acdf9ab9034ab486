"""False identities: keys that tell no name, one made-up face for all recognisers, and a search that goes towards it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import shield
from shield import persons, search
from shield.bench.experiments import Setting, experiments
from shield.bench.experiments import persons as bench
from shield.bench.photos import photos_below
from shield.carriers import written
from shield.cli import app
from shield.errors import RecipeError
from shield.faces import PORTRAIT, detect
from shield.objectives.output import output
from shield.persons import Towards, key_of, made_up, nobodies
from shield.photo import from_array
from shield.region import region_of, shares
from shield.surrogates import RECOGNISERS, judges, load_surrogate

CPU = torch.device("cpu")
NAME, KEY = "Ann Example", key_of("Ann Example")
EVERY = (*RECOGNISERS, *judges)
Pixels = NDArray[np.uint8]


class Colours:
    """A recogniser by the mean colour, which is a direction."""

    name, size, framing, edits = "colours", 8, PORTRAIT, ("recognise",)
    licence, threshold, makes_pictures = "none", 0.5, False

    def __call__(self, faces: Tensor) -> Tensor:
        return torch.nn.functional.normalize(faces.mean((2, 3)) - 0.5, dim=1)[:, None]

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        return (results - clean).square().sum(2)


class Negative(Colours):
    """A manipulator."""

    makes_pictures = True

    def __call__(self, faces: Tensor) -> Tensor:
        return 1 - 2 * faces[:, None]

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        return (results - clean).square().flatten(2).mean(2)


def picture(embedding: Tensor) -> Tensor:
    """A face (1, 3, 8, 8) of which Colours makes this embedding (1, 1, 3)."""
    return (0.5 + 0.4 * embedding[0, 0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)


# Keys


@pytest.mark.parametrize("name", [NAME, "  ann\texample ", "ANN EXAMPLE", KEY])
def test_a_key_is_the_same_however_the_name_is_written(name: str) -> None:
    assert key_of(name) == KEY
    assert persons.KEY.fullmatch(KEY)


def test_another_name_has_another_key() -> None:
    assert len({key_of(name) for name in ("Ann", "Bob", "Carl", "Dora", KEY)}) == 5


@pytest.mark.parametrize("name", ["", "  \t", "\n"])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="has no name"):
        shield.Recipe(person=name)


def test_what_is_no_name_is_refused() -> None:
    with pytest.raises(RecipeError, match="give a name"):
        shield.Recipe(person=7)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="'person' is 7"):
        shield.Recipe.of({"person": 7})


def test_a_recipe_holds_no_name_and_its_settings_make_it_anew() -> None:
    recipe = shield.Recipe(person=NAME, seed=3)
    for text in (recipe.to_json(), repr(recipe), shield.command_line(recipe), shield.python_lines(recipe)):
        assert KEY in text
        assert "Ann" not in text and "Example" not in text
    assert shield.Recipe.of(json.loads(recipe.to_json())) == recipe == replace(recipe, steps=recipe.steps)
    assert shield.Recipe().person is None


# Made-up faces


@pytest.fixture(scope="module")
def real() -> dict[str, Tensor]:
    """The faces that made-up ones are mixed of, as every recogniser sees them."""
    return {name: nobodies(load_surrogate(name, CPU), CPU) for name in EVERY}


def test_a_made_up_face_is_one_person_for_every_recogniser(real: dict[str, Tensor]) -> None:
    """Whom it resembles more and whom less does not depend on who is asked; of random directions it would."""
    likeness = []
    for embeddings in real.values():
        mean, made = embeddings.mean(0), torch.cat([made_up(embeddings, f"key-{number:04}") for number in range(10)])
        likeness.append(torch.nn.functional.cosine_similarity(made - mean, (embeddings - mean)[:, 0], dim=2).flatten())
    assert float(torch.corrcoef(torch.stack(likeness)).min()) > 0.7


@pytest.mark.parametrize("name", EVERY)
def test_a_made_up_face_is_the_keys_own_and_nobodys(name: str, real: dict[str, Tensor]) -> None:
    recogniser = load_surrogate(name, CPU)
    one, again, other = (made_up(real[name], key) for key in ("key-0000", "key-0000", "key-0001"))
    assert (one == again).all()
    assert one.shape == real[name][:1].shape
    assert float(one.norm()) == pytest.approx(float(real[name].norm(dim=2).mean()), rel=1e-5)
    assert float(recogniser.distance(one, other)) > recogniser.threshold / 2
    assert float(recogniser.distance(real[name], one).min()) > recogniser.threshold / 2


# The pull


@pytest.fixture
def towards(monkeypatch: pytest.MonkeyPatch) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor]:
    """The measure of Colours, the clean embedding, and the made-up one, which is orthogonal to it."""
    clean, made = torch.tensor([[[1.0, 0, 0]]]), torch.tensor([[[0, 1.0, 0]]])
    monkeypatch.setattr(persons, "nobodies", lambda recogniser, device: made)
    monkeypatch.setattr(persons, "made_up", lambda embeddings, key: embeddings)
    return Towards(output, KEY)(Colours(), picture(clean)), clean, made


def test_the_measure_is_nothing_at_the_clean_face_and_beyond_the_line_at_the_made_up_one(
    towards: tuple[Callable[[Tensor], Tensor], Tensor, Tensor],
) -> None:
    measure, clean, made = towards
    assert measure(picture(clean)) == pytest.approx(torch.zeros(1, 2), abs=1e-5)
    assert measure(picture(made)) == pytest.approx(torch.tensor([[2 / 0.5, persons.TOWARDS * 2 / 1.5]]), rel=1e-4)
    elsewhere = measure(picture(torch.tensor([[[0, 0, 1.0]]])))
    assert elsewhere == pytest.approx(torch.tensor([[2 / 0.5, 0]]), abs=1e-4)


def test_a_person_who_looks_like_the_made_up_face_still_has_a_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = torch.tensor([[[1.0, 0, 0]]])
    monkeypatch.setattr(persons, "nobodies", lambda *_: clean)
    monkeypatch.setattr(persons, "made_up", lambda embeddings, key: embeddings)
    measure = Towards(output, KEY)(Colours(), picture(clean))
    assert measure(picture(torch.tensor([[[0, 1.0, 0]]]))).isfinite().all()


def test_manipulators_are_measured_as_without_a_person() -> None:
    face, changed = torch.rand(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    negative = Negative()
    assert (Towards(output, KEY)(negative, face)(changed) == output(negative, face)(changed)).all()


QUICK = shield.Recipe(
    surrogates=("mobilefacenet",), steps=4, transforms=shield.PLAIN, attack="pgd", steered=False, carriers=("pixels",)
)


def searched(pixels: Pixels, recipe: shield.Recipe) -> Pixels:
    """The photo with what the search found, and nothing measured."""
    region = region_of(detect(pixels)[0], pixels.shape[1], pixels.shape[0])
    change = search.search(search.Task(from_array(pixels), region, shares([region])[0], "png"), recipe)
    return written(pixels, [region], [change], recipe.levels)


def test_photos_of_one_person_move_towards_one_face(small: Pixels) -> None:
    """The photo and its mirror picture; without a person they stay away from it."""
    recogniser, name = load_surrogate("mobilefacenet", CPU), "Ann"
    made = made_up(nobodies(recogniser, CPU), key_of(name))
    for photo in (small, np.ascontiguousarray(small[:, ::-1])):
        alone, together = (searched(photo, replace(QUICK, person=person)) for person in (None, name))
        far, near = (float(recogniser.distance(bench.embedding(recogniser, it), made)) for it in (alone, together))
        assert near < far - 0.1


def test_without_a_person_no_made_up_face_is_asked_for(small: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "Towards", None)
    searched(small, replace(QUICK, steps=1))


def test_a_person_without_a_recogniser_is_refused(small: Pixels) -> None:
    with pytest.raises(RecipeError, match="is for recognisers"):
        shield.protect(small, shield.Recipe(surrogates=("stargan",), person="Ann", steps=1))


# The command line


def test_the_command_line_takes_a_name_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[shield.Recipe] = []
    monkeypatch.setattr(shield, "protect_file", lambda *arguments, **_: asked.append(arguments[2]) or pytest.exit)
    (tmp_path / "key").write_bytes(b"\x00any\xff")
    for words in (["--person", NAME], ["--person", KEY], ["--person-key", str(tmp_path / "key")], []):
        CliRunner().invoke(app, ["protect", "me.jpg", *words])
    names = [recipe.person for recipe in asked]
    assert names[:2] == [KEY, KEY]
    assert persons.KEY.fullmatch(str(names[2])) and names[2] != KEY
    assert names[3] is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--person", "Ann", "--person-key", "me.txt"], "leave one of them out"),
        (["--person-key", "nowhere.txt"], "cannot be read"),
        (["--person", " "], "has no name"),
    ],
)
def test_bad_persons_are_a_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me.txt").write_text("Ann")
    result = CliRunner().invoke(app, ["protect", "me.jpg", *words])
    assert result.exit_code == 2
    assert sentence in result.stderr


# The benchmark


def test_the_mean_of_photos_is_known_where_none_of_them_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they share is the person; the rest differs."""
    clean = torch.tensor([[[1.0, 0, 0]]])
    sides = [(0.0, 1.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)]
    photos = [
        torch.nn.functional.normalize(torch.tensor([[[0.6, 0, 0]]]) + 0.8 * torch.tensor(side), dim=2) for side in sides
    ]
    monkeypatch.setattr(bench, "embedding", lambda recogniser, it: it)
    found = bench.known(Colours(), photos, clean)  # type: ignore[arg-type]
    assert (found.each, found.mean) == (0.0, True)
    assert found.distance == pytest.approx(0, abs=1e-5)
    shared = [torch.nn.functional.normalize(photo + torch.tensor([0, 2.0, 0]), dim=2) for photo in photos]
    assert not bench.known(Colours(), shared, clean).mean  # type: ignore[arg-type]


def test_a_mean_is_as_long_as_what_it_is_of() -> None:
    embeddings = torch.randn(5, 1, 7, generator=torch.Generator().manual_seed(0))
    mean = bench.central(embeddings)
    assert mean.shape == (1, 1, 7)
    assert float(mean.norm()) == pytest.approx(float(embeddings.norm(dim=2).mean()), rel=1e-5)
    assert torch.nn.functional.cosine_similarity(mean, embeddings.mean(0, True), dim=2) == pytest.approx(1, rel=1e-5)


def test_every_network_is_asked_in_every_way(tmp_path: Path, small: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ann/0.png", "ann/1.png", "few/0.png", "0.png", "1.png"):  # the last two are nobody's
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(small).save(tmp_path / name)
    monkeypatch.setattr(bench, "judges", {"fr_feature": None})
    monkeypatch.setattr(bench, "PHOTOS", 2)
    recipe = shield.Recipe(surrogates=("mobilefacenet",), steps=1, format="png")
    setting = Setting(photos_below(tmp_path), recipe=recipe)
    (case,) = experiments["persons"].cases(setting)
    assert (case.name, [file.name for file in case.files]) == ("ann", ["0.png", "1.png"])
    table = experiments["persons"].table(case.measure())
    assert [(line["network"], line["photos"]) for line in table] == [
        (name, way) for name in ("mobilefacenet", "fr_feature") for way in (bench.CLEAN, bench.ALONE, bench.TOWARDS)
    ]
    assert table[0]["known, each"] == table[0]["known by their mean"] == 1 and table[0]["persons"] == 1


def test_lfw_persons_have_so_many_photos_each(shared: Path) -> None:
    found = bench.persons_of(Setting(faces=shared / "data" / "faces", count=2))
    assert len(found) == 2
    assert all(len(photos) == bench.PHOTOS for photos in found.values())
    assert all(pixels.shape == (bench.SIDE, bench.SIDE, 3) for photos in found.values() for pixels in photos)
