"""Every aligner keeps the contract: where faces and their points are, in the same px, whatever finds them."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shield.faces import Face
from shield.faces.aligners import aligners
from shield.faces.aligners.landmarks import read_points
from shield.faces.aligners.passes import SMALLEST
from shield.faces.face import distance
from shield.registry import Registry

Pixels = NDArray[np.uint8]
SWAPPED = [1, 0, 2, 4, 3]
every_aligner = pytest.mark.parametrize("name", list(aligners))


def points_of(face: Face) -> NDArray[np.float64]:
    return np.array(face.points)


def resized(pixels: Pixels, side: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def pair(portrait: Pixels) -> Pixels:
    """The portrait at 400 px and at 240 px beside each other, on grey."""
    canvas = np.full((400, 700, 3), 120, np.uint8)
    canvas[:240, :240], canvas[:, 300:] = resized(portrait, 240), resized(portrait, 400)
    return canvas


def test_these_aligners_ship() -> None:
    assert {"centerface", "yunet", "landmarks"} <= set(aligners)
    assert isinstance(aligners, Registry)


@every_aligner
def test_faces_come_largest_first_with_points_score_and_name(name: str, pair: Pixels) -> None:
    large, small = aligners[name](pair)
    assert large.height > small.height > SMALLEST
    for face in (large, small):
        assert face.aligner == name
        assert 0.5 < face.score <= 1
        assert face.doubt == ""
        assert points_of(face).shape == (5, 2)
        assert all(type(value) is float for value in (face.score, *face.box, *points_of(face).ravel().tolist()))
        left_eye, right_eye, nose, left_mouth, right_mouth = face.points
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_mouth[0] < nose[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert large.box[0] > 300 > small.box[2]


@every_aligner
def test_the_points_are_where_an_eye_sees_them(name: str, portrait: Pixels) -> None:
    (face,) = aligners[name](portrait)
    by_eye = np.array([(446, 390), (598, 378), (522, 470), (460, 542), (598, 537)])  # read off on a grid
    assert points_of(face) == pytest.approx(by_eye, abs=0.15 * 152)  # eyes are 152 px apart
    assert points_of(face).mean(0) == pytest.approx(by_eye.mean(0), abs=0.06 * 152)


@every_aligner
def test_the_same_photo_gives_the_same_faces_and_stays_as_it_is(name: str, pair: Pixels) -> None:
    before = pair.copy()
    assert aligners[name](pair) == aligners[name](pair)
    assert np.array_equal(pair, before)


@every_aligner
def test_a_mirrored_photo_gives_mirrored_points(name: str, portrait: Pixels) -> None:
    (face,), (other,) = aligners[name](portrait), aligners[name](np.ascontiguousarray(portrait[:, ::-1]))
    back = points_of(other)[SWAPPED] * (-1, 1) + (portrait.shape[1], 0)
    # A px too many or too few would be 1.6 px of this photo for a network that sees it at 640.
    assert back.mean(0) == pytest.approx(points_of(face).mean(0), abs=0.05 * face.eye_distance)


def mosaics(folder: Path) -> list[Pixels]:
    """Two pictures of 5 x 5 faces of 128 px each."""
    with tarfile.open(folder / "lfw.tar") as archive:
        members = [member for member in archive if member.isfile()][:: 12688 // 50][:50]
        files = [archive.extractfile(member) for member in members]
        faces = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files if file is not None])
    return list(faces.reshape(2, 5, 5, 128, 128, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 640, 640, 3))


@every_aligner
def test_points_lie_neither_to_the_left_nor_to_the_right(name: str, shared: Path) -> None:
    """What is not symmetrical in the median of many faces and their mirror images is a fault of coordinates."""
    sums = []
    for pixels in mosaics(shared / "data" / "faces"):
        mirrored = aligners[name](np.ascontiguousarray(pixels[:, ::-1]))
        for face in aligners[name](pixels):
            points = points_of(face).mean(0)
            others = [points_of(other).mean(0) + points - (640, 0) for other in mirrored]
            sums += [x for x, y in others if abs(x) < 30 and abs(y - 2 * points[1]) < 30]
    assert len(sums) > 40
    assert abs(np.median(sums)) / 2 < 0.5  # px, of faces that are 60 px high


@every_aligner
@pytest.mark.parametrize("enlarged", [2, 3])
def test_a_photo_enlarged_px_by_px_gives_the_points_of_its_outer_corner_coordinates(
    name: str, enlarged: int, small: Pixels
) -> None:
    """A coordinate counted from the first px' centre would be off by half of what is added."""
    (face,) = aligners[name](small)
    (other,) = aligners[name](small.repeat(enlarged, 0).repeat(enlarged, 1))
    assert points_of(other) / enlarged == pytest.approx(points_of(face), abs=0.06 * face.eye_distance)


@every_aligner
def test_aligners_see_the_same_face(name: str, pair: Pixels) -> None:
    for face, other in zip(aligners[name](pair), aligners["centerface"](pair), strict=True):
        assert distance(face, other) < 0.3


@every_aligner
@pytest.mark.parametrize("size", [(300, 400), (1, 1), (3, 900), (1500, 2)])
def test_a_photo_without_a_face_gives_none(name: str, size: tuple[int, int]) -> None:
    grain = np.random.default_rng(0).normal(120, 6, (*size, 3))
    assert aligners[name](grain.clip(0, 255).astype(np.uint8)) == []


@every_aligner
def test_small_faces_in_a_large_photo_are_found(name: str, portrait: Pixels) -> None:
    canvas = np.full((1400, 2600, 3), 120, np.uint8)
    canvas[1200:1400, 1150:1350] = resized(portrait, 200)  # a face of 86 px, over the border of two tiles
    (face,) = aligners[name](canvas)
    assert (points_of(face).mean(0) - (1150, 1200)) / 200 == pytest.approx(np.array([0.51, 0.452]), abs=0.02)


@pytest.mark.parametrize("degrees", [-60, 40, 75])
def test_landmarks_come_to_the_same_points_from_a_frame_that_is_off(degrees: int, small: Pixels) -> None:
    (face,) = aligners["landmarks"](small)
    assert distance(read_points(small, face.reframed((0.05, -0.05), 1.1, degrees)), face) < 0.06
