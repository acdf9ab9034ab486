"""Photograph every tab of the page, on a desktop and on a phone, light and dark: python -m shield.bench.screenshots OUT

The page is app.py of this checkout, in a headless Chromium. One photo is protected, so this takes a minute.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.error import URLError
from urllib.request import urlopen

import typer
from playwright.sync_api import Page, sync_playwright

CHECKOUT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}  # px
PORT = 7899
PATIENCE = 120  # s
SETTLED = 700  # ms


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


def main(
    out: Annotated[Path, typer.Argument(help="Folder for the screenshots.")],
    photo: Annotated[Path, typer.Option(help="The photo to protect.")] = CHECKOUT / "examples" / "portrait.jpg",
    browser: Annotated[str | None, typer.Option(help="A Chromium. Default: the system's.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of the search.")] = 30,
) -> None:
    """Photograph every tab."""
    out.mkdir(parents=True, exist_ok=True)
    found = browser or next(filter(None, map(shutil.which, BROWSERS)), None)
    with served(PORT) as address, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"]).new_page()
        page.goto(address)
        page.wait_for_selector("#protect-go")
        photograph(page, "protect", out)
        page.set_input_files("#photos input[type=file]", photo)
        page.wait_for_selector("#preview img")
        page.get_by_text("Advanced", exact=True).click()
        page.fill("#steps input[type=number]", str(steps))
        page.press("#steps input[type=number]", "Tab")
        photograph(page, "advanced", out)
        page.get_by_text("Advanced", exact=True).click()
        page.click("#protect-go")
        page.wait_for_selector("#protect-status progress")
        photograph(page, "busy", out)
        page.wait_for_selector("#protect-status .verdict", timeout=1000 * PATIENCE)
        page.locator("[data-testid=slider]").scroll_into_view_if_needed()
        photograph(page, "result", out)
        for tab in page.get_by_role("tab").all()[1:]:
            tab.click()
            photograph(page, tab.inner_text().lower(), out)


if __name__ == "__main__":
    typer.run(main)
