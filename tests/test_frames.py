"""Frames: the draws that no search sees, and verification over them, over aligners and over batches."""

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import shield
from shield import frames as distribution
from shield.channels import channels
from shield.device import computes_bfloat16
from shield.errors import RecipeError
from shield.faces import Face, Framing, crop_matrix, whole_picture
from shield.frames import EXACT as UNMOVED
from shield.frames import FRAMES, Reframing, held, searched
from shield.objectives import l2
from shield.surrogates import load_surrogate
from shield.verify import EXACT, HELD, NOISE, PROTECTED, Effect, Plan, effects, frames
from shield.verify.effects import Crops, Manipulation, References, Sent, Wanted, measure_effects
from shield.verify.frames import Scene, found, kinds, nearest

Pixels = NDArray[np.uint8]
CPU = torch.device("cpu")
FACE = whole_picture(200, 200).scaled(0.5).moved(-40, -60)  # a frame of 100 px, its corner at (40, 60)


class Toy:
    """A surrogate with two edits: the negative, and the face as it is."""

    name, size, framing, edits = "toy", 16, Framing(side=0.8, down=0.03), ("negative", "nothing")
    licence, threshold, makes_pictures = "none", 0.01, True

    def __call__(self, faces: Tensor) -> Tensor:
        return torch.stack([1 - 2 * faces, 2 * faces - 1], 1)

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        return l2(results, clean)


@pytest.fixture(scope="module")
def photo() -> Pixels:
    """200 x 200 px of smooth colour."""
    y, x = np.mgrid[:200, :200] / 200
    waves = np.stack([np.sin(9 * x + 4 * y), np.cos(7 * y - 3 * x), np.sin(11 * x * y)], 2)
    return (127 + 120 * waves).astype(np.uint8)


@pytest.fixture(scope="module")
def scene(photo: Pixels) -> Scene:
    return Scene(photo, (FACE,))


def measured(
    scene: Scene, pixels: Pixels, wanted: dict[str, int], way: Callable[[Pixels], Pixels] = channels["none"].apply
) -> list[Effect]:
    """What the toy makes of the pixels."""
    rows: Wanted = lambda *row: wanted  # noqa: E731
    return measure_effects(scene, {PROTECTED: pixels}, {"none": way}, [Toy()], rows, (), CPU)[0]


# The distribution


def of_a_search(frame: Reframing, seeds: int = 20, steps: int = 64) -> bool:
    """Whether a search draws this very frame, with one of the first seeds."""
    return any(frame == FRAMES.draw(source) for source in map(searched, range(seeds)) for _ in range(steps))


def test_no_search_sees_a_held_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(set(held())) == 16 and held(4) == held()[:4]
    assert not any(map(of_a_search, held()))
    monkeypatch.setattr(distribution, "_HELD_SEED", 0)  # the fault
    assert all(map(of_a_search, held()))


def test_held_draws_are_as_far_as_the_distribution_says_to_both_sides() -> None:
    draws = held(400)
    for values, limit in (
        ([d.shift[0] for d in draws], 0.04),
        ([d.shift[1] for d in draws], 0.04),
        ([d.scale - 1 for d in draws], 0.08),
        ([d.degrees for d in draws], 4.0),
    ):
        assert 0.95 * limit < max(values) <= limit and -limit <= min(values) < -0.95 * limit
        assert abs(np.mean(values)) < 0.1 * limit


def as_it_says(frame: Reframing) -> bool:
    """Whether the frame lies to the right, below, is larger and turned clockwise by just what it says."""
    before, after = crop_matrix(FACE), crop_matrix(frame.of(FACE))
    step = (after - before) @ (0.5, 0.5, 1) / FACE.side
    size = np.hypot(*after[:, 0]) / FACE.side
    turn = np.degrees(np.arctan2(after[1, 0], after[0, 0]))
    return bool(np.allclose([*step, size, turn], [*frame.shift, frame.scale, frame.degrees], atol=1e-6))


def test_a_frame_moves_by_what_it_says_and_the_right_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert UNMOVED.of(FACE).points == pytest.approx(np.array(FACE.points))
    assert all(map(as_it_says, held()))
    right = Face.reframed
    for fault in (
        lambda face, shift, scale, turn: right(face, (-shift[0], -shift[1]), scale, turn),
        lambda face, shift, scale, turn: right(face, shift, 2 - scale, turn),
        lambda face, shift, scale, turn: right(face, shift, scale, -turn),
    ):
        monkeypatch.setattr(Face, "reframed", fault)
        assert not any(map(as_it_says, held()))


def test_draws_come_from_the_source_alone() -> None:
    state = random.getstate()
    first, again = ([FRAMES.draw(source) for _ in range(3)] for source in (searched(5), searched(5)))
    assert first == again
    assert random.getstate() == state


# Kinds of frames


def test_exact_is_the_known_face_and_held_its_draws(scene: Scene, photo: Pixels) -> None:
    assert kinds[EXACT](scene, photo, 1) == [(FACE,)]
    assert kinds[HELD](scene, photo, 5) == [tuple(frame.of(FACE) for frame in held(5))]


def test_there_is_a_kind_for_every_aligner() -> None:
    assert {"exact", "held", *(f"found:{name}" for name in frames.aligners)} == set(kinds)
    with pytest.raises(RecipeError, match="no kind of frame named 'found:magic'"):
        kinds["found:magic"]


def marked(photo: Pixels, x: int, y: int) -> Pixels:
    """The photo with a white dot."""
    result = photo // 2
    result[y, x] = 255
    return result


def by_the_dot(pixels: Pixels) -> list[Face]:
    """An aligner that sees a face around a white dot, whose place it takes for the frame's centre."""
    rows, columns = np.where((pixels == 255).all(2))
    return [FACE.moved(90 - float(x), 110 - float(y)) for x, y in zip(columns, rows, strict=True)]


@pytest.fixture
def dots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "aligners", {"dot": by_the_dot})


@pytest.mark.usefixtures("dots")
def test_an_aligner_runs_on_what_was_sent(photo: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(marked(photo, 90, 110), (FACE,))

    def centre(sent: Pixels) -> NDArray[np.float64]:
        ((face,),) = found(scene, sent, 1, "dot")
        return np.asarray(crop_matrix(face) @ (0.5, 0.5, 1))

    assert centre(marked(photo, 93, 106)) == pytest.approx((93, 106))
    half = np.zeros((100, 100, 3), np.uint8)  # of half the size
    half[53, 46] = 255
    assert centre(half) == pytest.approx((92, 106))
    # The fault: it looks at the original.
    monkeypatch.setattr(frames, "aligners", {"dot": lambda pixels: by_the_dot(scene.pixels)})
    assert centre(marked(photo, 93, 106)) == pytest.approx((90, 110))


@pytest.mark.usefixtures("dots")
def test_a_face_that_is_lost_is_framed_as_in_the_original_and_one_never_found_not_at_all(photo: Pixels) -> None:
    known = Scene(marked(photo, 95, 112), (FACE,))
    ((face,),) = found(known, photo // 2, 1, "dot")
    assert crop_matrix(face) @ (0.5, 0.5, 1) == pytest.approx((95, 112))
    unknown = Scene(photo // 2, (FACE,))
    assert found(unknown, photo // 2, 1, "dot") == [()]
    assert measured(unknown, photo // 2, {"found:dot": 1}) == []
    far = marked(photo // 2, 160, 110)  # somebody else's
    assert found(unknown, far, 1, "dot") == [()]


@pytest.mark.usefixtures("dots")
def test_nobody_looks_for_a_face_in_a_whole_picture(photo: Pixels) -> None:
    sent = marked(photo, 100, 100)
    assert found(Scene(sent, (whole_picture(200, 200),)), sent, 1, "dot") == [()]


def test_the_nearest_face_is_taken() -> None:
    near, far = FACE.moved(5, 0), FACE.moved(-20, 0)
    assert nearest([far, near], FACE) == near
    assert nearest([FACE.moved(30, 0)], FACE) is nearest([], FACE) is None


def test_the_shipped_aligners_find_the_portrait_where_it_is(portrait: Pixels, portrait_face: Face) -> None:
    scene = Scene(portrait, (portrait_face,))
    moved = np.roll(portrait, (-60, 100), axis=(0, 1))
    for name in frames.aligners:
        ((still,),), ((face,),) = (found(scene, sent, 1, name) for sent in (portrait, moved))
        step = (crop_matrix(face) - crop_matrix(still)) @ (0.5, 0.5, 1)
        assert step == pytest.approx((100, -60), abs=20), name  # px: 3 % of the frame


# Rows


def test_of_an_unchanged_photo_nothing_breaks_in_any_frame(
    scene: Scene, photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "aligners", {"off": lambda pixels: [FACE.moved(3, -2)]})
    wanted = {EXACT: 1, HELD: 4, "found:off": 1}

    def far() -> list[float]:
        return [row.distance for row in measured(scene, photo, wanted)]

    assert len(far()) == 6 and max(far()) < 1e-9
    # The fault: the reference is taken in the exact frame.
    right = References.__call__
    monkeypatch.setattr(
        References, "__call__", lambda self, part, asked: right(self, part, [(n, FACE) for n, _ in asked])
    )
    assert max(far()[:2]) < 1e-9 < 1e-4 < min(far()[2:])


def test_a_row_is_the_mean_over_its_frames(scene: Scene, photo: Pixels) -> None:
    """A strip at the frame's left is changed: it fills another share of every frame."""
    changed = np.where(np.arange(200)[None, :, None] < 60, photo // 2, photo).astype(np.uint8)
    toy = Toy()
    singles = []
    for frame in held(5):
        crops = [effects.face_crop(p, frame.of(FACE), toy, CPU) for p in (changed, photo)]
        singles.append(float(toy.distance(*map(toy, crops))[0, 0]))
    assert max(singles) > 1.2 * min(singles)
    row = next(row for row in measured(scene, changed, {HELD: 5}) if row.edit == "negative")
    assert row.distance == pytest.approx(np.mean(singles), rel=1e-4)
    assert row.share == np.mean(np.array(singles) > toy.threshold)
    assert (row.frame, row.frames) == (HELD, 5)


def test_what_was_sent_may_be_of_another_size(scene: Scene, photo: Pixels) -> None:
    def twice(pixels: Pixels) -> Pixels:
        return pixels.repeat(2, 0).repeat(2, 1)

    assert max(row.distance for row in measured(scene, photo, {HELD: 3}, twice)) < 1e-3


def test_a_large_face_is_shrunk_once_and_measured_alike(monkeypatch: pytest.MonkeyPatch, photo: Pixels) -> None:
    scene = Scene(photo, (FACE,))
    changed = photo // 2
    plain = measured(scene, changed, {HELD: 4})
    monkeypatch.setattr(effects, "LARGE", 70)
    shrunk = measured(scene, changed, {HELD: 4})
    assert [row.distance for row in shrunk] == pytest.approx([row.distance for row in plain], rel=0.03)
    crops = Crops(scene, photo, CPU)
    crops(Toy(), [(0, frame.of(FACE)) for frame in held(4)])
    ((region, view),) = crops._shrunk.values()
    assert view.shape[-1] / region.width == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("name", ["stargan", "dlib"])
def test_results_do_not_depend_on_the_batch(
    name: str, portrait: Pixels, portrait_face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    surrogate, scene = load_surrogate(name, CPU), Scene(portrait, (portrait_face,))
    found = []
    for batch in (16, 1):
        monkeypatch.setattr(effects, "BATCH", batch)
        sent = Sent(scene, portrait // 2, References(scene, CPU))
        looks = sent.looks(surrogate, {EXACT: 1, HELD: 1})
        found.append(torch.cat([look.measures[0] for look in looks]))
    assert found[0].max() > 0.01
    for other in found[1:]:
        assert torch.allclose(found[0], other, rtol=0, atol=2e-3 if computes_bfloat16(CPU) else 1e-5)


def test_the_original_is_asked_once_in_every_frame(
    scene: Scene, photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(Toy, "__call__", lambda self, faces: asked.append(len(faces)) or torch.stack([faces], 1))
    monkeypatch.setattr(Toy, "edits", ("nothing",))
    ways = {name: channels[name].apply for name in ("none", "jpeg75", "half")}
    pictures = {PROTECTED: photo, NOISE: photo}
    measure_effects(scene, pictures, ways, [Toy()], lambda *row: {EXACT: 1, HELD: 4}, (), CPU)
    assert sum(asked) == 5 * (1 + len(ways) * len(pictures))


def test_a_manipulation_shows_the_median_frame(scene: Scene, photo: Pixels) -> None:
    changed = np.where(np.arange(200)[None, :, None] < 90, photo // 2, photo).astype(np.uint8)
    wanted: Wanted = lambda *row: {EXACT: 1, HELD: 4}  # noqa: E731
    rows, shown = measure_effects(
        scene, {PROTECTED: changed}, {"none": channels["none"].apply}, [Toy()], wanted, (), CPU
    )
    tile = next(one for one in shown if one.edit == "nothing")
    row = next(row for row in rows if (row.edit, row.frame) == ("nothing", HELD))
    assert (tile.share, tile.frames, tile.disrupted) == (row.share, row.frames, row.disrupted)
    assert tile.words == f"{'broken' if row.disrupted else 'not broken'} ({4 * row.share:.0f} of 4 frames)"
    crops = [effects.face_crop(photo, frame.of(FACE), Toy(), CPU) for frame in held(4)]
    assert any(np.abs(tile.clean.transpose(2, 0, 1) / 255 - crop[0].numpy()).max() < 0.01 for crop in crops)
    assert replace(tile, frames=1).words in ("broken", "not broken")
    assert isinstance(tile, Manipulation)


# The plan


def test_the_default_plan_measures_much_of_what_was_searched_and_little_of_the_rest() -> None:
    plan, aligned = Plan(), {kind: 1 for kind in kinds if kind.startswith("found:")}
    assert plan.rows(PROTECTED, "none", True) == {EXACT: 1, HELD: 16} | aligned
    assert plan.rows(PROTECTED, "jpeg75", True) == plan.rows(PROTECTED, "blur", True) == {HELD: 4}
    assert plan.rows(PROTECTED, "none", False) == {EXACT: 1, HELD: 4} | aligned
    assert plan.rows(NOISE, "none", True) == {EXACT: 1, HELD: 4}
    assert plan.rows(NOISE, "jpeg75", True) == {HELD: 4}
    assert plan.rows(NOISE, "blur", True) == plan.rows(PROTECTED, "blur", False) == {}
    assert replace(plan, unseen=True).rows(PROTECTED, "blur", False) == {HELD: 4}


def test_faces_share_the_draws() -> None:
    plan = Plan()
    assert [(p.held, p.few) for p in map(plan.among, (1, 2, 4, 12))] == [(16, 4), (8, 2), (4, 1), (4, 1)]
    assert Plan(held=2, few=1).among(5).held == 2


def test_a_plan_is_narrowed_by_names() -> None:
    plan = Plan().narrowed(surrogates=["stargan"], channels=["none"], frames=[HELD])
    assert (plan.asked, plan.sent_through) == (("stargan",), ("none",))
    assert plan.rows(PROTECTED, "none", True) == {HELD: 16}
    for names in ({"surrogates": ["magic"]}, {"channels": ["half+magic"]}, {"frames": ["magic"]}):
        with pytest.raises(RecipeError, match="named 'magic'"):
            Plan().narrowed(**names)


def test_verify_measures_what_was_asked_alone(small: Pixels) -> None:
    report = shield.verify_photo(small, small, surrogates=["dlib"], channels=["half+jpeg75"], frames=[HELD]).report
    assert {(e.surrogate, e.channel, e.frame, e.picture) for e in report.effects} == {
        ("dlib", "half+jpeg75", HELD, PROTECTED)
    }
