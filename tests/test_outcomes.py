"""Usable deepfakes: what is read, who is known, what is garbage; rows, sentences, pictures and tables of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import ImageDraw

import shield
from shield.faces import PORTRAIT, Framing, warp, whole_picture
from shield.faces.attributes import ATTRIBUTES, COLOURS, WORDS, described
from shield.faces.expression import NOTICEABLE, progress
from shield.faces.templates import templates
from shield.objectives import l2
from shield.page.result import shown
from shield.photo import read, to_tensor
from shield.surrogates import load_surrogate, surrogate, surrogates
from shield.surrogates.published import attgan, ganimation
from shield.verify import HELD, NOISE, PROTECTED, RESAVED, Manipulation, Plan, outcomes
from shield.verify.outcomes import GARBAGE, ON_THE_WAY, Expression, Judges, Words, can_judge, reading_of
from shield.verify.sheet import contact_sheet

CPU = torch.device("cpu")


# What is read


def test_words_are_read_from_signs_and_hair_from_the_strongest():
    logits = torch.zeros(4, len(ATTRIBUTES)) - 1
    logits[0, ATTRIBUTES.index("Male")] = 1
    logits[1, ATTRIBUTES.index("Young")] = 1
    logits[2, 1], logits[3, 2] = -0.5, 2
    said = {word: described(logits, word).tolist() for word in WORDS}
    assert said["male"] == [not answer for answer in said["female"]] == [True, False, False, False]
    assert said["young"] == [not answer for answer in said["old"]] == [False, True, False, False]
    assert said["blond hair"][2] and said["brown hair"][3] and not any(said["gray hair"])
    assert [sum(said[word][row] for word in ("black hair", "blond hair", "brown hair")) for row in range(4)] == [1] * 4
    assert COLOURS == 3 and all(name.endswith("Hair") for name in ATTRIBUTES[:COLOURS])


def test_progress_counts_what_had_to_move():
    target = torch.tensor([1.0, -1.0, 0.2, 0.0])
    before = torch.zeros(5, 4)
    after = torch.tensor([[1.0, -1, 9, 9], [0.5, -0.5, 0, 0], [0.0, 0, 9, 9], [-1.0, 1, 0, 0], [1.0, 0, 0, 0]])
    assert progress(before, after, target).tolist() == pytest.approx([1, 0.5, 0, -1, 0.5])
    there = target + 0.9 * NOTICEABLE
    assert progress(there[None], after[:1], target).tolist() == [0]  # nothing had to move


def test_every_edit_that_ships_is_read_and_of_others_those_with_known_words():
    for name in ("stargan", "cyclegan", "ganimation", "spade"):
        assert all(map(reading_of, load_surrogate(name, CPU).edits)), name
    assert not can_judge(load_surrogate("dlib", CPU))
    for edit in ("Black_Hair", "Eyeglasses", "Smiling", "young", "brown hair, female"):
        assert isinstance(reading_of(edit), Words), edit
    assert isinstance(reading_of("smile"), Expression)
    unknown = "condition 1", "angry", "edit", "", "bald, male, old", "eyes closed"
    assert [edit for edit in unknown if reading_of(edit)] == []
    assert {edit for edit in attgan.EDITS if reading_of(edit)} == {
        edit for edit in attgan.EDITS if not edit.startswith(("bald", "moustache", "mouth"))
    }
    assert {edit for edit in ganimation.EDITS if reading_of(edit)} == {"smile", "surprised"}


def test_an_edit_is_all_of_its_words_and_none_where_the_face_was_that_already():
    male, young = (torch.zeros(1, len(ATTRIBUTES)) - 1 for _ in range(2))
    male[0, ATTRIBUTES.index("Male")] = young[0, ATTRIBUTES.index("Young")] = 1
    done = reading_of("male, old").done
    assert [bool(done(*pair)) for pair in ((young, male), (male, male), (male, young), (young, young))] == [
        True,
        False,
        False,
        False,
    ]
    neither, both = male.minimum(young), male.maximum(young)
    assert not done(neither, both)  # male, but young
    assert done(neither, male)  # it was old before: one word is news enough


# Judged by hand


class Painter:
    """Edits of flat faces; what it makes is set from outside."""

    name, size, framing, licence, threshold, makes_pictures = "painter", 8, PORTRAIT, "", 0.05, True
    edits = "male", "smile", "wings"

    def distance(self, results, clean):
        return l2(results, clean)


class Flat(Judges):
    """Reads a face's red as manhood, its green as its expression, and its blue as who it is."""

    class Blue:
        name, size, framing, threshold, edits, makes_pictures = "blue", 8, PORTRAIT, 0.02, ("recognise",), False

        def __call__(self, faces):
            return faces[:, 2].mean((1, 2))[:, None, None]

        def distance(self, results, clean):
            return (results - clean).square().sum(2)

    recogniser = Blue()

    def attributes(self, pictures, face):
        return (pictures[:, :1].mean((2, 3)) - 0.5).expand(-1, len(ATTRIBUTES))

    def expression(self, pictures, face):
        return pictures[:, 1].mean((1, 2))[:, None] * torch.tensor([0.0, 1.0, 0.0, 0.0])


def flat(*colours):
    """Faces (N, 3, 8, 8) of these colours."""
    return torch.tensor(colours)[:, :, None, None].expand(-1, -1, 8, 8)


def judged(after, damage=0.0, before=(0.2, 0.0, 0.5)):
    """By edit, what is made of one face."""
    results = flat(after)[:, None].expand(-1, 3, -1, -1, -1) * 2 - 1
    persons = flat(before)[:, 2].mean((1, 2))[:, None, None]
    answers = Flat(CPU).usable(Painter(), flat(before), results, persons, torch.full((1, 3), damage))
    assert math.isnan(answers[0, 2])  # nobody reads wings
    return answers[0, :2].tolist()


def test_a_usable_deepfake_is_read_and_known_and_whole():
    assert judged((0.8, 0.0, 0.5)) == [1, 0]
    assert judged((0.4, 0.5, 0.5)) == [0, 1]
    assert judged((0.4, 0.9 * ON_THE_WAY, 0.5)) == [0, 0]
    assert judged((0.8, 0.5, 0.5)) == [1, 1]
    assert judged((0.8, 0.5, 0.5), damage=GARBAGE - 0.001) == [1, 1]
    assert judged((0.8, 0.5, 0.5), damage=GARBAGE + 0.001) == [0, 0]
    assert judged((0.8, 0.5, 0.6)) == [1, 1]
    assert judged((0.8, 0.5, 0.7)) == [0, 0]  # somebody else
    assert judged((0.8, 0.5, 0.5), before=(0.6, 0.5, 0.5)) == [0, 0]  # of a man a man is no edit
    assert judged((math.nan, 0.5, 0.5), damage=math.nan) == [0, 0]


def test_every_face_has_its_own_answer():
    """Those that fail early are not in the batches of those that do not."""
    after = flat((0.8, 0.0, 0.9), (0.8, 0.0, 0.9), (0.9, 0.0, 0.9), (0.8, 0.0, 0.9))[:, None] * 2 - 1
    persons = torch.tensor([0.9, 0.1, 0.9, 0.9])[:, None, None]
    damage = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    painter = Painter()
    painter.edits = ("male",)
    before = flat((0.2, 0.0, 0.5), (0.2, 0.0, 0.5), (0.9, 0.0, 0.5), (0.2, 0.0, 0.5))
    answers = Flat(CPU).usable(painter, before, after, persons, damage)
    assert answers.tolist() == [[0], [0], [0], [1]]


# Judged by the networks that ship


@pytest.fixture(scope="module")
def judges():
    return Judges(CPU)


@pytest.mark.parametrize("template", [Framing(side=1.4), templates["ffhq_512"]], ids=str)
def test_faces_are_read_alike_in_every_frame(judges, small, portrait_face, template):
    face = portrait_face.scaled(320 / 1024)
    painter = Painter()
    painter.size = 160
    seen = []
    for painter.framing in (PORTRAIT, template):
        crops = warp(to_tensor(small), face, painter.size, painter.framing)
        where = outcomes._framed(painter)
        seen.append((judges.attributes(crops, where)[0], judges.expression(crops, where)[0]))
    assert (seen[0][0] - seen[1][0]).abs().mean() < 0.4
    assert (seen[0][1] - seen[1][1]).abs().max() < 0.05
    painter.framing = PORTRAIT
    assert outcomes._framed(painter) == whole_picture(160, 160)


def test_the_judge_knows_the_person_and_nobody_else(judges, portrait, portrait_face, checkout):
    other = read(checkout / "examples" / "elder.jpg").pixels
    crops = [warp(to_tensor(portrait), portrait_face, 128), warp(to_tensor(other), shield.find_faces(other)[0], 128)]
    recogniser = judges.recogniser
    person = recogniser(warp(to_tensor(portrait), portrait_face, recogniser.size, recogniser.framing))
    assert recogniser.name == "sface"
    assert judges.know(torch.cat(crops), whole_picture(128, 128), person.expand(2, -1, -1)).tolist() == [True, False]


@pytest.fixture(scope="module")
def report(small):
    """Of a photo that nothing protects, by the editor with the fewest edits."""
    changed = np.clip(small.astype(int) + np.random.default_rng(0).integers(-2, 3, small.shape), 0, 255)
    plan = Plan(surrogates=("cyclegan", "dlib"), channels=("none",), held=2, few=2, frames=(HELD,))
    return shield.verify_photo(small, changed.astype(np.uint8), plan=plan).report


def test_of_a_man_cyclegan_makes_a_woman_whom_one_knows_protected_by_noise_or_not(report):
    for picture in (PROTECTED, RESAVED, NOISE):
        female, male = report.select(picture, surrogate="cyclegan")
        assert (female.usable, female.usable_clean, female.works, female.still_works) == (1, 1, True, True), picture
        assert (male.usable, male.usable_clean, male.works, male.still_works) == (0, 0, False, False)  # he is one
    (known,) = report.select(surrogate="dlib")
    assert (known.usable, known.usable_clean, known.works) == (None, None, False)


def test_the_sentence_of_what_was_measured(report):
    assert report.outcome_sentence() == (
        "Edits, in frames drawn at random: 1 of 2 would have made a usable deepfake of the original, 1 of the "
        "protected photo."
    )
    assert report.outcome_sentence() in report.sentence()


# Rows


class Reddener(Painter):
    """Makes faces redder, much and a little, or leaves them as they are."""

    name, size, edits = "reddener", 32, ("male", "young", "smile", "wings")

    def __call__(self, faces):
        more = torch.tensor([0.6, 0.4, 0, 0])[:, None, None, None] * torch.tensor([1, 0, 0])[:, None, None]
        return (2 * faces - 1)[:, None] + more


@pytest.fixture
def lightened(monkeypatch):
    """Verifies a grey picture of 100 that became one of 130, judged by hand; gives a function of the recogniser's line.

    100 is no man's and nobody young's, 130 is. Only what is made much redder can be garbage. The list: how many faces
    were judged at a time.
    """
    asked = []

    class Watched(Flat):
        def usable(self, editor, crops, results, persons, damage):
            asked.append(len(crops))
            return super().usable(editor, crops, results, persons, damage)

    monkeypatch.setattr("shield.verify.effects.Judges", Watched)
    monkeypatch.setattr(surrogate, "_loaded", dict(surrogate._loaded))
    monkeypatch.setitem(surrogates._parts, Reddener.name, lambda device: Reddener())
    plan = Plan(surrogates=(Reddener.name,), channels=("none",), held=3, few=2, frames=(HELD,))
    photos = [np.full((96, 96, 3), level, np.uint8) for level in (100, 130)]

    def run(line):
        monkeypatch.setattr(Flat.Blue, "threshold", line)
        return shield.verify_photo(*photos, whole=True, plan=plan)

    return run, asked


def test_rows_and_pictures_say_it_of_each_picture_and_of_the_original(lightened):
    run, asked = lightened
    found = run(0.02)
    for picture, whole in ((PROTECTED, 0), (RESAVED, 1)):
        rows = [(row.usable, row.usable_clean) for row in found.report.select(picture)]
        assert rows == [(whole, 1), (1, 1), (0, 0), (None, None)], picture
    assert asked == [3, 3, 2, 2]  # of the original three frames once, of each picture its own
    words = [one.words for one in found.manipulations]
    assert words == [
        "no usable deepfake any more (3 of 3 frames)",
        "still a usable deepfake (3 of 3 frames)",
        "did not work on the original either",
        "broken (3 of 3 frames)",
    ]
    assert [(one.worked, one.stopped) for one in found.manipulations[:2]] == [(True, True), (True, False)]
    male = found.manipulations[0]
    assert replace(male, usable=0.5, frames=1).words == "still a usable deepfake"
    assert replace(male, usable_clean=0.49).words == words[2] and not replace(male, usable_clean=0.49).worked


def test_the_person_is_the_originals(lightened):
    found = lightened[0](0.01)
    for picture, known in ((PROTECTED, 0), (RESAVED, 1)):
        assert [(row.usable, row.usable_clean) for row in found.report.select(picture)][1] == (known, 1)


# Words and tables


def rows(report, *figures, frame=HELD, channel="none", picture=PROTECTED):
    """Rows of an editor: (of the original, of the picture) each."""
    (row,) = [row for row in report.select() if row.edit == "female"]
    places = {"frame": frame, "channel": channel, "picture": picture}
    return tuple(
        replace(row, edit=f"edit {number}", usable_clean=before, usable=after, **places)
        for number, (before, after) in enumerate(figures)
    )


def test_only_what_works_on_the_original_counts_in_the_frames_in_which_most_is_left(report):
    works, fails = (0.5, 0.4), (0.4, 1.0)
    held = rows(report, works, works, (1.0, 0.5), fails, (None, None))

    def words(*effects):
        return replace(report, effects=effects).outcome_sentence()

    assert words(*held).endswith(
        ": 3 of 4 would have made a usable deepfake of the original, 1 of the protected photo."
    )
    more = rows(report, works, (1, 1), (1, 1), fails, frame="found:yunet")
    fewer = rows(report, works, works, works, fails, frame="found:landmarks")
    assert words(*fewer, *held, *more).startswith("Edits, as found by yunet: 3 of 4 ")
    exact = rows(report, (1, 1), frame="exact")
    assert words(*held, *exact) == words(*held)
    social = rows(report, (1, 1), works, channel="social")
    assert words(*held, *social) == words(*held)[:-1] + "; after a social network's compression 1 of 2."
    assert words(*held, *(replace(row, frame="found:yunet") for row in held)).startswith(
        "Edits, however the face is framed: 3 of 4 "
    )
    assert "0 of 1 would have made a usable deepfake of the original, 0 of" in words(*rows(report, fails))
    assert words(*rows(report, (None, None))) == words(*report.select(surrogate="dlib")) == ""


def test_the_page_says_it(small, report, tmp_path):
    tile = np.full((128, 128, 3), 200, np.uint8)
    told = Manipulation(0, "cyclegan", "female", tile, tile, True, usable=0.0, usable_clean=1.0)
    failed = replace(told, edit="male", usable_clean=0.0)
    result = shown("me", shield.Verification(report, small, small, (told, failed)), tmp_path, {})
    assert '<span class="good">no usable deepfake any more</span>' in result.gallery
    assert '<span class="hint">did not work on the original either</span>' in result.gallery
    assert "broken" not in result.gallery
    assert report.headline() in result.verdict and report.outcome_sentence() in result.details


def test_no_words_of_the_sheet_are_cut(small, monkeypatch):
    """Whatever stands beside them: pictures may be narrower than every title and caption."""
    drawn = []
    draw = ImageDraw.ImageDraw.text

    def watched(self, place, text, fill=None, font=None, *rest, **settings):
        half = 0.5 if settings.get("anchor") == "mm" else 1
        right = place[0] + half * max(font.getlength(line) for line in text.split("\n"))
        drawn.append((text, right <= self.im.size[0]))
        draw(self, place, text, fill, font, *rest, **settings)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", watched)
    tile = np.full((64, 64, 3), 200, np.uint8)
    one = Manipulation(0, "a-network-with-a-long-name", "an edit", tile, tile, False, usable=1.0, usable_clean=1.0)
    contact_sheet(small[:, :40], small[:, :40], [one], f"Some words that need more than a line, and {'x' * 90}.")
    assert len(drawn) > 5 and [text for text, whole in drawn if not whole] == []


def test_an_editor_that_returns_the_photo_makes_no_deepfake(judges, portrait, portrait_face):
    """Nor does one of which the photo is garbage; its landmarks wander, but not a fifth of the way."""
    crops = warp(to_tensor(portrait), portrait_face, 128)
    noise = 0.03 * torch.randn(crops.shape, generator=torch.Generator().manual_seed(0))
    editor = load_surrogate("ganimation", CPU)
    results = (2 * (crops + noise).clamp(0, 1) - 1)[:, None].expand(-1, len(editor.edits), -1, -1, -1)
    person = judges.recogniser(warp(to_tensor(portrait), portrait_face, 112, judges.recogniser.framing))
    assert not judges.usable(editor, crops, results, person, torch.zeros(1, len(editor.edits))).any()
