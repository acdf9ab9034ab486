"""The page in a real browser: what a visitor sees, downloads and cancels, and that nothing leaves the machine."""

import hashlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import gradio_client
import pytest
from gradio_client.exceptions import AppError
from PIL import Image

import shield

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")

PATIENT = 90_000  # ms: on a busy machine
MEGABYTES = 1  # of an upload, at most


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def address(checkout, temporary):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program, page = (str(checkout / "tests" / name) for name in ("guarded.py", "brief_page.py"))
    # No server outlives tests that are killed.
    call = [sys.executable, program, page, "--no-open", "--port", str(port), "--max-upload", str(MEGABYTES)]
    # One thread as in conftest: the bytes depend on it. No proxy may come between the browser and the page.
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment = kept | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(checkout)}
    with (temporary / "log").open("w") as log:
        server = subprocess.Popen(call, cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(url).close()
            break
        except OSError:
            assert server.poll() is None, (temporary / "log").read_text()
            time.sleep(0.2)
    yield url
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=60)  # its standard input is closed after it: before, it would be killed amid its tidying up
    server.stdin.close()
    assert list(temporary.glob("shield-page-*")) == []  # uploads and results went with the server


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, address):
    """Opens the page as a visitor of one's own. At the end: no error in the console, no request to another host."""
    errors, foreign, contexts = [], [], []

    def open_page(**settings):
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENT)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: foreign.append(request.url) if is_foreign(request.url, address) else None)
        page.goto(address)
        page.wait_for_selector("#protect-go")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
    assert foreign == []


def is_foreign(url, address):
    return not url.startswith((address + "/", "data:", "blob:"))


def choose(page, *files, where="#photos"):
    page.set_input_files(f"{where} input[type=file]", [str(file) for file in files])


def steps(page, number):
    page.get_by_text("Advanced", exact=True).click()
    page.fill("#steps input[type=number]", str(number))
    page.press("#steps input[type=number]", "Tab")
    page.wait_for_function(f"document.querySelector('#command').innerText.includes('--steps {number} ')")


def downloaded(page, button):
    with page.expect_download() as download:
        page.click(button)
    return download.value.suggested_filename, download.value.path().read_bytes()


def toast(page):
    return page.locator(".toast-body").last


def results(temporary):
    """The folders of results that the server keeps."""
    return sorted(temporary.glob("shield-page-*/results/*"))


@pytest.mark.usefixtures("briefly")
def test_an_example_is_protected_end_to_end_with_the_bytes_of_the_api(visit, checkout):
    page = visit()
    page.locator("#examples button").nth(1).click()
    page.wait_for_selector("#preview img[alt='portrait.jpg: 1 face found, outlined']")
    steps(page, 1)
    assert "shield.Recipe(steps=1)" in page.inner_text("#python")
    page.click("#protect-go")
    page.wait_for_selector("#protect-status progress")
    page.wait_for_selector("#protect-status .verdict")
    protection = shield.protect(checkout / "examples" / "portrait.jpg", shield.Recipe(steps=1))
    assert protection.report.headline() in page.inner_text("#protect-status")
    assert downloaded(page, "#protect-photo") == ("portrait.shield.jpg", protection.data)
    name, report = downloaded(page, "#protect-report")
    assert name == "portrait.shield.json"
    assert json.loads(report)["protected"]["sha256"] == hashlib.sha256(protection.data).hexdigest()
    name, sheet = downloaded(page, "#protect-sheet")
    assert (name, Image.open(io.BytesIO(sheet)).format) == ("portrait.shield.sheet.png", "PNG")
    _the_result_is_complete(page, protection)


def _the_result_is_complete(page, protection):
    pictures = page.locator(".manipulations img")
    assert pictures.count() == 2 * len(protection.verification.manipulations) + 3 * len(protection.verification.swaps)
    assert all(
        image.get_attribute("alt").startswith(("Simulated manipulation", "The donor ")) for image in pictures.all()
    )
    page.wait_for_function("[...document.images].every(image => image.alt)")
    handle = page.locator("[data-testid=slider]")
    handle.focus()
    before = handle.bounding_box()["x"]
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"document.querySelector('[data-testid=slider]').getBoundingClientRect().x > {before + 10}")
    right = page.locator("[data-testid=imageslider-image]").nth(1)
    assert right.get_attribute("src").endswith("after.png")
    page.get_by_label("The change, amplified").check()
    page.wait_for_function("document.querySelectorAll('[data-testid=imageslider-image]')[1].src.endsWith('change.jpg')")


def test_of_two_visitors_one_waits_and_cancelling_leaves_nothing(visit, photo, temporary):
    first, second = visit(), visit()
    before = results(temporary)
    for page in (first, second):
        choose(page, photo)
        page.wait_for_selector("#preview img")
        steps(page, 200)
    first.click("#protect-go")
    first.get_by_text("Protecting: step").wait_for()
    second.click("#protect-go")
    second.get_by_text("Waiting for a free place").wait_for()
    assert len(results(temporary)) == len(before) + 1
    _cancel(first)
    second.get_by_text("Protecting: step").wait_for()  # its turn: the first visitor's run holds nothing
    _cancel(second)
    for _ in range(100):
        if results(temporary) == before:
            break
        time.sleep(0.2)
    assert results(temporary) == before


def _cancel(page):
    page.click("#protect-stop")
    page.get_by_text("Cancelled. Nothing was kept.").wait_for(timeout=5000)
    assert page.locator("#protect-go").is_enabled()
    assert not page.locator("#protect-stop").is_visible()


def test_what_is_no_photo_of_a_face_is_a_friendly_sentence(visit, tmp_path):
    (tmp_path / "text.jpg").write_bytes(b"this is no photo\n" * 50)
    Image.new("1", (11_000, 10_000)).save(tmp_path / "huge.png")
    Image.new("RGB", (300, 300), (120, 160, 210)).save(tmp_path / "sky.png")
    page = visit()
    for name, words in (("text.jpg", "not a photo"), ("huge.png", "million pixels"), ("sky.png", "shows no face")):
        choose(page, tmp_path / name)
        page.locator("#preview figcaption").get_by_text(words).wait_for()
        text = page.inner_text("#preview figcaption")
        assert name in text and "--" not in text
        assert page.locator(".toast-body").count() == 0  # it is said once
        # What shows no face may still be taken as one region; what is no photo may not be begun with.
        assert page.locator("#protect-go").is_enabled() == (name == "sky.png")
        assert str(tmp_path.parent) not in text and "shield-page" not in text  # no path of the server
        page.get_by_role("button", name="Clear").click()
        page.wait_for_selector("#preview", state="hidden")
    assert not page.locator("#protect-go").is_enabled()


def test_a_file_larger_than_the_limit_is_refused(browser, address, tmp_path):
    (tmp_path / "large.jpg").write_bytes(bytes(2_000_000 * MEGABYTES))
    page = browser.new_page()
    page.goto(address)
    choose(page, tmp_path / "large.jpg")
    page.get_by_text(re.compile("File size exceeds|exceed", re.IGNORECASE)).first.wait_for(timeout=PATIENT)
    page.close()


def test_a_name_is_never_html(visit, tmp_path):
    path = tmp_path / "<img src=x onerror=alert(1)>&amp;.jpg"
    path.write_bytes(b"no photo")
    page = visit()
    page.on("dialog", lambda dialog: pytest.fail("a file name became code"))
    choose(page, path)
    page.locator("#preview figcaption").wait_for()
    assert "onerror" in page.inner_text("#preview figcaption")
    assert page.locator("#preview img").count() == 0


def test_verification_of_two_sizes_is_refused(visit, photo, tmp_path):
    Image.new("RGB", (200, 200)).save(tmp_path / "other.png")
    page = visit()
    page.get_by_role("tab", name="Verify").click()
    choose(page, photo, where="#original")
    choose(page, tmp_path / "other.png", where="#protected")
    page.locator("#verify-go:enabled").click()
    toast(page).get_by_text("differ in size").wait_for()
    page.get_by_text("Your result appears here").last.wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(visit, scheme):
    page = visit(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.get_by_text("Advanced", exact=True).click()
    page.wait_for_selector("#recipe")
    for tab in page.get_by_role("tab").all():
        tab.click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
    assert brightness < 60 if scheme == "dark" else brightness > 200


def test_on_a_phone_what_is_wrong_and_what_is_done_follow_the_button(visit, tmp_path):
    (tmp_path / "text.jpg").write_bytes(b"no photo")
    page = visit(viewport={"width": 390, "height": 844})
    choose(page, tmp_path / "text.jpg")
    page.locator("#preview figcaption").wait_for()
    places = ("#protect-go", "#preview figcaption", "#protect-status", "#advanced")
    tops = [page.locator(place).bounding_box()["y"] for place in places]
    assert tops == sorted(tops)
    assert tops[1] < 844  # in sight


def test_everything_is_reached_by_keyboard(visit):
    page = visit()
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''").strip())
        if any("Advanced" in text for text in seen):
            break
    assert {"Protect"} <= seen and any("Advanced" in text for text in seen)


def test_the_endpoints_serve_programs(address, photo, tmp_path):
    page = gradio_client.Client(address, verbose=False, download_files=tmp_path / "downloads")
    original = gradio_client.handle_file(photo)
    path, report, sheet = page.predict(original, {"steps": 1, "preset": "strong"}, api_name="/protect")
    assert (report["recipe"]["face_lpips"], report["recipe"]["steps"]) == (0.1, 1)
    assert report["protected"]["sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    with Image.open(sheet) as picture:
        assert picture.format == "PNG"
    found, _ = page.predict(original, gradio_client.handle_file(path), api_name="/verify")
    assert found["faces"] == report["faces"]
    verdict = page.predict(original, api_name="/detect")
    assert verdict["verdict"] in ("real", "fake", "unsure") and 0 <= verdict["probability"] <= 1
    with pytest.raises(AppError, match="no setting named 'stepps'"):
        page.predict(original, {"stepps": 1}, api_name="/protect")
    names = set(page.view_api(return_format="dict", print_info=False)["named_endpoints"])
    assert names == {"/protect", "/verify", "/detect"}
