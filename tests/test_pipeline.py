"""protect(): bounds on the reopened file, effect, determinism, cancellation, several faces."""

import json
from dataclasses import is_dataclass, replace
from functools import partial
from io import BytesIO
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import shield
from shield import batch, disruption, fit, pipeline, recipe, search
from shield.carriers import Change, written
from shield.faces import detect, whole_picture
from shield.frames import EXACT, FRAMES
from shield.photo import decode, encode, from_array, read, to_pixels, to_tensor
from shield.region import Region, region_of
from shield.surrogates import load_surrogate
from shield.surrogates.stargan import EDITS
from shield.swap.canvas import Canvas
from shield.verify import Plan
from shield.verify.effects import face_crop
from shield.verify.visibility import face_visibility

# Enough to break stargan in the search's own frame, and no more: what holds in other frames is for other tests.
QUICK = shield.Recipe(surrogates=("stargan",), steps=6, transforms=shield.PLAIN, steered=False)
LEAST = shield.Recipe(surrogates=("stargan",), attack="fgsm", steps=1, transforms=shield.PLAIN, steered=False)
CPU = torch.device("cpu")
# Verification is for other tests: two networks, two channels, few frames.
BRIEF = Plan(surrogates=("stargan", "dlib"), channels=("none", "jpeg75"), held=2, few=1, found=())
protect, protect_file = (partial(call, plan=BRIEF) for call in (shield.protect, shield.protect_file))


def far(report, picture):
    """How far stargan's results are from the clean ones, in the search's own frame as saved."""
    return np.mean([row.distance for row in report.select(picture, surrogate="stargan", frame="exact")])


@pytest.fixture(scope="module")
def protected(small):
    return protect(small, QUICK)


@pytest.fixture
def unverified(protected, monkeypatch):
    """Only the bytes matter, or what happens on the way: half of the time would go into measuring them."""
    monkeypatch.setattr(pipeline, "verify_photo", lambda *_, **__: protected.verification)


def reopened(protection):
    return np.asarray(Image.open(BytesIO(protection.data)).convert("RGB"))


def test_the_file_obeys_both_bounds_and_every_edit_breaks(small, protected):
    pixels = reopened(protected)
    change = np.abs(pixels.astype(int) - small)
    assert 0 < change.max() <= QUICK.levels
    (face,) = protected.report.faces
    found = shield.verify_photo(small, pixels, recipe=QUICK, plan=BRIEF).report
    assert found.face_lpips == pytest.approx(face.visibility.face_lpips, abs=1e-6)
    assert found.face_lpips <= QUICK.face_lpips
    assert protected.report.bound_kept
    assert all(effect.disrupted for effect in found.select(surrogate="stargan", frame="exact"))
    assert not any(effect.disrupted for effect in found.select("noise", frame="exact"))


def test_pixels_outside_the_region_are_the_originals(small):
    # Half of the canvas has no face, so most of it lies outside.
    canvas = np.concatenate([small, np.full_like(small, 90)], axis=1)
    protection = protect(canvas, replace(QUICK, steps=2))
    pixels = reopened(protection)
    face = detect(canvas)[0]
    region = region_of(face, canvas.shape[1], canvas.shape[0])
    outside = np.ones(canvas.shape[:2], bool)
    outside[region.box] = False
    assert outside.sum() > canvas.shape[0] * canvas.shape[1] / 3
    assert (pixels[outside] == canvas[outside]).all()
    assert (pixels[region.box] != canvas[region.box]).any()
    assert protection.report.photo.changed_outside == 0


def test_all_twelve_condition_vectors_break_not_only_the_listed_six(small, protected):
    surrogate = load_surrogate("stargan", CPU)
    face = detect(small)[0]
    vectors = [[*hair, male, young] for hair in np.eye(3).tolist() for male in (0, 1) for young in (0, 1)]
    assert len(vectors) == 12 > len(EDITS)
    conditions = torch.tensor(vectors)
    with torch.no_grad():
        clean, broken = (
            surrogate.network(2 * face_crop(pixels, face, surrogate, CPU).expand(12, -1, -1, -1) - 1, conditions)
            for pixels in (small, reopened(protected))
        )
    assert ((broken - clean).square().mean((1, 2, 3)) > 0.05).all()


@pytest.mark.parametrize("file_format", ["jpeg", "webp", "heif"])
def test_the_bound_holds_on_lossy_files_too(small, file_format):
    recipe = replace(QUICK.with_preset("strong"), format=file_format, face_lpips=0.03)
    protection = protect(small, recipe)
    photo = decode(protection.data)
    assert photo.format == file_format
    face = detect(small)[0]
    region = region_of(face, photo.width, photo.height)
    assert face_visibility(small, photo.pixels, region, CPU).face_lpips <= recipe.face_lpips
    assert far(protection.report, "protected") > 5 * far(protection.report, "resaved")


def loss_of(pixels, monkeypatch, recipe):
    """What the search climbed."""
    made = []
    whole = search.Disruption
    monkeypatch.setattr(search, "Disruption", lambda *parts: made.append(whole(*parts)) or made[-1])
    region = region_of(detect(pixels)[0], *pixels.shape[1::-1])
    search.search(search.Task(from_array(pixels), region, region.window(), recipe.format), recipe)
    return made[-1]


def roads_of(pixels, monkeypatch, **settings):
    """What the search went through, in order."""
    return loss_of(pixels, monkeypatch, replace(LEAST, transforms=("none", "jpeg75"), **settings)).roads


def test_a_searchs_frames_are_as_wide_as_its_recipe_says(small, monkeypatch):
    recipe = replace(LEAST, format="png")
    assert loss_of(small, monkeypatch, recipe).frames == FRAMES
    half = loss_of(small, monkeypatch, replace(recipe, spread=0.5)).frames
    assert (half.shift, half.scale, half.turn) == (FRAMES.shift / 2, FRAMES.scale / 2, FRAMES.turn / 2)
    loss = loss_of(small, monkeypatch, replace(recipe, spread=0))
    assert {*loss.judged, *(frame for draw in loss.draw() for frame in draw.frames)} == {EXACT}


def test_a_jpeg_is_searched_through_the_codec_that_writes_it(small, monkeypatch):
    saving, web = roads_of(small, monkeypatch, format="jpeg", quality=30)
    square = small[:192, :192]  # whole blocks
    on_the_grid = next(
        seed
        for seed in range(1000)
        if torch.randint(16, (2,), generator=torch.Generator().manual_seed(seed)).sum() == 0
    )
    seen = to_pixels(saving(to_tensor(square), torch.Generator().manual_seed(on_the_grid)))
    file = encode(from_array(square), "jpeg", quality=30)
    assert (seen == decode(file).pixels).all()
    assert not saving.halved  # and these are: what the web writes
    assert (web.halved, web.quality) == (True, 75)


def test_a_lossless_file_is_searched_as_it_is(small, monkeypatch):
    saving, _ = roads_of(small, monkeypatch, format="png", quality=30)
    picture = to_tensor(small)
    assert saving(picture, torch.Generator()) is picture


def test_smooth_places_change_by_as_much_as_the_recipe_says(small):
    grey, face = torch.full((1, 3, 64, 64), 0.5), whole_picture(64, 64)
    for smooth in (2, 7):
        bound = search.bound_of(
            shield.Recipe(masked=True, smooth=smooth, steered=False), grey, face, torch.ones(1, 1, 64, 64)
        )
        start = bound.start(1.0, torch.Generator().manual_seed(0))
        assert 255 * (start - grey).abs().max() == pytest.approx(smooth, rel=0.05)


@pytest.mark.usefixtures("unverified")
def test_every_file_is_encoded_once_and_the_original_measured_once(small, monkeypatch):
    encoder, measure = Mock(side_effect=encode), Mock(side_effect=fit.Visibility)
    monkeypatch.setattr(fit, "encode", encoder)
    monkeypatch.setattr(fit, "Visibility", measure)
    protect(small, replace(LEAST, face_lpips=1.0, flip=1.0, format="jpeg"))
    assert encoder.call_count == 2  # the original, to see what saving alone does, and the one attempt
    assert measure.call_count == 1  # for all files


def test_a_bound_that_saving_alone_breaks_is_refused(small):
    with pytest.raises(shield.BoundError, match="Saving this photo"):
        protect(small, replace(LEAST, face_lpips=0.0005, format="jpeg", quality=20))


def test_a_tiny_bound_is_kept_by_shrinking(small):
    protection = protect(small, replace(QUICK, steps=2, face_lpips=0.0005))
    assert protection.report.face_lpips <= 0.0005
    assert not protection.report.reached


@pytest.mark.usefixtures("unverified")
def test_same_recipe_same_bytes_and_another_seed_other_bytes(small):
    first, again, other = (
        protect(small, shield.Recipe(steps=2, seed=seed, transforms=("jpeg75", "noise"), steered=False)).data
        for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.usefixtures("unverified")
def test_arrays_pictures_and_floats_are_the_same_photo(small):
    recipe = replace(QUICK, steps=2)
    first, *others = (protect(s, recipe).data for s in (small, Image.fromarray(small), small / 255))
    assert all(other == first for other in others)


def test_random_state_and_weights_stay(small):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    before = [value.clone() for value in load_surrogate("stargan", CPU).state_dict().values()]
    protect(small, replace(QUICK, steps=1))
    assert torch.equal(state, torch.get_rng_state())
    after = load_surrogate("stargan", CPU).state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_every_face_is_protected_and_overlapping_ones_obey(small):
    half = small[:, 60:260]  # two faces so near that their regions overlap
    canvas = np.concatenate([half, half[:, ::-1]], axis=1)
    protection = protect(canvas, QUICK)
    report = protection.report
    assert len(report.faces) == 2
    boxes = [region_of(face, canvas.shape[1], canvas.shape[0]) for face in detect(canvas)]
    assert max(b.left for b in boxes) < min(b.right for b in boxes)
    assert all(face.visibility.face_lpips <= 0.05 for face in report.faces)
    assert report.photo.max_levels <= QUICK.levels
    for number in (0, 1):
        rows = [e for e in report.select(surrogate="stargan", frame="exact") if e.face == number]
        assert len(rows) == 6
        assert all(row.disrupted for row in rows)


def test_a_face_that_exceeds_by_its_neighbours_change_is_not_refused(small):
    """The reviewer's: nothing that the smaller one does to its own change helps it."""
    height, width = small.shape[:2]
    face = detect(small)[0]
    large, little, away = (
        Region(face, left, 0, right, height)
        for left, right in ((0, width // 2), (width // 4, width // 2), (3 * width // 4, width))
    )
    regions = [large, little, away]
    changes = [Change(torch.full((1, 3, *region.working_size), 16 / 255)) for region in regions]
    changes[1] = changes[1].scaled(0)

    def excesses(candidate, flows):
        seen = little.crop(candidate.photo.pixels, CPU).float() - little.crop(small, CPU).float()
        return [-0.5, float(seen.abs().mean()) / 6 - 1, -0.5]

    original = fit.Candidate(from_array(small), "png", QUICK)
    fitted = fit.fit(original, regions, changes, excesses)
    kept = [float(change.pixels.abs().max() * 255) for change in fitted.changes]
    assert 3 < kept[0] < 7 and kept[1] == 0 and kept[2] == pytest.approx(16)


@pytest.mark.usefixtures("unverified")
def test_progress_counts_up_and_its_exception_cancels(small):
    calls = []
    protect(small, replace(QUICK, steps=2), lambda *call: calls.append(call))
    done = [step for step, _, _ in calls]
    assert done == sorted(set(done))
    assert (done[0], done[-1]) == (0, 2)
    assert all(steps == 2 and 0 <= best <= 1 for _, steps, best in calls)

    def stop(step, steps, best):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        protect(small, QUICK, stop)


def test_save_writes_the_verified_bytes_a_report_and_a_sheet(tmp_path, protected):
    written = protected.save(tmp_path / "me.png")
    assert [path.name for path in written] == ["me.png", "me.shield.json", "me.shield.sheet.png"]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    assert written[0].read_bytes() == protected.data
    report = json.loads(written[1].read_text())
    assert report["schema"] == 6
    assert report["recipe"]["seed"] == QUICK.seed
    assert report["protected"]["sha256"] == read(written[0]).sha256
    assert set(report["weights"]) == set(shield.manifest())
    with Image.open(written[2]) as sheet:
        assert sheet.width > 600


def test_the_original_is_never_overwritten(tmp_path, small):
    path = tmp_path / "me.png"
    Image.fromarray(small).save(path)
    before = path.read_bytes()
    with pytest.raises(shield.PhotoError, match="never overwrites"):
        protect_file(path, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_photos_of_one_name_do_not_overwrite_one_anothers_files(tmp_path, small, protected, monkeypatch):
    def stand_in(photo, *_, **__):
        report = replace(protected.report, original=replace(protected.report.original, name=photo.path.name))
        return replace(protected, original=photo, verification=replace(protected.verification, report=report))

    monkeypatch.setattr(batch, "protect", stand_in)
    photos = tmp_path / "me.png", tmp_path / "me.bmp"
    expected = (
        ("me.shield.png", "me.shield.json", "me.shield.sheet.png"),
        (
            "me.bmp.shield.png",
            "me.bmp.shield.json",
            "me.bmp.shield.sheet.png",
        ),
    )
    for path in photos:
        Image.fromarray(small).save(path)
    for _ in range(2):  # again, and every photo keeps its names
        for path, names in zip(photos, expected, strict=True):
            _, written = protect_file(path, recipe=shield.Recipe(format="png"), force=True)
            assert tuple(file.name for file in written) == names
    for path, names in zip(photos, expected, strict=True):
        assert json.loads((tmp_path / names[1]).read_text())["original"]["name"] == path.name


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"original": null}', "no JSON"])
def test_a_file_that_is_no_report_is_not_overwritten(tmp_path, small, protected, monkeypatch, text):
    monkeypatch.setattr(batch, "protect", lambda *_, **__: protected)
    (tmp_path / "me.shield.json").write_text(text)
    Image.fromarray(small).save(tmp_path / "me.png")
    _, written = protect_file(tmp_path / "me.png")
    assert written[1].name == "me.png.shield.json"
    assert (tmp_path / "me.shield.json").read_text() == text


def test_saving_under_another_formats_ending_is_refused(tmp_path, protected):
    with pytest.raises(shield.RecipeError, match="another ending"):
        protected.save(tmp_path / "me.jpg")
    assert not list(tmp_path.iterdir())


def test_neither_photo_is_overwritten_by_the_sheet(tmp_path, protected, small):
    original = tmp_path / "me.png"
    Image.fromarray(small).save(original)
    written, *_ = protected.save(tmp_path / "me.shield.png")
    verification = shield.verify_photo(original, written, plan=BRIEF)
    before = original.read_bytes(), written.read_bytes()
    for path in (original, written):
        with pytest.raises(shield.PhotoError, match="never overwrites"):
            verification.save_sheet(path)
    assert (original.read_bytes(), written.read_bytes()) == before


def test_the_whole_picture_can_be_one_region(small):
    left = small[:, :240]
    protection = protect(left, replace(QUICK, steps=4, whole=True))
    (face,) = protection.report.faces
    assert face.box == (0, 0, 240, 320)
    assert protection.report.face_lpips <= 0.05
    assert far(protection.report, "protected") > 5 * far(protection.report, "noise")


@pytest.mark.parametrize("shape", [(40, 40, 3), (70, 2000, 3)])
def test_a_picture_too_small_or_thin_to_measure_is_refused(shape):
    with pytest.raises(shield.PhotoError, match="pixels a side"):
        protect(np.full(shape, 90, np.uint8), shield.Recipe(whole=True))


def test_changes_add_up_channel_by_channel_and_are_cut_to_the_levels(small):
    regions = [Region(None, 10, 20, 60, 80), Region(None, 40, 50, 90, 95)]  # left, top, right, bottom
    random = torch.Generator().manual_seed(0)
    changes = [Change((torch.rand(1, 3, r.height, r.width, generator=random) - 0.5) * 40 / 255) for r in regions]
    changes[1] = changes[1].scaled(0.6)
    total = np.zeros(small.shape)
    for region, change in zip(regions, changes, strict=True):
        total[region.box] += 255 * change.pixels[0].permute(1, 2, 0).numpy()
    expected = np.clip(np.rint(small + np.clip(total, -12, 12)), 0, 255)
    found = written(small, regions, changes, 12)
    assert found.dtype == np.uint8
    assert (found == expected).mean() > 0.9999  # halves may round either way
    assert np.abs(found - expected).max() <= 1
    assert np.abs(found.astype(int) - small).max() == 12


@pytest.mark.usefixtures("unverified")
def test_few_levels_still_leave_the_original(small):
    """A start that rounds back to the original has no gradient, and the search would stand still."""
    change = np.asarray(protect(small, replace(QUICK, levels=2, steps=3)).image).astype(int) - small
    assert 0 < np.abs(change).max() <= 2


def test_a_grey_photo_is_searched_and_saved_in_grey(tmp_path, small, monkeypatch):
    """Every picture that a surrogate is asked about, in the search and of every control, has equal channels."""
    looked = []
    look_at = disruption.Disruption.look

    def look(loss, photo, draw):
        looked.append(photo.detach())
        return look_at(loss, photo, draw)

    monkeypatch.setattr(disruption.Disruption, "look", look)
    path = tmp_path / "me.png"
    Image.fromarray(small).convert("L").save(path)
    protection, written = protect_file(path, recipe=replace(QUICK, steps=3, start="universal"))
    assert len(looked) >= 4 and all((photo == photo[:, :1]).all() for photo in looked)
    assert not (looked[0] == looked[-1]).all()
    saved = Image.open(written[0])
    assert saved.mode == "L" and (np.asarray(saved) != np.asarray(Image.open(path))).any()
    assert protection.report.face_lpips <= QUICK.face_lpips


@pytest.mark.usefixtures("unverified")
def test_alpha_and_profile_travel(tmp_path, small):
    picture = Image.fromarray(small)
    picture.putalpha(Image.fromarray(np.tile(np.arange(64, 224, 0.5, dtype=float).astype(np.uint8), (320, 1))))
    path = tmp_path / "me.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(path, icc_profile=profile)
    _, written = protect_file(path, recipe=replace(QUICK, steps=1))
    result = read(written[0])
    assert (result.alpha == np.asarray(picture.getchannel("A"))).all()
    assert result.icc == read(path).icc is not None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"attack": "magic"}, "no attack named 'magic'"),
        ({"surrogates": ("nobody",)}, "no surrogate named 'nobody'"),
        ({"surrogates": ()}, "at least one"),
        ({"surrogates": "nobody"}, "no surrogate named 'nobody'"),
        ({"surrogates": None}, "'surrogates' is None; give a name"),
        ({"edits": 5}, "'edits' is 5; give a name"),
        ({"transforms": ("none", 3)}, "'transforms' is .*; give a name"),
        ({"face_lpips": 0}, "above 0"),
        ({"face_lpips": float("nan")}, "above 0"),
        ({"levels": 0}, "1 to 255"),
        ({"smooth": 256}, "0 to 255"),
        ({"steps": 0}, "at least 1"),
        ({"spread": -1}, "spread is -1"),
        ({"spread": 4}, "choose 0 to 3"),
        ({"start": "nowhere"}, "no start named 'nowhere'.*protector, random, universal"),
        ({"quality": 101}, "1 to 100"),
        ({"seed": -1}, "from 0"),
        ({"transforms": ("half+magic",)}, "no channel named 'magic'"),
    ],
)
def test_a_bad_setting_is_refused_with_a_sentence(settings, words):
    with pytest.raises(shield.RecipeError, match=words):
        shield.Recipe(**settings)


@pytest.mark.parametrize("setting", recipe.TUPLES)
def test_a_name_alone_and_a_list_are_as_good_as_a_tuple(setting):
    name = {"surrogates": "stargan", "transforms": "half+jpeg75", "edits": "smile", "carriers": "pixels"}[setting]
    expected = shield.Recipe(**{setting: (name,)})
    for given in (name, [name]):
        assert shield.Recipe(**{setting: given}) == expected
        hash(shield.Recipe(**{setting: given}))


def test_the_repr_of_a_result_is_a_line(tmp_path, small, protected):
    verdict = shield.detect(small)
    reason = shield.Reason("name", "A sentence.", 1.0, 1.0, ((0.0, 0.0),) * 200)
    results = [protected, protected.original, protected.verification, protected.report, verdict, reason]
    results += [protected.verification.manipulations[0], verdict.faces[0], detect(small)[0], shield.Recipe()]
    results += [shield.Outcome("me.jpg", protected), next(iter(shield.manifest().values()))]
    results += [
        shield.Quality("stargan", "test", "hair", 0.9, None, 3),
        shield.Framing(),
        BRIEF,
        shield.Finding("models", "Whole."),
    ]
    results += [shield.ImportedEntry("mine", "mine.safetensors", "0" * 64, "MIT", "a.pth", 128, "", "", "", "0" * 64)]
    results += [shield.ShownSwap(0, "man", Canvas(small, detect(small)[0]), small, small, (True, False))]
    results += [
        shield.Claim("Ada (Photos)", recipe=vars(shield.Recipe())),
        shield.Credentials(b"pem" * 999, b"pem" * 99),
    ]
    saved = shield.Saved.now(protected, [tmp_path / f"me.shield.{number}" for number in range(3)], 1.0)
    results += [saved, shield.Summary.of([shield.Outcome("me.jpg", saved)] * 99)]
    public = {name for name in shield.__all__ if is_dataclass(getattr(shield, name))}
    assert {type(result).__name__ for result in results} >= public
    for result in results:
        assert len(repr(result)) < 1000 and len(repr(result).splitlines()) == 1, type(result)


def test_presets():
    assert {name: (preset.face_lpips, preset.flip) for name, preset in shield.PRESETS.items()} == {
        "subtle": (0.02, 0.05),
        "balanced": (0.05, 0.07),
        "strong": (0.10, 0.10),
    }
    for name, preset in shield.PRESETS.items():
        found = shield.Recipe(seed=3).with_preset(name)
        assert found.preset == name and found.seed == 3
        assert {setting: getattr(found, setting) for setting in recipe.STRENGTH} == {
            setting: getattr(preset, setting) for setting in recipe.STRENGTH
        }
    for setting in recipe.STRENGTH[:-1]:  # each is more visible than the one before, by every measure
        values = [getattr(preset, setting) for preset in shield.PRESETS.values()]
        assert values == (sorted(values) if setting == "warp" else sorted(set(values))), setting
    assert shield.Recipe() == shield.Recipe().with_preset("balanced")
    with pytest.raises(shield.RecipeError, match="subtle, balanced, strong"):
        shield.Recipe().with_preset("huge")


def test_the_recipes_device_is_the_verifications_too(small, protected, monkeypatch):
    asked = Mock(return_value=protected.verification)
    monkeypatch.setattr(pipeline, "verify_photo", asked)
    protect(small, replace(LEAST, device="cpu"))
    assert asked.call_args.kwargs["device"] == "cpu"
    assert asked.call_args.kwargs["plan"] == BRIEF


def test_a_search_goes_through_the_roads_in_turn(small, monkeypatch):
    """Of the file that is saved and of a codec's stand-in: which one a look takes is the recipe's, not chance."""
    taken = []
    look_at = disruption.Disruption.look

    def look(loss, photo, draw):
        taken.append(type(draw.road).__name__)
        return look_at(loss, photo, draw)

    monkeypatch.setattr(disruption.Disruption, "look", look)
    protect(small, replace(QUICK, steps=5, transforms=("none", "jpeg75"), format="png"))
    searched = taken[:6]
    assert searched == ["AsSaved", "Codec"] * 3


def test_an_unknown_device_is_a_sentence(small):
    with pytest.raises(shield.RecipeError, match="not available"):
        protect(small, replace(LEAST, device="quantum"))
