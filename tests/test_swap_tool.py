"""The face swap as a tool: who is read, what is repainted, what is pasted, and what a report says of it.

Networks here are planted: one that changes nothing, one that mirrors, one that always does its work.
"""

import dataclasses
import json

import numpy as np
import pytest
import torch
from kornia.color import rgb_to_lab
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

import shield
from shield.channels import AS_SAVED
from shield.errors import FaceError, PhotoError, RecipeError
from shield.faces import Face, crop_matrix, warp
from shield.faces.aligners import aligners
from shield.faces.templates import ARCFACE, templates, transformed
from shield.page import result
from shield.photo import read, to_tensor
from shield.surrogates import load_surrogate
from shield.swap import (
    ALIGNER,
    SWAP,
    Canvas,
    Swapper,
    donor,
    donors,
    identity,
    pasted,
    shipped,
    shipped_swap,
    swap,
    tool,
)
from shield.swap.canvas import LARGEST, face_mask, matched
from shield.verify import NOISE, PROTECTED, RESAVED, Plan, swaps, verification
from shield.verify.frames import Scene
from shield.verify.mark import mark
from shield.verify.report import SCHEMA
from shield.verify.rows import BROKEN, MANIPULATED, ORIGINAL, SOURCE, TARGET, Swap
from shield.verify.sheet import swap_picture

Pixels = NDArray[np.uint8]
CPU = torch.device("cpu")
TWO = ("man", "woman")
SENT = (AS_SAVED, "jpeg75")
PLAN = Plan(surrogates=("dlib",), channels=SENT, held=1, few=1, found=(), donors=TWO, put_on=1)


def unchanged(targets: Tensor, identities: Tensor) -> Tensor:
    return targets


def mirrored(targets: Tensor, identities: Tensor) -> Tensor:
    return targets.flip(3)


@pytest.fixture(scope="module")
def elder(checkout) -> Pixels:
    pixels = np.asarray(Image.open(checkout / "examples" / "elder.jpg").resize((320, 320), Image.Resampling.LANCZOS))
    return np.ascontiguousarray(pixels)


@pytest.fixture(scope="module")
def canvas() -> Canvas:
    return donor("man")


def own_face(pixels: Pixels) -> Face:
    return aligners[ALIGNER](pixels)[0]


# Pasting


def test_a_network_that_changes_nothing_leaves_the_picture_as_it_was(canvas: Canvas) -> None:
    (result,), (off,) = (pasted([canvas], 2 * face - 1) for face in (canvas.crop, canvas.crop.roll(1, 3)))
    difference = np.abs(result.astype(int) - canvas.pixels).mean()
    assert difference < 0.7  # a face of about 200 px went through 128
    assert np.abs(off.astype(int) - canvas.pixels).mean() > 1.3 * difference
    assert result.shape == canvas.pixels.shape


def test_nothing_is_pasted_outside_the_face(canvas: Canvas) -> None:
    (result,) = pasted([canvas], mirrored(2 * canvas.crop - 1, torch.zeros(1, 128)))
    y, x = np.nonzero((result != canvas.pixels).any(2))
    back = np.linalg.inv(np.vstack([crop_matrix(canvas.face, templates["arcface_128"]), (0, 0, 1)]))[:2]
    u, v = transformed(back, np.stack([x + 0.5, y + 0.5], axis=1)).T
    assert len(u) > 5000
    assert (u.min(), v.min()) > (0.05, 0.05) and u.max() < 0.95
    assert abs(u.min() + u.max() - 1) < 0.04  # the face is in the middle of its frame


def test_what_the_network_made_lies_where_the_face_was(canvas: Canvas) -> None:
    """A dark spot painted on the left eye is found on the left eye of the picture."""
    made = canvas.crop.clone()
    template = templates["arcface_128"]
    column, row = (round(128 * value) for value in template.points[0])
    made[..., row - 3 : row + 3, column - 3 : column + 3] = torch.tensor([1.0, 0.0, 1.0])[:, None, None]
    plain, spotted = (pasted([canvas], 2 * face - 1)[0].astype(int) for face in (canvas.crop, made))
    y, x = np.nonzero(np.abs(spotted - plain).max(2) > 60)
    where = crop_matrix(canvas.face, template) @ (*template.points[0], 1)
    assert np.hypot(x.mean() + 0.5 - where[0], y.mean() + 0.5 - where[1]) < 2


def test_the_seam_is_soft_and_ends_inside_the_frame() -> None:
    mask = face_mask()[0, 0]
    edge = torch.cat([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert float(edge.max()) == 0
    assert float(mask[64, 64]) == pytest.approx(1)
    assert float(mask.diff(dim=1).abs().max()) < 0.15 and float(mask.diff(dim=0).abs().max()) < 0.15


def test_light_and_colours_are_the_targets(canvas: Canvas) -> None:
    """A network that paints everything darker and bluer makes the picture that it would have made without."""
    plain = 0.8 * canvas.crop + 0.1
    tinted = 0.7 * plain * torch.tensor([0.8, 0.9, 1.0])[:, None, None]
    one, other = (pasted([canvas], 2 * face - 1)[0].astype(int) for face in (plain, tinted))
    assert np.abs(one - other).mean() < 1.5
    mask = face_mask()
    means = [
        (rgb_to_lab(face) * mask).sum((2, 3)) / mask.sum() for face in (matched(tinted, canvas.crop, mask), canvas.crop)
    ]
    assert float((means[0] - means[1]).abs().max()) < 1.5  # of 100; some colours of a dark face do not exist


def test_a_flat_face_stays_flat(canvas: Canvas) -> None:
    flat = torch.full_like(canvas.crop, 0.5) + 1e-4 * torch.randn(
        canvas.crop.shape, generator=torch.Generator().manual_seed(0)
    )
    result = matched(flat, canvas.crop, face_mask())
    assert result.isfinite().all()
    assert float(result.flatten(2).std(2).max()) < 0.01


def test_what_is_not_a_number_is_never_pasted(canvas: Canvas) -> None:
    with pytest.raises(PhotoError):
        pasted([canvas], torch.full((1, 3, 128, 128), float("nan")))


# The tool


def test_the_source_lends_its_identity_and_nothing_else(small: Pixels, elder: Pixels) -> None:
    asked: list[tuple[Tensor, Tensor]] = []

    def network(targets: Tensor, identities: Tensor) -> Tensor:
        asked.append((targets, identities))
        return targets

    swap(small, elder, network)
    ((targets, identities),) = asked
    judge = load_surrogate("sface", CPU)
    source = judge(warp(to_tensor(small), own_face(small), 112, ARCFACE))[:, 0]
    target = judge(warp(to_tensor(elder), own_face(elder), 112, ARCFACE))[:, 0]
    assert torch.allclose(identities, source, atol=1e-3)
    assert float((identities * target).sum()) < 0.5
    assert float(identities.norm()) == pytest.approx(1, abs=1e-4)
    expected = 2 * warp(to_tensor(elder), own_face(elder), 128, templates["arcface_128"]) - 1
    assert torch.allclose(targets, expected, atol=1e-5)


def test_a_large_target_comes_out_small(portrait: Pixels) -> None:
    face = own_face(portrait)
    result = swap(portrait, portrait, unchanged)
    assert max(result.shape) == LARGEST < max(portrait.shape)
    canvas = Canvas.around(portrait, face)
    assert canvas.pixels.shape == result.shape
    again = own_face(canvas.pixels)
    assert np.abs(np.subtract(again.points, canvas.face.points)).max() < 0.05 * canvas.face.side


def test_a_picture_without_a_face_is_a_sentence_that_says_which(small: Pixels) -> None:
    blank = np.full((200, 200, 3), 128, np.uint8)
    with pytest.raises(FaceError, match="yunet finds no face in the picture that lends its face; "):
        swap(blank, small, unchanged)
    with pytest.raises(FaceError, match="centerface finds no face in the picture that gets another face; "):
        swap(small, blank, unchanged, aligner="centerface")
    with pytest.raises(RecipeError, match="no aligner"):
        swap(small, small, unchanged, aligner="magic")


def test_without_weights_there_is_no_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "manifest", dict)
    assert shipped_swap(CPU) is None
    loaded = []
    monkeypatch.setattr(tool, "manifest", lambda: {SWAP: None})
    monkeypatch.setattr(tool, "load_swap", lambda device: loaded.append(device) or unchanged)
    assert shipped_swap(CPU) is unchanged
    assert loaded == [CPU]


def test_donors_ship_are_small_and_unlike(checkout) -> None:
    files = sorted((checkout / "models" / "donors").glob("*.jpg"))
    assert [path.stem for path in files] == list(donors) and len(files) == 4
    assert all(path.stat().st_size <= 25_000 and max(read(path).pixels.shape) <= LARGEST for path in files)
    assert "CC0" in (checkout / "models" / "donors" / "README.md").read_text(encoding="utf-8")
    readers = swaps.Readers(CPU)
    for name in donors:
        distances = readers.distances([donor(other) for other in donors], readers([donor(name)]))
        knowing = {other: readers.knowing(own) for other, own in zip(donors, distances, strict=True)}
        assert len(knowing.pop(name)) == 3
        assert not any(knowing.values())


def test_an_unknown_donor_is_a_setting_that_does_not_exist() -> None:
    with pytest.raises(RecipeError, match="no donor named 'nobody'; choose from: elder, man"):
        Plan(donors=("nobody",))


def test_an_installation_without_donors_says_so(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "donors_folder", lambda: tmp_path)
    shipped.donor.cache_clear()
    with pytest.raises(shield.WeightsError, match="holds no donors"):
        donor("man")


def test_the_shipped_network_shows_the_person_of_the_source(small: Pixels, elder: Pixels) -> None:
    network = shipped_swap(CPU)
    readers = swaps.Readers(CPU)
    assert network is not None
    for pixels in (small, elder):
        person = readers([Canvas(pixels, own_face(pixels))])
        anew = swaps.found_anew(swap(pixels, donor("man").pixels, network), donor("man"))
        assert len(readers.knowing(readers.distances([anew], person)[0])) >= swaps.KNOWN_BY
        own = readers.knowing(readers.distances([anew], readers([donor("man")]))[0])
        assert len(own) < swaps.KNOWN_BY


# What is measured


def works_for(pixels: Pixels) -> Swapper:
    """A perfect swap for one person: his face for his identity, and for any other the target as it was."""
    face = own_face(pixels)
    known = identity(pixels, face)
    own = 2 * warp(to_tensor(pixels), face, 128, templates["arcface_128"]) - 1

    def network(targets: Tensor, identities: Tensor) -> Tensor:
        is_him = (identities @ known.T)[:, 0] > 0.6
        return torch.where(is_him[:, None, None, None], own, targets)

    return network


@pytest.fixture(scope="module")
def verified(small: Pixels, elder: Pixels):
    """The portrait, "protected" by being somebody else, and a swap that works for the one of the portrait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "shipped_swap", lambda device: works_for(small))
        counted: list[tuple[int, int]] = []
        found = shield.verify_photo(small, elder, plan=PLAN, progress=lambda *count: counted.append(count))
    return found, counted


def test_the_original_is_known_in_the_swap_and_the_protected_photo_is_not(verified) -> None:
    report = verified[0].report
    rows = {(row.picture, row.channel, row.donor): row for row in report.swaps if row.role == SOURCE}
    expected = [
        (ORIGINAL, AS_SAVED),
        (PROTECTED, AS_SAVED),
        (PROTECTED, "jpeg75"),
        (RESAVED, AS_SAVED),
        (NOISE, AS_SAVED),
    ]
    assert list(rows) == [(*look, name) for look in expected for name in TWO]
    for (picture, _, _), row in rows.items():
        assert row.works == (picture != PROTECTED) == (len(row.known_by) >= 2)
        known = [name for name, far in row.distances.items() if far <= load_surrogate(name, CPU).threshold]
        assert list(row.known_by) == known and set(row.distances) == {"dlib", "mobilefacenet", "fr_feature"}
        assert row.l2 is None
    assert report.swap_sentence().startswith(
        "A face swap made from this photo shows you in 2 of 2 pictures, made from the protected photo in none of 2; "
        "after JPEG 75 in none; from noise of the same visibility in 2."
    )
    assert report.swap_sentence() in report.sentence()
    assert "Face swaps no longer show you (0 of 2 pictures)" in report.headline()


def test_a_face_put_on_the_photo_is_measured_as_an_edit_is(verified) -> None:
    rows = {row.picture: row for row in verified[0].report.swaps if row.role == TARGET}
    assert set(rows) == {ORIGINAL, PROTECTED}
    assert rows[ORIGINAL].l2 == 0
    assert rows[PROTECTED].l2 > 0.02  # somebody else's picture
    assert not rows[ORIGINAL].works  # this network leaves the target as it was
    assert "Another face put on this photo shows that person in none of 1" in verified[0].report.swap_sentence()


def test_swaps_are_seen_by_the_detector_and_shown_with_the_mark(verified) -> None:
    found = verified[0]
    rows = {(row.picture, row.edit) for row in found.report.detections if row.surrogate == SWAP}
    assert rows == {(picture, name) for picture in (MANIPULATED, BROKEN) for name in TWO}
    assert [shown.donor for shown in found.swaps] == list(TWO)
    for shown in found.swaps:
        picture, clean, broken = (np.asarray(image) for image in shown.pictures)
        assert np.array_equal(picture, donor(shown.donor).pixels)
        assert np.array_equal(clean, np.asarray(mark(shown.clean))) and not np.array_equal(clean, shown.clean)
        assert np.array_equal(broken, np.asarray(mark(shown.broken)))
        assert shown.works == (True, False) and shown.words == ("shows the person", "shows somebody else")
        assert shown.manipulation.clean.shape == (128, 128, 3)
    bare = dataclasses.replace(found, swaps=())
    assert found.sheet.height > bare.sheet.height


def test_the_picture_of_the_readme_marks_what_is_made(verified) -> None:
    found, side = verified[0], 96
    drawn = np.asarray(swap_picture(found.original, found.protected, found.swaps, side))
    assert drawn.shape[1] > (1 + len(TWO)) * side and drawn.shape[0] > 3 * side
    wanted = [
        np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS, centering=(0.5, 0.0)))
        for shown in found.swaps
        for image in shown.pictures[1:]
    ]
    views = np.lib.stride_tricks.sliding_window_view(drawn, (side, side, 3))[:, :, 0]
    for tile in wanted:  # with its mark, as it is shown everywhere
        corners = (drawn[: len(views), : views.shape[1]] == tile[0, 0]).all(axis=2).nonzero()
        assert any((views[row, column] == tile).all() for row, column in zip(*corners, strict=True))


def test_the_page_shows_donors_before_and_after(verified, tmp_path) -> None:
    gallery = result.shown("me.jpg", verified[0], tmp_path, {}).gallery
    assert gallery.count("<figure>") == 3 * len(TWO)
    for name in TWO:
        assert f'alt="The donor {name}, who does not exist"' in gallery
        assert f"Simulated manipulation, face swap with {name}: before protection" in gallery
        assert f"Simulated manipulation, face swap with {name}: after protection" in gallery
    assert gallery.count('<span class="good">shows somebody else</span>') == len(TWO)


def test_progress_counts_swaps_too(verified) -> None:
    counted = verified[1]
    assert [done for done, _ in counted] == list(range(len(counted)))
    assert {total for _, total in counted} == {len(counted)}


def test_the_report_is_json_with_swaps(verified) -> None:
    report = json.loads(verified[0].report.to_json())
    assert report["schema"] == SCHEMA
    assert {row["role"] for row in report["swaps"]} == {SOURCE, TARGET}


def test_what_is_sent_again_is_not_swapped_again(small: Pixels, elder: Pixels) -> None:
    asked = []

    def network(targets: Tensor, identities: Tensor) -> Tensor:
        asked.append(len(targets))
        return targets

    measured = swaps.Swaps(Scene(small, (own_face(small),)), PLAN, network, CPU)
    first = measured.lent(small, ORIGINAL, AS_SAVED)
    again = measured.lent(small.copy(), RESAVED, "jpeg75")
    assert asked == [len(TWO)]
    assert [(row.picture, row.channel) for row in again] == [(RESAVED, "jpeg75")] * len(TWO)
    assert [row.distances for row in again] == [row.distances for row in first]
    assert measured.lent(elder, PROTECTED, AS_SAVED)[0].distances == first[0].distances  # the network changes nothing
    assert asked == [len(TWO)] * 2


def test_a_donor_who_is_the_person_is_left_out() -> None:
    pixels = donor("man").pixels
    measured = swaps.Swaps(Scene(pixels, (own_face(pixels),)), PLAN, unchanged, CPU)
    assert measured.donors == {0: ["woman"]}


def test_a_face_that_no_aligner_finds_has_no_swaps(small: Pixels) -> None:
    far = own_face(small).moved(-2000, 0)
    measured = swaps.Swaps(Scene(small, (far,)), PLAN, unchanged, CPU)
    assert list(measured.lent(small, ORIGINAL, AS_SAVED)) == []
    assert list(measured.received(small, ORIGINAL, 1)) == []


def test_the_plan_says_what_is_lent_and_can_be_narrowed() -> None:
    plan = Plan()
    assert plan.lent_to == tuple(donors) and plan.swaps(PROTECTED) == (AS_SAVED, "jpeg75", "social")
    assert plan.swaps(ORIGINAL) == plan.swaps(NOISE) == (AS_SAVED,)
    assert plan.narrowed(channels=("social",)).swaps(PROTECTED) == ()
    assert plan.narrowed(channels=(AS_SAVED, "social")).swaps(PROTECTED) == (AS_SAVED, "social")
    assert plan.narrowed(surrogates=("dlib",)).lent_to == plan.narrowed(frames=("held",)).lent_to == ()
    assert plan.narrowed(frames=("held", "found:yunet")).lent_to == tuple(donors)
    assert Plan(donors=()).swaps(ORIGINAL) == ()
    assert Plan(surrogates=("dlib",), donors=TWO).among(1).lent_to == TWO
    assert plan.among(3).lent_to == ("elder",)
    assert Plan(surrogates=("dlib",)).among(2).lent_to == ()


# Words


def row(donor: str, picture: str, works: bool, channel: str = AS_SAVED, role: str = SOURCE) -> Swap:
    return Swap(0, donor, role, picture, channel, {}, (), works)


def test_only_donors_on_whom_the_swap_works_count(verified) -> None:
    def said(*rows: Swap) -> str:
        return dataclasses.replace(verified[0].report, swaps=rows).swap_sentence()

    clean = row("a", ORIGINAL, True), row("b", ORIGINAL, False), row("c", ORIGINAL, True)
    after = row("a", PROTECTED, False), row("b", PROTECTED, True), row("c", PROTECTED, True)
    assert said(*clean, *after) == (
        "A face swap made from this photo shows you in 2 of 3 pictures, made from the protected photo in 1 of those 2."
    )
    assert said(clean[1], after[1]) == (
        "A face swap made from this photo shows you in none of 1 pictures: there is nothing to protect from."
    )
    put = row("a", ORIGINAL, True, role=TARGET), row("a", PROTECTED, True, role=TARGET)
    assert said(clean[0], after[0], *put).endswith(
        " Another face put on this photo shows that person in 1 of 1, on the protected photo in 1 of 1."
    )


def test_a_report_without_swaps_says_nothing_of_them(verified) -> None:
    report = dataclasses.replace(verified[0].report, swaps=())
    assert report.swap_sentence() == "No face swap was made of this photo."
    assert "swap" not in report.headline() and "swap made" not in report.sentence()
