"""Verification: rows over frames, controls, visibility, the report's arithmetic and words, the marked sheet."""

import dataclasses
import hashlib
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

import shield
from shield.bounds import FaceLpips
from shield.channels import AS_SAVED, Channel, channels, verified
from shield.detection import Shipped, called, probability_of
from shield.detection.network import SIZE
from shield.faces import PORTRAIT, detect, warp, whole_picture
from shield.files import report_paths
from shield.lpips import load_lpips
from shield.objectives import l2
from shield.photo import FORMATS, from_array, resaved, to_tensor
from shield.region import region_of, window_around
from shield.surrogates import load_surrogate, surrogate, surrogates
from shield.verify import (
    EXACT,
    HELD,
    NOISE,
    PROTECTED,
    RESAVED,
    Plan,
    Swap,
    controls,
    effects,
    frames,
    sheet,
    visibility,
)

CPU = torch.device("cpu")


NETWORKS, SENT = ("stargan", "ganimation", "dlib"), ("none", "jpeg75", "social")
FEW = Plan(surrogates=NETWORKS, channels=SENT, held=3, few=2)
SAVED = Plan(surrogates=("dlib",), channels=(AS_SAVED,), frames=(EXACT,))
PLAINLY = {"attack": "pgd", "transforms": shield.PLAIN, "steered": False}  # the search is not what is tested here
FOUND = "found:yunet"
ALIGNED = tuple(kind for kind in frames.kinds if kind.startswith("found:"))


@pytest.fixture(scope="module")
def report(small):
    """Of a photo that was only sharpened a little: nothing protects it."""
    changed = np.clip(small.astype(int) + np.random.default_rng(0).integers(-2, 3, small.shape), 0, 255)
    return shield.verify_photo(small, changed.astype(np.uint8), plan=FEW).report


@pytest.fixture
def brisk(monkeypatch):
    """Verification with one small network, of files as they are: for tests of everything else that it measures.

    Gives a function that verifies and returns the report and, by name, the pictures that the network was shown.
    """
    shown = []
    watched = dataclasses.replace(channels[AS_SAVED], apply=lambda pixels: shown.append(pixels) or pixels)
    monkeypatch.setitem(channels._parts, AS_SAVED, watched)

    def run(*photos, **settings):
        shown.clear()
        found = shield.verify_photo(*photos, plan=SAVED, **settings).report
        return found, dict(zip(dict.fromkeys(effect.picture for effect in found.effects), shown, strict=True))

    return run


def darkened(pixels, amount, smooth=40):
    """A soft shadow: a change of quite another kind than noise."""
    rows, columns = np.indices(pixels.shape[:2])
    shadow = amount * (1 + np.sin(rows / smooth) * np.sin(columns / smooth)) / 2
    return np.clip(pixels - shadow[..., None], 0, 255).astype(np.uint8)


def replaced(report, change, sent=SENT, kinds=None):
    """The report with other effects: ``change`` of each row of the protected photo, as if sent through ``sent``."""
    own = [e for e in report.effects if e.picture == PROTECTED and e.channel == "none"]
    rows = [dataclasses.replace(e, channel=c) for c in sent for e in own if c == "none" or e.frame == HELD]
    rows = [change(row) for row in rows if kinds is None or row.frame in kinds]
    return dataclasses.replace(report, effects=(*rows, *(e for e in report.effects if e.picture != PROTECTED)))


def broken(row, yes):
    """The row, disrupted in all of its frames or in none; its outcome has tests of its own."""
    return dataclasses.replace(row, seen=row.surrogate == "stargan", share=float(yes), disrupted=yes, usable=None)


def test_psnr_and_levels_by_hand(small):
    assert visibility.psnr(small, small) == float("inf")
    other = small.copy()
    other[0, 0, 0] = small[0, 0, 0] ^ 128
    assert visibility.max_levels(small, other) == 128
    expected = 10 * np.log10(255**2 * small.size / 128**2)
    assert visibility.psnr(small, other) == pytest.approx(expected)
    # Both ways of leaving a value must count: unsigned differences wrap.
    up, down = np.full((4, 4, 3), 10, np.uint8), np.full((4, 4, 3), 250, np.uint8)
    assert visibility.max_levels(up, down) == visibility.max_levels(down, up) == 240


def test_ssim_is_one_for_equal_and_falls_with_noise(small):
    picture = torch.from_numpy(small.copy()).permute(2, 0, 1)[None] / 255
    noise = 0.1 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    assert visibility.ssim(picture, picture) == pytest.approx(1)
    assert visibility.ssim(picture, (picture + noise / 4).clamp(0, 1)) < 0.99
    assert visibility.ssim(picture, (picture + noise).clamp(0, 1)) < 0.8


def test_ssim_is_that_of_scikit_image(small):
    changed = darkened(small, 60, smooth=3)
    one, other = (torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255 for pixels in (small, changed))
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    expected = structural_similarity(small, changed, channel_axis=2, **gaussian)
    assert expected < 0.97
    assert visibility.ssim(one, other) == pytest.approx(expected, abs=0.003)


def test_what_a_face_and_what_the_whole_photo_loses_are_told_apart(small, brisk):
    """One level inside the face's region, nine in a corner."""
    region = region_of(detect(small)[0], 320, 320)
    changed = small.copy()
    changed[region.box] ^= 1
    changed[:8, :8] = np.where(small[:8, :8] < 128, small[:8, :8] + 9, small[:8, :8] - 9)
    report, _ = brisk(small, changed)
    (face,) = report.faces
    assert (face.visibility.max_levels, report.photo.max_levels, report.photo.changed_outside) == (1, 9, 64)
    assert face.visibility.psnr == pytest.approx(20 * np.log10(255))
    squares = np.square(changed.astype(float) - small)
    assert report.photo.psnr == pytest.approx(10 * np.log10(255**2 / squares.mean()))
    assert 1 > face.visibility.ssim > 0.9 and 1 > report.photo.ssim > face.visibility.ssim
    assert face.visibility.face_lpips == max(face.visibility.lpips.values()) == report.face_lpips > 0
    assert report.photo.lpips > 0


def test_changed_outside_counts_pixels_not_in_any_region(small):
    canvas = np.concatenate([small, np.full_like(small, 90)], axis=1)
    region = region_of(detect(canvas)[0], 640, 320)
    other = canvas.copy()
    other[5:8, 600:604] += 1
    other[region.top + 3, region.left + 3] ^= 1
    for channel in range(3):  # one colour is enough
        other[20, 600 + channel, channel] ^= 1
    assert visibility.photo_visibility(canvas, other, [region], CPU).changed_outside == 15


def test_verification_sends_the_faces_window_alone_through_channels(small, monkeypatch):
    sizes = []
    seen = Channel("looking", lambda pixels: sizes.append(pixels.shape) or pixels, channels["none"].stand_in)
    monkeypatch.setitem(channels._parts, "looked at", seen)
    canvas = np.pad(small, ((0, 1200), (0, 1200), (0, 0)), mode="edge")
    plan = Plan(surrogates=("dlib",), channels=("looked at",), held=1, few=1, unseen=True, controls=("looked at",))
    report = shield.verify_photo(canvas, canvas, recipe=shield.Recipe(), plan=plan).report
    assert len(sizes) == 3 and all(max(size) < 640 for size in sizes)
    assert len(report.select(channel="looked at")) > 0 and report.original.width == canvas.shape[1]


def test_noise_of_a_grey_photo_is_grey(small):
    grey = np.repeat(small[..., :1], 3, axis=2)
    noisy, _ = controls.sign_noise(grey, [region_of(detect(grey)[0], 320, 320)], [0.03], 0, CPU)
    assert (noisy != grey).any() and (noisy == noisy[..., :1]).all()


def test_noise_control_comes_near_its_target_from_below_within_the_region(small):
    region = region_of(detect(small)[0], 320, 320)
    noisy, (reached,) = controls.sign_noise(small, [region], [0.03], 0, CPU)
    measure = FaceLpips(load_lpips(CPU), region.crop(small, CPU), region.local_face)
    assert float(measure(region.crop(noisy, CPU))) == pytest.approx(reached, abs=1e-6)
    assert 0.8 * 0.03 < reached <= 0.03
    same, _ = controls.sign_noise(small, [region], [0.03], 0, CPU)
    assert (same == noisy).all()


def test_the_noise_of_a_report_is_as_visible_as_the_change_on_a_large_face(portrait, brisk):
    """At both sides of the face: noise shows more at 512 px than at 256, where a shadow shows alike."""
    report, pictures = brisk(portrait, darkened(portrait, 80))
    (face,) = report.faces
    noisy = portrait.copy()
    window_around([region_of(*detect(portrait), 1024, 1024)], 1024, 1024).of(noisy)[:] = pictures["noise"]
    (again,) = brisk(portrait, noisy)[0].faces
    assert set(face.visibility.lpips) == {256, 512}
    assert again.visibility.lpips[512] > 1.2 * again.visibility.lpips[256]
    assert face.noise_face_lpips == pytest.approx(again.visibility.face_lpips, abs=1e-6)
    assert 0.8 * face.visibility.face_lpips < face.noise_face_lpips <= face.visibility.face_lpips


def test_every_face_has_noise_of_its_own_strength_and_the_rest_none(small, brisk):
    two = np.concatenate([small, small[:, ::-1]], axis=1)
    changed = np.concatenate([darkened(small, 120), darkened(small[:, ::-1], 40)], axis=1)
    report, pictures = brisk(two, changed)
    noisy = pictures["noise"]
    again = brisk(two, noisy)[0].faces
    lpips = [face.visibility.face_lpips for face in report.faces]
    assert len(lpips) == 2 and max(lpips) > 2 * min(lpips)
    for face, reached in zip(report.faces, again, strict=True):
        assert face.noise_face_lpips == pytest.approx(reached.visibility.face_lpips, abs=1e-6)
        assert 0.8 * face.visibility.face_lpips < face.noise_face_lpips <= face.visibility.face_lpips
    outside = np.ones(two.shape[:2], bool)
    for face in detect(two):
        outside[region_of(face, 640, 320).box] = False
    assert outside.mean() > 0.2 and (noisy[outside] == two[outside]).all()


def test_the_noise_is_the_recipes_seeds_and_of_either_sign_in_every_channel(small, brisk):
    changed = darkened(small, 80)
    first, again, other = (
        brisk(small, changed, recipe=shield.Recipe(seed=seed))[1]["noise"].astype(int) - small for seed in (3, 3, 4)
    )
    assert (first == again).all()
    region = region_of(detect(small)[0], 320, 320)
    inside = first[region.box][40:-40, 40:-40]  # the noise fades out towards the region's border
    assert abs((inside > 0).mean() - (inside < 0).mean()) < 0.05 and (inside != 0).mean() > 0.8
    for one, two in ((0, 1), (1, 2)):
        assert abs(np.corrcoef(inside[..., one].ravel(), inside[..., two].ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(inside.ravel(), other[region.box][40:-40, 40:-40].ravel())[0, 1]) < 0.05


def test_sign_noise_is_that_many_levels_of_either_sign_in_every_strip():
    shape = 1, 3, 2 * controls.STRIP + 5, 7
    random = torch.Generator().manual_seed(0)
    levels = torch.randint(256, shape, generator=random, dtype=torch.uint8)
    signs, dither = 2 * torch.randint(2, shape, generator=random) - 1, torch.rand(shape, generator=random)
    window = torch.linspace(0, 1, shape[2])[:, None].expand(1, 1, -1, 7)
    found = controls.SignNoise(signs, dither, window).on(levels, 20.5)
    amount = torch.floor(20.5 * window + dither).int()
    assert torch.equal(found, (levels.int() + signs * amount).clamp(0, 255).byte())
    assert (found != levels).float().mean() > 0.8


def test_saving_again_changes_nothing_where_the_format_is_lossless(portrait_photo):
    assert resaved(portrait_photo, "png") is portrait_photo.pixels
    again = resaved(portrait_photo, "jpeg")
    assert 0 < np.abs(again.astype(int) - portrait_photo.pixels).max() < 40


def written(pixels, kind, quality):
    """A file as Pillow writes it, told in its own words."""
    file, words = io.BytesIO(), {"jpeg": {"subsampling": "4:4:4"}, "heif": {"chroma": 444}, "webp": {"lossless": True}}
    options = words.get(kind, {}) | ({"quality": quality} if FORMATS[kind].lossy else {})
    Image.fromarray(pixels).save(file, FORMATS[kind].pillow, **options)
    return file.getvalue()


def reopened(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "heif"])
def test_the_resaved_control_is_the_original_in_a_file_like_the_protected_one(kind, small, brisk, tmp_path):
    """Of the quality in the Recipe beside the file. What is written in the same way is the same, pixel by pixel."""
    path = tmp_path / f"me.shield{FORMATS[kind].extensions[0]}"
    path.write_bytes(written(darkened(small, 60), kind, 45))
    original = from_array(small)
    report, pictures = brisk(original, path, recipe=shield.Recipe(quality=45))
    assert (pictures["resaved"] == reopened(written(small, kind, 45))).all()
    assert (pictures["protected"] == reopened(path.read_bytes())).all()
    assert report.protected.format == kind
    beside = dataclasses.replace(report, original=dataclasses.replace(report.original, sha256=original.sha256))
    report_paths(path)[0].write_text(beside.to_json())
    assert (brisk(original, path)[1]["resaved"] == pictures["resaved"]).all()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "heif"])
def test_verification_reads_the_file_that_is_there_now(kind, small, brisk, tmp_path):
    path, none, shadow = tmp_path / f"me{FORMATS[kind].extensions[0]}", small, darkened(small, 60)
    path.write_bytes(written(none, kind, 95))
    before, _ = brisk(small, path)
    path.write_bytes(written(shadow, kind, 95))
    after, pictures = brisk(small, path)
    assert after.face_lpips > 2 * before.face_lpips
    assert after.protected.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != before.protected.sha256
    assert (pictures["protected"] == reopened(path.read_bytes())).all()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "heif"])
def test_a_protection_reports_what_its_file_shows_at_the_recipes_quality(kind, small, brisk, monkeypatch):
    """The writer spoils a corner: whoever reports on what is in memory does not know."""
    files, save = {}, Image.Image.save

    def spoil(image, file, format=None, **options):
        image = image.copy()
        image.paste((255, 0, 255), (0, 0, 16, 16))
        save(image, file, format, **options)
        files[file.getvalue()] = options

    monkeypatch.setattr(Image.Image, "save", spoil)
    recipe = shield.Recipe(**PLAINLY, steps=1, face_lpips=1.0, flip=1.0, format=kind, quality=60)
    protection = shield.protect(small, recipe, plan=SAVED)
    report, shows = protection.report, reopened(protection.data)
    assert (protection.photo.pixels == shows).all() and (protection.verification.protected == shows).all()
    assert report.protected.sha256 == hashlib.sha256(protection.data).hexdigest()
    change = np.abs(shows.astype(int) - small)
    assert report.photo.max_levels == change.max() > 100
    assert report.photo.changed_outside >= 16 * 16 // 2
    assert files[protection.data].get("quality") == (60 if FORMATS[kind].lossy else None)


def test_half_precision_measures_what_full_precision_does(small, monkeypatch):
    noisy = np.clip(small.astype(int) + np.random.default_rng(1).integers(-12, 13, small.shape), 0, 255).astype(
        np.uint8
    )
    parts, scene = [load_surrogate(name, CPU) for name in shield.SURROGATES], frames.Scene(small, tuple(detect(small)))
    arguments = scene, {PROTECTED: noisy}, {"none": channels["none"].apply}, parts, lambda *row: {HELD: 1}, (), CPU
    fast, _ = effects.measure_effects(*arguments)
    from contextlib import nullcontext

    monkeypatch.setattr(effects, "fast_precision", lambda device: nullcontext())
    full, _ = effects.measure_effects(*arguments)
    for one, other in zip(fast, full, strict=True):
        assert one.distance == pytest.approx(other.distance, abs=0.002), one


class Tint:
    """Two edits whose results are plain to see: the face as it is, and with more red."""

    name, size, framing, licence, threshold, makes_pictures = "tint", 32, PORTRAIT, "", 0.05, True
    edits = "copy", "red"

    def __call__(self, faces):
        copies = 2 * faces - 1
        return torch.stack([copies, copies + torch.tensor([0.6, 0, 0])[:, None, None]], 1)

    def distance(self, results, clean):
        return l2(results, clean)


def grey(level):
    return np.full((96, 96, 3), level, np.uint8)


@pytest.fixture
def tint(monkeypatch):
    """The surrogate of that name, as long as a test lasts."""
    monkeypatch.setattr(surrogate, "_loaded", dict(surrogate._loaded))
    monkeypatch.setitem(surrogates._parts, Tint.name, lambda device: Tint())


@pytest.fixture
def tinted(tint, monkeypatch):
    """The verification of a grey picture that became lighter, by hand: whatever is not its colour would show."""
    ways = {"darker": lambda pixels: pixels - 10, "larger": lambda pixels: pixels.repeat(2, 0).repeat(2, 1) - 2}
    for name, way in ways.items():
        monkeypatch.setitem(channels._parts, name, Channel(name, way, channels[AS_SAVED].stand_in))
    sent = AS_SAVED, *ways
    plan = Plan(surrogates=(Tint.name,), channels=sent, held=3, few=2, exact=sent, controls=sent)
    return shield.verify_photo(grey(100), grey(130), whole=True, plan=plan)


def test_effects_are_distances_from_what_is_made_of_the_original_as_it_is(tinted):
    """After a channel too: what the channel itself does is in the figures, and the control shows how much it is."""
    lighter = {"none": 30, "darker": 20, "larger": 28}  # 28 levels are .048, 30 are .055
    for channel, levels in lighter.items():
        for picture, by in ((PROTECTED, levels), (RESAVED, levels - 30)):
            for frame in (EXACT, HELD):
                copy, red = tinted.report.select(picture, channel, frame=frame)
                amount = abs(by) * 2 / 255
                for effect in (copy, red):
                    assert effect.distance == effect.l2 == pytest.approx(amount**2, abs=1e-6), effect
                    assert effect.l1 == pytest.approx(amount, abs=1e-6)
                    assert effect.disrupted == (effect.share == 1) == (amount**2 > 0.05) and effect.threshold == 0.05
                assert copy.l2_mask == 0 and red.l2_mask == pytest.approx(amount**2, abs=1e-6)
    assert [effect.disrupted for effect in tinted.report.select()] == [True, True]
    assert not any(effect.disrupted for effect in tinted.report.select("protected", "larger"))


def test_manipulations_are_those_of_the_file_as_saved(tinted):
    copy, red = tinted.manipulations
    for picture, level in ((copy.clean, 100), (copy.broken, 130)):
        assert (picture == level).all()
    for picture, level in ((red.clean, 100), (red.broken, 130)):
        assert (picture[..., 1:] == level).all() and (np.abs(picture[..., 0] - level - 0.3 * 255) <= 0.5).all()
    assert [(one.face, one.surrogate, one.edit, one.disrupted) for one in tinted.manipulations] == [
        (0, "tint", "copy", True),
        (0, "tint", "red", True),
    ]
    assert {(one.share, one.frames) for one in tinted.manipulations} == {(1, 3)}


def test_a_face_is_framed_in_a_photo_of_another_size_as_in_the_original(small, tint, monkeypatch):
    """Merely resized, it is nearly the same face."""
    doubled = Channel("doubling", lambda pixels: pixels.repeat(2, 0).repeat(2, 1), channels[AS_SAVED].stand_in)
    monkeypatch.setitem(channels._parts, "doubled", doubled)
    ways = "screenshot", AS_SAVED, "doubled"
    plan = Plan(surrogates=(Tint.name,), channels=ways, held=4, few=4, exact=ways, found=ways)
    rows = [row for row in shield.verify_photo(small, small, plan=plan).report.effects if row.picture == PROTECTED]
    assert {(row.channel, row.frame) for row in rows} == {(way, kind) for way in ways for kind in frames.kinds}
    assert {(row.channel, row.frame): round(row.distance, 3) for row in rows if row.frame in (EXACT, HELD)} == {
        (way, kind): 0 for way in ways for kind in (EXACT, HELD)
    }


def test_seen_is_what_the_recipe_says_that_the_search_asked(small):
    """Not what it asks where nobody says anything else."""
    recipe = shield.Recipe(surrogates=("dlib",))
    assert "stargan" in shield.Recipe().surrogates
    plan = dataclasses.replace(SAVED, surrogates=("stargan", "dlib"))
    rows = shield.verify_photo(small, darkened(small, 40), recipe=recipe, plan=plan).report.effects
    assert {(row.surrogate, row.seen) for row in rows} == {("stargan", False), ("dlib", True)}


def test_rows_cover_what_the_plan_says_once(report):
    """The search's networks are not known: those on which it works by default are measured in full."""
    found = {(e.face, e.surrogate, e.edit, e.picture, e.channel, e.frame): e.frames for e in report.effects}
    assert len(found) == len(report.effects)
    expected = {}
    for name in NETWORKS:
        for picture in (PROTECTED, "resaved", NOISE):
            for channel in SENT:
                for frame, draws in FEW.rows(picture, channel, name in shield.Recipe().surrogates).items():
                    edits = load_surrogate(name, CPU).edits
                    expected |= {(0, name, edit, picture, channel, frame): draws for edit in edits}
    assert found == expected
    assert {e.seen for e in report.effects} == {False}
    assert {e.frames for e in report.select()} == {3, 2} and {e.frames for e in report.select(frame=EXACT)} == {1}
    stargan = report.select(surrogate="stargan", frame=None)
    assert all(e.distance == e.l2 and e.threshold == 0.05 and e.disrupted == (e.share >= 0.5) for e in stargan)
    assert all(e.l1 > 0 and e.l2_mask >= 0 for e in stargan)
    assert all(e.l2 is None for e in report.select(surrogate="dlib"))


def test_the_resaved_control_of_a_lossless_file_has_no_effect_as_saved(report):
    rows = report.select("resaved", frame=None)
    assert rows and all(e.distance < 1e-6 for e in rows)


def test_the_sentence_says_what_holds_and_what_does_not(report):
    everything = replaced(report, lambda row: broken(row, True), verified())
    assert everything.reached
    known = (
        "Face swap and face search: {0} of 1 recognisers no longer know the person however the face is framed; "
        "of those that no search asked, {0} of 1; after a social network's compression {0} of 1. "
    )
    assert everything.sentence().endswith(
        f" {known.format(1)}6 of 6 manipulations break on the saved file however the face is framed; still all of them "
        "after JPEG 90, JPEG 75, JPEG 50, WebP 75, halving its size, blurring, a social network and a screenshot; "
        "noise of the same visibility breaks 0."
    )
    weak = replaced(report, lambda row: broken(row, row.channel != "jpeg50"), verified()).sentence()
    assert "fewer after JPEG 50 (0 of 6)" in weak
    nothing = replaced(report, lambda row: broken(row, False), verified())
    assert not nothing.reached
    assert nothing.sentence().endswith(
        f" {known.format(0)}0 of 6 manipulations break on the saved file however the face is framed; noise of the same "
        "visibility breaks 0."
    )
    lost = replaced(report, lambda row: broken(row, row.frame != FOUND))
    assert not lost.reached
    assert (
        "0 of 1 recognisers no longer know the person as found by yunet; of those that no search asked, 0 of 1; "
        "after a social network's compression 1 of 1. 0 of 6 manipulations break on the saved file as found by yunet; "
        "6 of 6 in frames drawn at random, as found by centerface and as found by landmarks; "
        "6 of 6 in the search's own frame, an upper limit; "
    ) in lost.sentence()


def test_the_search_s_own_frame_proves_nothing(report):
    """What breaks in the exact frame alone is not protected; what breaks in all others alone is."""
    exact = replaced(report, lambda row: broken(row, row.frame == EXACT))
    assert (
        exact.verdict == "not protected"
        and not exact.reached
        and "edits withstand the change (6 of 6)" in exact.headline()
    )
    others = replaced(report, lambda row: broken(row, row.frame != EXACT))
    assert (
        others.verdict == "protected"
        and others.reached
        and "edits break (0 of 6 withstand the change)" in others.headline()
    )


def test_the_report_says_on_what_machine_it_was_measured(report):
    assert report.machine["device"] == "cpu"
    assert int(report.machine["threads"]) == torch.get_num_threads()


def test_a_change_beyond_the_recipes_levels_does_not_keep_the_bound(report):
    recipe = {"face_lpips": 1.0, "levels": 2}
    assert dataclasses.replace(report, recipe=recipe).bound_kept
    assert not dataclasses.replace(report, recipe=recipe | {"levels": 1}).bound_kept
    lossy = dataclasses.replace(report.protected, format="jpeg")
    assert dataclasses.replace(report, recipe=recipe | {"levels": 1}, protected=lossy).bound_kept


def test_the_worst_face_decides_on_the_bound(tinted):
    report = tinted.report

    def with_lpips(*values):
        (face,) = report.faces
        faces = [
            dataclasses.replace(face, visibility=dataclasses.replace(face.visibility, face_lpips=v)) for v in values
        ]
        return dataclasses.replace(report, faces=tuple(faces), recipe={"face_lpips": 0.05, "levels": 30})

    assert with_lpips(0.01, 0.06, 0.02).face_lpips == 0.06
    assert not with_lpips(0.01, 0.06, 0.02).bound_kept
    assert not with_lpips(0.051).bound_kept
    assert with_lpips(0.05, 0.01).bound_kept  # at most: the bound itself is allowed
    lossy = dataclasses.replace(report.protected, format="jpeg")
    assert not dataclasses.replace(with_lpips(0.06), protected=lossy).bound_kept


def test_json_is_strict_and_complete(report, small):
    data = json.loads(report.to_json(), parse_constant=pytest.fail)
    assert {field.name for field in dataclasses.fields(shield.Report)} == set(data)
    assert data["photo"]["max_levels"] == 2
    same = shield.verify_photo(small, small, surrogates=["dlib"], channels=["none"], frames=[EXACT]).report
    assert json.loads(same.to_json(), parse_constant=pytest.fail)["photo"]["psnr"] is None
    assert same.bound_kept is None


def test_every_manipulated_picture_on_the_sheet_is_marked(monkeypatch, small):
    marked = []
    original = effects.mark
    monkeypatch.setattr(effects, "mark", lambda pixels: marked.append(pixels) or original(pixels))
    tile = np.full((128, 128, 3), 200, np.uint8)
    tiles = [effects.Manipulation(0, "stargan", f"edit {i}", tile, tile, bool(i)) for i in range(3)]
    picture = sheet.contact_sheet(small, small, tiles, "verdict")
    assert len(marked) == 6
    assert picture.width > 3 * 384
    foot = np.asarray(original(tile))[-13:]
    assert foot.mean() < 120
    assert foot.max() > 220
    assert (np.asarray(original(tile))[:100] == 200).all()


def test_difference_is_amplified_around_grey():
    one, other = np.full((2, 2, 3), 100, np.uint8), np.full((2, 2, 3), 103, np.uint8)
    assert (sheet.difference(one, other) == 158).all()
    assert (sheet.difference(other, one) == 98).all()


def test_the_table_has_the_share_of_frames_of_every_row_measured(report):
    table = report.table()
    assert list(table) == [*report.surrogates(), "control: saved only", "control: noise"]
    assert report.row_titles() == (
        *(f"as saved, {frame}" for frame in (EXACT, HELD, *ALIGNED)),
        "jpeg75, held",
        "social, held",
    )
    assert set(table["stargan"]) == set(report.row_titles())
    assert set(table["ganimation"]) == set(report.row_titles()[: 2 + len(ALIGNED)])  # no search by default sees it
    assert set(table["control: noise"]) == {"as saved, exact", "as saved, held", "jpeg75, held"}
    halves = replaced(
        report, lambda row: dataclasses.replace(row, share=0.25 * (row.edit == load_surrogate("stargan", CPU).edits[0]))
    )
    assert halves.table()["stargan"]["as saved, held"] == pytest.approx(0.25 / 6)
    assert report.other_side.table() == {}


def test_without_outcomes_the_verdict_is_what_breaks_of_what_the_search_worked_on(report):
    def held(yes):
        return replaced(report, lambda row: broken(row, row.surrogate in ("stargan", "dlib") and yes(row)))

    saved = held(lambda row: row.channel == "none")
    assert saved.verdict == "partly protected"  # after a social network nothing breaks
    assert held(lambda row: True).verdict == "protected"
    assert held(lambda row: row.frame != FOUND).verdict == "partly protected"
    unseen = len([e for e in report.select() if e.surrogate == "ganimation"])
    assert saved.headline() == (
        "Recognisers that shield never trained against no longer know you (0 of 1); edits break (0 of 6 withstand "
        "the change); edits by networks that the search did not see withstand the change "
        f"({unseen} of {unseen}). After a social network: 1 of 1 never trained against, 6 of 6 edits, "
        f"{unseen} of {unseen} others."
    )
    assert held(lambda row: False).verdict == report.verdict == "not protected"


def outcomes(report, clean, saved, sent, seen=("stargan", "dlib")):
    """The report with usable deepfakes of the first so many edits of stargan, and recognisers that all lose or keep.

    ``clean``: of the original; ``saved``, ``sent``: of the protected photo, and after channels. The judge knows nobody.
    """
    edits = list(load_surrogate("stargan", CPU).edits)

    def outcome(row):
        row = dataclasses.replace(row, seen=row.surrogate in seen, disrupted=row.surrogate == "dlib", usable=None)
        if row.surrogate != "stargan":
            return row
        number, left = edits.index(row.edit), saved if row.channel == AS_SAVED else sent
        return dataclasses.replace(row, usable=float(number < left), usable_clean=float(number < clean))

    return replaced(report, outcome)


def swap(donor, picture, works, channel=AS_SAVED):
    return Swap(0, donor, "source", picture, channel, {}, (), works)


def test_outcomes_decide_and_not_what_breaks(report):
    """Not one edit breaks, and the photo is protected: nothing works any more that worked before."""
    stopped = outcomes(report, clean=4, saved=0, sent=0)
    assert not any(row.disrupted for row in stopped.select(surrogate="stargan"))
    assert stopped.verdict == "protected" and stopped.reached
    assert stopped.headline().startswith(
        "Face search no longer knows you (0 of 1 recognisers); edits make no usable deepfake any more (0 of 4); "
    )
    assert outcomes(report, clean=4, saved=0, sent=1).verdict == "partly protected"
    some = outcomes(report, clean=4, saved=3, sent=0)
    assert some.verdict == "partly protected"  # the recognisers
    assert "edits still make a usable deepfake (3 of 4)" in some.headline()
    assert outcomes(report, 4, 4, 4, seen=("stargan",)).verdict == "not protected"
    assert outcomes(report, 4, 2, 4, seen=("stargan",)).verdict == "partly protected"
    assert outcomes(report, 0, 6, 6).verdict == "protected"  # they do not work on the original
    assert "edits do not work on the original either" in outcomes(report, 0, 6, 6).headline()
    assert outcomes(report, 0, 6, 6, seen=("stargan",)).verdict == "nothing to protect from"


def test_edits_that_nobody_judges_count_where_they_do_not_break_beside_those_that_are(report):
    """An imported network with numbered edits, searched beside stargan."""
    stopped = outcomes(report, clean=4, saved=0, sent=0, seen=("stargan", "mine"))
    searched = [row for row in stopped.effects if row.surrogate == "stargan"]
    mine = [dataclasses.replace(row, surrogate="mine", usable=None) for row in searched]
    both = dataclasses.replace(stopped, effects=(*stopped.effects, *mine))
    (edits,) = [door for door in both.doors() if door.name == "edits"]
    assert (edits.worked, edits.saved) == (4 + 6, 6) and both.verdict != "protected"
    broken = [dataclasses.replace(row, disrupted=True) for row in mine]
    assert dataclasses.replace(stopped, effects=(*stopped.effects, *broken)).verdict == "protected"


def test_frames_in_which_nothing_worked_on_the_original_hide_no_others(report):
    rows = [
        dataclasses.replace(row, usable=0.0, usable_clean=float(row.frame != HELD), seen=row.surrogate == "stargan")
        for row in report.effects
        if row.surrogate == "stargan"
    ]
    (edits,) = dataclasses.replace(report, effects=tuple(rows), swaps=()).doors()
    assert (edits.worked, edits.saved) == (6, 0)


def test_a_report_without_anything_as_saved_has_words_and_a_table(report):
    rows = tuple(row for row in report.effects if row.surrogate == "dlib" and row.channel != AS_SAVED)
    nothing = dataclasses.replace(report, effects=rows, swaps=())
    assert nothing.lead().endswith("Nothing was tried on this photo.")
    (_, *heads), cells = nothing.door_table()
    assert heads == [] and cells == []


def test_a_face_swap_counts_on_donors_on_whom_the_originals_works(report):
    stopped = outcomes(report, clean=4, saved=0, sent=0)
    clean = swap("a", "original", True), swap("b", "original", False), swap("c", "original", True)
    shown = [
        dataclasses.replace(
            stopped,
            swaps=(
                *clean,
                swap("a", PROTECTED, a),
                swap("b", PROTECTED, True),
                swap("c", PROTECTED, False),
                swap("a", PROTECTED, sent, "social"),
            ),
        )
        for a, sent in ((False, False), (True, False), (False, True))
    ]
    assert [one.verdict for one in shown] == ["protected", "partly protected", "partly protected"]
    assert shown[0].headline().startswith("Face swaps no longer show you (0 of 2 pictures); ")
    assert shown[1].headline().startswith("Face swaps still show you (1 of 2 pictures); ")
    assert "After a social network: 1 of 2 swaps, " in shown[2].headline()
    _, rows = shown[2].door_table()
    assert rows[0] == ("face swaps show you", "2 of 3", "0 of 2", "1 of 2", "1 of 2 (social)")


def test_a_recogniser_that_no_search_asked_counts_where_others_were(report):
    """Whoever is told that he is protected is not to be found by the next best stranger."""

    def judged(knows):
        rows = outcomes(report, clean=4, saved=0, sent=0).effects
        judge = [
            dataclasses.replace(r, surrogate="sface", seen=False, disrupted=not knows)
            for r in rows
            if r.surrogate == "dlib"
        ]
        return dataclasses.replace(report, effects=(*rows, *judge))

    assert judged(False).verdict == "protected"
    assert judged(True).verdict == "partly protected"
    assert "recognisers that shield never trained against still know you (1 of 1)" in judged(True).headline()


def test_what_the_search_did_not_work_against_is_in_the_table_and_not_in_the_verdict(report):
    unseen = outcomes(report, clean=4, saved=0, sent=0)
    _, rows = unseen.door_table()
    (row,) = [row for row in rows if row[0].startswith("edits by networks that the search did not see")]
    count = len([e for e in report.select() if e.surrogate == "ganimation"])
    assert row[2] == f"{count} of {count}" and unseen.verdict == "protected"


def test_half_of_the_frames_are_enough():
    threshold = torch.tensor([[0.0], [0.0], [1.0], [1.0]]), torch.tensor([[0.0], [0.0], [0.0], [1.0]])
    for distances, share in zip(threshold, (0.5, 0.25), strict=True):
        look = effects.Look(0, HELD, [None] * 4, None, None, [distances])
        (row,) = effects._effects(look, load_surrogate("dlib", CPU), False, PROTECTED, "none")
        assert (row.share, row.disrupted, row.frames) == (share, share >= 0.5, 4)


def test_progress_counts_every_measurement_and_its_exception_cancels(small, monkeypatch):
    told = []
    monkeypatch.setattr(effects, "run", lambda surrogate, crops: _blank(surrogate, len(crops)))
    shield.verify_photo(
        small, small, adversaries=True, plan=FEW, progress=lambda done, total: told.append((done, total))
    )
    done, total = zip(*told, strict=True)
    assert set(total) == {len(told)} and list(done) == list(range(len(told)))

    def cancel(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shield.verify_photo(small, small, plan=FEW, progress=cancel)


def _blank(surrogate, count):
    shape = (3, surrogate.size, surrogate.size) if surrogate.makes_pictures else (128,)
    return torch.zeros(count, len(surrogate.edits), *shape)


def test_both_pictures_of_a_manipulation_are_marked_and_the_difference_is_the_sheets(report, small):
    tile = np.full((128, 128, 3), 200, np.uint8)
    for picture in effects.Manipulation(0, "stargan", "male", tile, tile, True).pictures:
        assert np.asarray(picture)[-13:].mean() < 120


def test_outlines_frame_every_face_and_leave_the_rest(portrait_photo, portrait_face):
    drawn = np.asarray(shield.outline(portrait_photo, [portrait_face]))
    changed = np.argwhere((drawn != portrait_photo.pixels).any(axis=2))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0) + 1
    assert np.abs(np.array([left, top, right, bottom]) - portrait_face.box).max() <= 16
    inside = slice(top + 40, bottom - 40), slice(left + 40, right - 40)
    assert (drawn[inside] == portrait_photo.pixels[inside]).all()
    assert shield.find_faces(portrait_photo) == [portrait_face]


def test_the_detector_judges_the_photos_and_every_manipulation(report):
    pictures = len([surrogate for surrogate in report.surrogates() if surrogate != "dlib"])
    assert pictures > 0
    rows = {name: [row for row in report.detections if row.picture == name] for name in ("original", "protected")}
    assert all(len(found) == len(report.faces) for found in rows.values())
    edits = {(effect.face, effect.surrogate, effect.edit) for effect in report.select() if effect.l2 is not None}
    for name in ("manipulated", "broken"):
        assert {(row.face, row.surrogate, row.edit) for row in report.detections if row.picture == name} == edits
    assert all(0 <= row.probability <= 1 and row.verdict in ("real", "fake", "unsure") for row in report.detections)
    assert rows["protected"][0].probability == pytest.approx(rows["original"][0].probability, abs=0.3)
    assert json.loads(report.to_json())["detections"][0]["picture"] == "original"


def test_what_the_detector_says_is_of_the_very_pictures(small, tint):
    """Each probability worked out again, one picture after the other."""

    def probability(pixels, face):
        crop = warp(to_tensor(pixels), face, SIZE)
        return probability_of(float(Shipped().log_odds(crop)))

    # A chequered change, as a generator leaves one, so that the detector minds.
    chequered = np.clip(small + 8 * (np.indices(small.shape).sum(0) % 2 * 2 - 1), 0, 255).astype(np.uint8)
    found = shield.verify_photo(small, chequered, plan=dataclasses.replace(SAVED, surrogates=(Tint.name,)))
    (face,), edge = detect(small), Tint.size
    expected = {("original", None): probability(small, face), ("protected", None): probability(chequered, face)}
    for one in found.manipulations:
        expected["manipulated", one.edit] = probability(one.clean, whole_picture(edge, edge))
        expected["broken", one.edit] = probability(one.broken, whole_picture(edge, edge))
    rows = {(row.picture, row.edit): row for row in found.report.detections}
    assert rows.keys() == expected.keys()
    for key, row in rows.items():
        assert row.probability == pytest.approx(expected[key], abs=1e-3), key
        assert row.verdict == called(row.probability)
    assert np.ptp([row.probability for row in rows.values()]) > 0.1


def test_the_detectors_sentence_counts(report):
    def row(picture, verdict):
        return dataclasses.replace(report.detections[0], picture=picture, verdict=verdict)

    rows = [row("original", "real"), row("original", "unsure"), row("protected", "real")]
    rows += [row("manipulated", "fake"), row("manipulated", "real"), row("broken", "fake")]
    assert dataclasses.replace(report, detections=tuple(rows)).detector_sentence() == (
        "The detector calls the original photo unsure and the protected photo real; "
        "fake it calls 1 of 2 manipulations of the original and 1 of 1 of the protected photo."
    )
    assert dataclasses.replace(report, detections=()).detector_sentence() == "The detector saw no photo."


@pytest.mark.parametrize("name", ["jpeg75", "half", "blur", "social", "screenshot"])
def test_the_faces_window_fares_as_the_whole_photo_does(small, name):
    """What is far from the face costs nothing, and what is measured on the face is the same."""
    canvas = np.pad(np.roll(small, 5, axis=1), ((400, 700), (500, 900), (0, 0)), mode="reflect")
    height, width = canvas.shape[:2]
    region = region_of(detect(small)[0].moved(-505, -400), width, height)
    window = window_around([region], width, height)
    assert window.of(canvas).size < 0.5 * canvas.size
    near, channel = window.moved(region), channels[name]
    whole, part = channel.apply(canvas), channel.within(max(width, height))(window.of(canvas))
    surrogate = load_surrogate("stargan", CPU)
    crops = [
        effects.face_crop(sent, face.scaled(sent.shape[1] / of.shape[1], sent.shape[0] / of.shape[0]), surrogate, CPU)
        for sent, face, of in ((whole, region.face, canvas), (part, near.face, window.of(canvas)))
    ]
    limit = 0.02 if name == "social" else 1e-4  # there the squares of the JPEG lie elsewhere
    assert (crops[0] - crops[1]).abs().mean() < limit
