"""A second photo of the person: whom recognisers know beside it, in rows and in a sentence."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import shield
from shield.channels import AS_SAVED
from shield.cli import app
from shield.verify import Plan, verification

Pixels = NDArray[np.uint8]
PLAN = Plan(surrogates=("dlib", "fr_feature", "stargan"), channels=(AS_SAVED, "social"), held=2, few=1, found=())


@pytest.fixture(scope="module")
def changed(small: Pixels) -> Pixels:
    noise = np.random.default_rng(0).integers(-4, 5, small.shape)
    return np.clip(small.astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def report(small: Pixels, changed: Pixels) -> shield.Report:
    """Beside the mirror picture of the photo."""
    mirrored = np.ascontiguousarray(small[:, ::-1])
    return shield.verify_photo(small, changed, plan=PLAN, reference=mirrored).report


def test_recognisers_say_whom_they_know_in_every_row_and_manipulators_nothing(report: shield.Report) -> None:
    for row in report.effects:
        if row.surrogate == "stargan":
            assert row.known is row.known_clean is None
        else:
            assert row.known_clean == 1
            assert row.known == 1
    assert report.reference is not None
    assert (report.reference.width, report.reference.height) == (320, 320)


def test_everything_else_is_as_without_a_reference(report: shield.Report, small: Pixels, changed: Pixels) -> None:
    plain = shield.verify_photo(small, changed, plan=PLAN).report
    assert plain.reference is None
    assert all(row.known is None for row in plain.effects)
    without = tuple(dataclasses.replace(row, known=None, known_clean=None) for row in report.effects)
    assert plain.effects == without
    assert plain.sentence() == report.sentence()


def test_beside_another_person_nothing_can_be_said(small: Pixels, changed: Pixels, checkout: Path) -> None:
    plan = dataclasses.replace(PLAN, surrogates=("fr_feature",), channels=(AS_SAVED,))
    other = shield.verify_photo(small, changed, plan=plan, reference=checkout / "examples" / "elder.jpg").report
    assert {(row.known, row.known_clean) for row in other.effects} == {(0, 0)}
    assert "nothing can be said" in other.reference_sentence()
    assert other.reference is not None and other.reference.name == "elder.jpg"


def told(report: shield.Report, **known: float) -> str:
    """The sentence where recognisers know the person in such shares of the frames as saved."""
    rows = [
        dataclasses.replace(row, known=known[row.surrogate])
        if row.surrogate in known and row.channel == AS_SAVED and row.picture == "protected"
        else row
        for row in report.effects
    ]
    return dataclasses.replace(report, effects=tuple(rows)).reference_sentence()


def test_the_sentence_counts_those_that_know_the_original(report: shield.Report) -> None:
    ends = "; after a social network's compression 0 of 2."
    assert told(report) == f"Beside the other photo 0 of 2 recognisers no longer know the person{ends}"
    assert told(report, dlib=0.25) == f"Beside the other photo 1 of 2 recognisers no longer know the person{ends}"
    assert told(report, dlib=0.5).startswith("Beside the other photo 0 of 2")
    assert told(report, dlib=0, fr_feature=0).startswith("Beside the other photo 2 of 2")
    doubtful = tuple(dataclasses.replace(row, known_clean=0.25) for row in report.effects if row.surrogate == "dlib")
    rest = tuple(row for row in report.effects if row.surrogate != "dlib")
    assert "0 of 1" in told(dataclasses.replace(report, effects=doubtful + rest), dlib=0)


def test_whoever_is_known_in_one_kind_of_frames_is_known(report: shield.Report) -> None:
    (held,) = report.select(surrogate="dlib")
    rows = dataclasses.replace(held, known=0.0), dataclasses.replace(held, known=1.0, frame="found:yunet")
    for order in (rows, rows[::-1]):
        assert "0 of 1" in dataclasses.replace(report, effects=order).reference_sentence()


def test_a_reference_without_a_face_is_refused_before_the_search(
    small: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shield.pipeline.search", None)
    with pytest.raises(shield.FaceError):
        shield.protect(small, reference=np.zeros((200, 200, 3), np.uint8))


def test_protection_takes_it_to_verification(small: Pixels, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = shield.Recipe(surrogates=("mobilefacenet",), steps=1, carriers=("pixels",), transforms=shield.PLAIN)
    plan = dataclasses.replace(PLAN, surrogates=("mobilefacenet",), channels=(AS_SAVED,))
    protection, _ = shield.protect_file(photo, recipe=recipe, plan=plan, reference=small)
    assert all(row.known_clean == 1 for row in protection.report.effects)


@pytest.mark.parametrize("command", ["verify", "protect"])
def test_the_command_line_takes_it_and_says_the_sentence(
    command: str, report: shield.Report, small: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def found(*photos: object, reference: object, **settings: object) -> object:
        asked.append(reference)
        checked = verification.Verification(report, small, small, ())
        if command == "verify":
            return checked
        return shield.Protection(shield.open_photo(small), shield.open_photo(small), b"", checked), []

    monkeypatch.setattr(shield, "verify_photo", found)
    monkeypatch.setattr(shield, "protect_file", found)
    words = ["me.png", "me.shield.png"] if command == "verify" else ["me.png"]
    result = CliRunner().invoke(app, [command, *words, "--reference", "other.jpg"])
    assert asked == ["other.jpg"]
    assert report.reference_sentence() in " ".join(result.stdout.split())
