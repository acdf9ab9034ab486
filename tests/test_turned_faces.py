"""A face is found with the same points however the photo is turned, or it is not found, or it is doubted."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shield.channels import AS_SAVED
from shield.faces import Face, detect, find_again, finding, pose
from shield.faces.aligners import aligners
from shield.faces.face import distance
from shield.verify.report import Report
from shield.verify.rows import HELD, PROTECTED, Effect, FaceReport, FileReport
from shield.verify.visibility import FaceVisibility, PhotoVisibility

Pixels = NDArray[np.uint8]
SIDE = 400
WORST = 0.08  # eye distances


def resized(pixels: Pixels, side: int = SIDE) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


def turned(pixels: Pixels, degrees: float) -> Pixels:
    """Anticlockwise, on a canvas that holds all of it."""
    return np.asarray(
        Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(128, 128, 128))
    )


def turned_points(face: Face, degrees: float, before: Pixels, after: Pixels) -> NDArray[np.float64]:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle, new = (np.array(pixels.shape[1::-1]) / 2 for pixels in (before, after))
    return np.asarray((np.array(face.points) - middle) @ np.array([(cosine, -sine), (sine, cosine)]) + new)


def worst(face: Face, points: NDArray[np.float64]) -> float:
    """Of the five points, in eye distances."""
    return float(np.linalg.norm(np.array(face.points) - points, axis=1).max() / face.eye_distance)


@pytest.fixture(scope="module")
def upright(portrait: Pixels) -> tuple[Pixels, Face]:
    pixels = resized(portrait)
    (face,) = detect(pixels)
    return pixels, face


@pytest.mark.parametrize("degrees", [15, 45, 90, 135, 180, 270, 300])
def test_a_turned_photo_shows_the_same_points(degrees: int, upright: tuple[Pixels, Face]) -> None:
    pixels, known = upright
    photo = turned(pixels, degrees)
    (face,) = detect(photo)
    assert face.doubt == ""
    assert worst(face, turned_points(known, degrees, pixels, photo)) < WORST
    off = (face.tilt - known.tilt + degrees + 180) % 360 - 180
    assert abs(off) < 4


@pytest.mark.parametrize("degrees", [45, 90])
def test_the_detector_alone_is_off_by_more(degrees: int, upright: tuple[Pixels, Face]) -> None:
    """The fault that the test above must catch."""
    pixels, known = upright
    photo = turned(pixels, degrees)
    faces = aligners["centerface"](photo)
    assert all(worst(face, turned_points(known, degrees, pixels, photo)) > 2 * WORST for face in faces)


@pytest.mark.parametrize("degrees", [0, 180])
def test_a_mirrored_photo_shows_mirrored_points(degrees: int, upright: tuple[Pixels, Face]) -> None:
    pixels, known = upright
    photo = turned(np.ascontiguousarray(pixels[:, ::-1]), degrees)
    (face,) = detect(photo)
    points = [known.points[i] for i in (1, 0, 2, 4, 3)]
    mirrored = replace(known, points=tuple((pixels.shape[1] - x, y) for x, y in points))
    assert worst(face, turned_points(mirrored, degrees, pixels, photo)) < 1.5 * WORST


def test_an_upright_face_costs_one_pass_and_its_points_hardly_move(
    upright: tuple[Pixels, Face], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, known = upright
    monkeypatch.setattr(pose, "_confirmed", lambda pixels, read: pytest.fail("looked at again"))
    monkeypatch.setattr(finding, "_seen_turned", lambda pixels: pytest.fail("turned"))
    (face,) = detect(pixels)
    assert face == known
    (seen,) = aligners["centerface"](pixels)
    assert face.box == seen.box
    assert distance(face, seen) < 0.1
    assert face.side == pytest.approx(seen.side, rel=0.05)


@pytest.mark.parametrize("degrees", [90, 180])
def test_of_two_faces_one_may_lie_or_stand_on_its_head(degrees: int, upright: tuple[Pixels, Face]) -> None:
    pixels, known = upright
    lying = turned(resized(pixels, 300), degrees)
    canvas = np.full((SIDE, SIDE + 340, 3), 128, np.uint8)
    canvas[:, :SIDE], canvas[50:350, SIDE + 20 : SIDE + 320] = pixels, lying
    first, second = sorted(detect(canvas), key=lambda face: face.box[0])
    assert worst(first, np.array(known.points)) < WORST
    points = turned_points(known.scaled(300 / SIDE), degrees, lying, lying) + np.array((SIDE + 20, 50))
    assert worst(second, points) < WORST


def test_a_face_at_the_border_is_found_whole_or_not_at_all(upright: tuple[Pixels, Face]) -> None:
    pixels, known = upright
    for degrees in (0, 90):
        cut = turned(np.ascontiguousarray(pixels[:, int(known.box[0]) + 10 :]), degrees)
        part = known.moved(int(known.box[0]) + 10, 0)
        before = pixels[:, int(known.box[0]) + 10 :]
        for face in detect(cut):
            assert face.doubt or worst(face, turned_points(part, degrees, before, cut)) < 2 * WORST


def test_a_lying_face_is_found_again_in_another_version_of_its_photo(upright: tuple[Pixels, Face]) -> None:
    photo = turned(upright[0], 90)
    faces = detect(photo)
    assert find_again(photo, faces) == faces
    moved = np.roll(photo, (5, -7), axis=(0, 1))
    (face,) = find_again(moved, faces)
    assert worst(face, np.array(faces[0].points) + np.array((-7, 5))) < WORST


def test_a_face_that_nobody_confirms_is_doubted(upright: tuple[Pixels, Face], monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector whose points lie: half the size, as for a face on its side."""
    pixels, known = upright
    wrong = known.reframed((0.2, 0.0), 0.5, 70)
    monkeypatch.setattr(finding, "candidates", lambda pixels: [wrong])
    monkeypatch.setattr(pose, "_confirmed", lambda pixels, read: None)
    monkeypatch.setattr(finding, "_seen_turned", lambda pixels: iter(()))
    (face,) = detect(pixels)
    assert "eye distances apart" in face.doubt
    assert face.points == wrong.points
    monkeypatch.setattr(finding, "candidates", lambda pixels: [replace(wrong, score=0.4)])
    assert detect(pixels) == []


def test_a_report_warns_of_a_doubted_face_and_of_no_other() -> None:
    visible = FaceVisibility(*(0.0 for _ in fields(FaceVisibility)))
    sure = FaceReport((0, 0, 9, 9), 0.9, 12.0, visible, 0.0, "centerface")
    doubtful = replace(sure, doubt="detector and landmarks see its points 0.9 eye distances apart")
    file = FileReport(None, "", "png", 9, 9)
    effect = Effect(0, "toy", "edit", True, PROTECTED, AS_SAVED, HELD, 1, 1.0, 0.5, 1.0, True, None, None, None)
    report = Report(
        3,
        None,
        file,
        file,
        (sure, sure),
        PhotoVisibility(*(0 for _ in fields(PhotoVisibility))),
        (effect,),
        (),
        {},
        {},
        {},
        {},
    )
    assert "framed wrongly" not in report.sentence() + report.headline()
    warned = replace(report, faces=(sure, doubtful))
    for text in (warned.sentence(), warned.headline()):
        assert text.endswith(
            " Face 2 may be framed wrongly, and what is said of it with it: "
            "detector and landmarks see its points 0.9 eye distances apart."
        )
    assert json.loads(warned.to_json())["faces"][1]["doubt"] == doubtful.doubt
