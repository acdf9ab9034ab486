"""Photograph every state of the page, on a desktop and a phone, light and dark: python -m shield.bench.screenshots OUT

The page is app.py of this checkout, in a headless Chromium. A photo is protected, two files are verified and one is
judged, so this takes some minutes.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated
from urllib.error import URLError
from urllib.request import urlopen

import typer
from PIL import Image
from playwright.sync_api import Page, sync_playwright

CHECKOUT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}  # px
PORT = 7899
PATIENCE = 900  # s
SETTLED = 700  # ms
PROTECTED = "protected.jpg"  # what the page makes of the photo
DONE = {"verify": "#verify-status", "detect": "#detect-result"}  # where a tab's verdict stands


@contextmanager
def served(port: int) -> Iterator[str]:
    """The address of the page, which runs meanwhile."""
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([sys.executable, "app.py", "--no-open", "--port", str(port)], cwd=CHECKOUT)
    try:
        for _ in range(PATIENCE):
            try:
                urlopen(address).close()
                break
            except URLError:
                time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait()


def photograph(page: Page, name: str, out: Path) -> None:
    """One state of the page in every size and in both modes."""
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for mode in ("light", "dark"):
            page.evaluate(f"document.body.classList.toggle('dark', {str(mode == 'dark').lower()})")
            page.wait_for_timeout(SETTLED)
            page.screenshot(path=out / f"{name}-{size}-{mode}.png", full_page=True)


def choose(page: Page, where: str, *files: Path) -> None:
    """Give files to a drop zone, in place of those that it holds."""
    page.set_input_files(f"{where} input[type=file]", [str(file) for file in files])


def protecting(page: Page, photo: Path, steps: int, out: Path) -> Iterator[str]:
    """Every state of the first tab."""
    yield "protect"
    choose(page, "#photos", photo)
    page.wait_for_selector("#preview img")
    yield "picked"
    page.get_by_text("Advanced", exact=True).click()
    page.fill("#steps input[type=number]", str(steps))
    page.press("#steps input[type=number]", "Tab")
    yield "advanced"
    page.get_by_text("Advanced", exact=True).click()
    page.click("#protect-go")
    page.wait_for_selector("#protect-status progress")
    yield "busy"
    page.wait_for_selector("#protect-status .verdict", timeout=1000 * PATIENCE)
    page.locator("[data-testid=slider]").scroll_into_view_if_needed()
    yield "result"
    with page.expect_download() as download:
        page.click("#protect-photo")
    download.value.save_as(out / PROTECTED)


def refused(page: Page, out: Path) -> Iterator[str]:
    """What the first tab says of files that it cannot use."""
    Image.new("RGB", (400, 300), "gray").save(out / "wall.png")
    (out / "broken.jpg").write_bytes(b"no photo")
    for name in ("wall.png", "broken.jpg"):
        page.reload()
        page.wait_for_selector("#protect-go")
        choose(page, "#photos", out / name)
        page.wait_for_selector("#preview figcaption")
        yield f"refused-{name.partition('.')[0]}"
        (out / name).unlink()


def others(page: Page, photo: Path, out: Path) -> Iterator[str]:
    """The other tabs, as they are found and with their results."""
    for tab in page.get_by_role("tab").all()[1:]:
        name = tab.inner_text().lower()
        tab.click()
        yield name
        if name == "verify":
            choose(page, "#original", photo)
            choose(page, "#protected", out / PROTECTED)
        elif name == "detect":
            choose(page, "#suspect", photo)
        else:
            continue
        page.wait_for_selector(f"#{name}-go:not([disabled])")
        page.click(f"#{name}-go")
        page.wait_for_selector(f"{DONE[name]} .verdict", timeout=1000 * PATIENCE)
        yield f"{name}-result"


def main(
    out: Annotated[Path, typer.Argument(help="Folder for the screenshots.")],
    photo: Annotated[Path, typer.Option(help="The photo to protect.")] = CHECKOUT / "examples" / "portrait.jpg",
    browser: Annotated[str | None, typer.Option(help="A Chromium. Default: the system's.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of the search.")] = 30,
) -> None:
    """Photograph every state."""
    out.mkdir(parents=True, exist_ok=True)
    found = browser or next(filter(None, map(shutil.which, BROWSERS)), None)
    with served(PORT) as address, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"]).new_page()
        page.goto(address)
        page.wait_for_selector("#protect-go")
        for state in chain(protecting(page, photo, steps, out), refused(page, out), others(page, photo, out)):
            photograph(page, state, out)
    (out / PROTECTED).unlink()


if __name__ == "__main__":
    typer.run(main)
