"""The page's parts without a browser: jobs, complaints, the words for results and verdicts."""

import html
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import shield
from shield.page import detect, job, private, protect
from shield.page.complaint import sentence
from shield.page.result import Shown, _gallery, shown
from shield.page.settings import Settings
from shield.page.status import progress_bar
from shield.photo import open_photo
from shield.verify.effects import Manipulation
from shield.verify.swaps import ShownSwap


def test_editors_pictures_are_folded_under_how_many_still_work():
    tile, outcomes = np.full((8, 8, 3), 200, np.uint8), ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0))
    made = [
        Manipulation(0, name, f"edit {n}", tile, tile, False, usable=after, usable_clean=before)
        for name, edits in (("unknown", outcomes[2:]), ("known", outcomes))
        for n, (after, before) in enumerate(edits)
    ]
    effects = [SimpleNamespace(surrogate=name, seen=name == "known") for name in ("known", "unknown")]
    report = SimpleNamespace(effects=effects, faces=[None])
    swap = ShownSwap(0, "man", SimpleNamespace(pixels=tile), tile, tile, (True, False))
    page = _gallery(SimpleNamespace(report=report, manipulations=made, swaps=[swap]))
    faces, known, unknown = page.split("<details")[1:]
    assert faces.startswith(" open>") and "Face swap" in faces
    assert known.startswith(">") and "by known" in known and "1 of 2 still work in these frames" in known
    assert known.count("<img") == 2 * len(outcomes)
    assert "none worked on the original either; the search did not see it" in unknown


def test_a_job_tells_how_far_it_is_and_gives_its_result():
    go_on = threading.Event()

    def work(this):
        this.next_photo(1)
        this.searching(10, 30, 0.5)
        go_on.wait()
        return "done"

    run = job.Job(work, photos=2, limit=60)
    seen = []
    for moment in run.watch():
        seen.append(moment)
        if "step 10 of 30" in moment.words:
            go_on.set()
    last = seen[-1]
    assert last.words == "Photo 2 of 2. Protecting: step 10 of 30"
    assert last.share == pytest.approx((1 + 10 / (30 + job.CHECKING)) / 2)
    assert run.result() == "done"


def test_progress_only_grows_from_search_to_the_last_test():
    run, shares = job.Job(lambda this: None, 1, 60), []
    run.next_photo(0)
    for call, number in ((run.searching, 8), (run.verifying, 40)):
        for step in range(number + 1):
            call(step, number, *([0.5] if call == run.searching else []))
            shares.append(run.moment.share)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_cancelled_job_stops_at_its_next_step():
    stopped, begun = threading.Event(), threading.Event()

    def work(this):
        try:
            for step in range(10**9):
                this.searching(step % 30, 30, 0.0)
                begun.set()
        finally:
            stopped.set()

    run = job.Job(work, 1, 60)
    watch = run.watch()
    next(watch)
    assert begun.wait(10)
    watch.close()  # as Gradio does when a visitor leaves
    assert stopped.wait(10)
    with pytest.raises(job.StoppedError):
        run.result()


def test_a_job_ends_when_its_time_is_up():
    run = job.Job(lambda this: this.checking(1, 2), 1, limit=-1)
    assert list(run.watch())[1:] == []
    with pytest.raises(job.TimeUpError, match="the limit here"):
        run.result()


def test_what_goes_wrong_in_the_work_is_raised_where_the_result_is_asked_for():
    def work(this):
        raise shield.FaceError("no face")

    run = job.Job(work, 1, 60)
    list(run.watch())
    with pytest.raises(shield.FaceError, match="no face"):
        run.result()


@pytest.mark.parametrize(("left", "words"), [(None, "Estimating"), (12.4, "About 12 s"), (200, "About 3 min")])
def test_the_time_that_is_left_is_said_in_words(left, words):
    assert words in progress_bar(job.Moment("<b>", 0.25, left))
    assert "<b>" not in progress_bar(job.Moment("<b>", 0.25, left))


def test_a_complaint_names_the_file_alone_and_is_no_html():
    path = private.FOLDER / "0123abcd" / "1" / "my <b>photo</b>.jpg"
    text = sentence(shield.PhotoError(f"{path} is empty; choose a photo."))
    assert text == "my &lt;b&gt;photo&lt;/b&gt;.jpg is empty; choose a photo."


# In a process of its own: Gradio opens event loops wherever a page is built, and never closes them.
WIDGETS = """
import json
from shield.page.settings import Settings, gr
with gr.Blocks():
    settings = Settings()
    settings.fold()
values = {widget: widget.value for widget in settings.components}
other = {settings.widgets["carriers"]: False, settings.widgets["start"]: "universal"}
recipes = [settings.recipe(it).to_json() for it in (values, values | other)]
print(json.dumps([recipes, [value for _, value in settings.widgets["start"].choices]]))
"""


def test_the_widgets_stand_for_a_recipe_and_starts_are_among_them_by_themselves(checkout):
    done = subprocess.run([sys.executable, "-c", WIDGETS], cwd=checkout, capture_output=True, text=True, check=True)
    (default, other), starts = json.loads(done.stdout.splitlines()[-1])
    assert shield.Recipe.of(json.loads(default)) == shield.Recipe()
    still = shield.Recipe.of(json.loads(other))
    assert still == shield.Recipe(carriers="pixels", start="universal")
    assert "--no-warp" in shield.command_line(still)
    assert starts == [*shield.STARTS]


def test_every_run_has_a_folder_of_its_own_that_can_be_forgotten():
    one, other = private.new_folder(), private.new_folder()
    (one / "photo.jpg").write_bytes(b"x")
    private.forget(one)
    assert not one.exists() and other.exists()
    assert private.FOLDER.stat().st_mode & 0o077 == 0
    os.utime(other, (0, 0))
    private.forget(private.new_folder())
    assert not other.exists()  # of long ago


def test_photos_of_a_page_that_was_killed_go_at_the_next_start(tmp_path):
    code = "import time; from shield.page import FOLDER as place\n(place / 'me.jpg').touch(); print(place, flush=True)"
    code += "\ntime.sleep(300)"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as page:
        folder = Path(page.stdout.readline().strip())
        private.remove_abandoned(tmp_path)
        assert (folder / "me.jpg").exists()  # that page is alive
        page.kill()
    (tmp_path / "shield-page-of-an-older-shield").mkdir()
    (tmp_path / "shield-page-link").symlink_to(Path(__file__).parent)
    private.remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"shield-page-link", "torchinductor_root"}
    assert Path(__file__).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_server_of_tests_that_are_killed_ends_by_itself(checkout, tmp_path):
    program = tmp_path / "server.py"
    program.write_text(
        "import atexit, signal, sys, time\n"
        "from pathlib import Path\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "atexit.register(Path('ended').touch)\n"
        "Path('begun').touch()\n"
        "time.sleep(300)\n"
    )
    call = [sys.executable, str(checkout / "tests" / "guarded.py"), str(program)]
    tests = f"import subprocess, time; subprocess.Popen({call!r}, stdin=subprocess.PIPE); time.sleep(300)"
    with subprocess.Popen([sys.executable, "-c", tests], cwd=tmp_path) as killed:
        assert there(tmp_path / "begun")
        killed.kill()
    assert there(tmp_path / "ended")


def there(path):
    """Whether the file comes within a minute."""
    for _ in range(600):
        if path.exists():
            return True
        time.sleep(0.1)
    return False


def batch(monkeypatch, tmp_path, names, fails):
    """A batch of photos, protected by a stand-in that writes one file each and fails for some."""

    def protected(file, recipe, folder, this):
        this.searching(0, 1, 0.0)
        folder.mkdir()
        (folder / file.name).write_text(str(file))
        if file.parent.name in fails:
            raise fails[file.parent.name]
        return Shown(file.name, "", "", "", folder / "before.png", folder, folder, {"photo": folder / file.name})

    monkeypatch.setattr(protect, "protected", protected)
    files = [tmp_path / str(number) / name for number, name in enumerate(names)]
    return protect.Batch(files, shield.Recipe())


def folders():
    return set(private.RESULTS.iterdir())


def test_what_is_left_out_of_a_photo_is_shown_and_is_no_html(small, briefly, tmp_path):
    original = replace(open_photo(small), notes=("Of its <3> pages one is left.",))
    result = shown("me", shield.verify_photo(original, small), tmp_path, {})
    assert "Of its &lt;3&gt; pages one is left." in result.verdict


def test_photos_of_one_name_lie_apart_in_the_archive(monkeypatch, tmp_path):
    work = batch(monkeypatch, tmp_path, ["me.jpg", "me.jpg", "you.jpg"], {"1": shield.FaceError("no <face>")})
    results = work.protect(job.Job(work.protect, 3, 60))
    assert work.complaints == ["no &lt;face&gt;"]
    with zipfile.ZipFile(results[0].files["zip"]) as archive:
        assert archive.namelist() == ["1/me.jpg", "2/you.jpg"]
        assert archive.read("2/you.jpg").decode() == str(tmp_path / "2" / "you.jpg")


@pytest.mark.parametrize(
    ("names", "fails", "error"),
    [
        (["me.jpg"], {"0": shield.FaceError("no face")}, shield.FaceError),
        (["a.jpg", "b.jpg"], {"0": shield.FaceError("x"), "1": shield.FaceError("y")}, shield.InputError),
        (["a.jpg", "b.jpg"], {"1": job.TimeUpError("late")}, job.TimeUpError),
        (["a.jpg", "b.jpg"], {"1": job.StoppedError()}, job.StoppedError),
    ],
)
def test_a_batch_that_fails_leaves_nothing(monkeypatch, tmp_path, names, fails, error):
    work, before = batch(monkeypatch, tmp_path, names, fails), folders()
    with pytest.raises(error):
        work.protect(job.Job(work.protect, len(names), 60))
    assert folders() == before


@dataclass
class Reason:
    name: str
    sentence: str
    score: float


@dataclass
class Judged:
    probability: float = 0.9
    verdict: str = "fake"
    reasons: tuple = (Reason("eyes", "The <eyes> differ.", 0.8),)

    def headline(self):
        return "Fake & manipulated (probability 90%)."

    def limits(self):
        return "Some <fakes> are not found."

    def overlay(self):
        return Image.fromarray(np.zeros((40, 30, 3), np.uint8))


def test_a_verdict_shows_its_reasons_and_is_no_html(monkeypatch):
    monkeypatch.setattr(shield, "detect", lambda file: Judged())
    shown = detect.judged("me.jpg")
    assert html.escape("The <eyes> differ.") in shown and "<eyes>" not in shown
    assert "Fake &amp; manipulated (probability 90%)." in shown and "Some &lt;fakes&gt; are not found." in shown
    assert shown.count("90%") == 1 and 'alt="' in shown


def test_without_reasons_there_is_no_heading_for_them(monkeypatch):
    monkeypatch.setattr(shield, "detect", lambda file: Judged(0.02, "real", ()))
    shown = detect.judged("me.jpg")
    assert "Reasons" not in shown and "No sign of a fake" in shown


@pytest.mark.parametrize(("typed", "person"), [("", None), ("  ", None), (None, None), (" Ann ", "Ann")])
def test_a_blank_person_of_the_page_is_nobody(typed, person):
    widgets = {name: name for name in ("seed", "format", "person", "carriers")}
    values = {"seed": 0, "format": "", "person": typed, "carriers": True, "strength": "balanced"}
    recipe = Settings.recipe(SimpleNamespace(widgets=widgets, strength="strength"), values)
    assert recipe == shield.Recipe(person=person)
