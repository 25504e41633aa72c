"""A real Chromium, a page of it that fails its test on any error, and what axe-core finds on a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

REPOSITORY: Final = Path(__file__).resolve().parents[2]
AXE: Final = REPOSITORY / "tests" / "vendor" / "axe-core" / "axe.min.js"
SCREENSHOTS: Final = REPOSITORY / "docs" / "screenshots"
DESKTOP: Final = (1440, 900)
PHONE: Final = (390, 844)
_ARGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def launched_browser() -> Iterator[Browser]:
    """Chromium; without one the test is skipped with the reason, and fails where `CI=true`."""
    chromium = os.environ.get("TOLLGATE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        if chromium is None and not Path(playwright.chromium.executable_path).exists():
            reason = "no Chromium: install one, or run `playwright install chromium`"
            pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
        launched = playwright.chromium.launch(executable_path=chromium, args=[*_ARGS])
        yield launched
        launched.close()


@contextmanager
def opened_page(
    browser: Browser, address: str, *, size: tuple[int, int] = DESKTOP, may_fail: str = "", **context: Any
) -> Iterator[Page]:
    """A page in a context of its own, that asked no other host and logged no error when the block ends.

    `may_fail`: an HTTP status that the test provokes; Chromium logs every answer of 400 and above.
    """
    opened = browser.new_context(viewport={"width": size[0], "height": size[1]}, **context)
    page = opened.new_page()
    outside: list[str] = []
    errors: list[str] = []
    page.on("request", lambda r: outside.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    opened.close()
    assert outside == []
    assert [error for error in errors if not (may_fail and f"status of {may_fail}" in error)] == []


def accessibility_problems(page: Page) -> list[str]:
    """What axe-core finds wrong, one line each: the rule and the first element that breaks it."""
    if not page.evaluate("'axe' in window"):
        # Evaluated by the browser's own tools, since the page's content policy lets no such script in.
        page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


def screenshots_are_wanted() -> bool:
    """Whether TOLLGATE_SCREENSHOTS is set: a test run changes no file otherwise."""
    return bool(os.environ.get("TOLLGATE_SCREENSHOTS"))


def take_screenshot(page: Page, name: str) -> None:
    """Write docs/screenshots/{name}.png, when screenshots are wanted."""
    if screenshots_are_wanted():
        SCREENSHOTS.mkdir(exist_ok=True)
        from PIL import Image  # matplotlib brings it; a test run without pictures needs none

        taken = Image.open(BytesIO(page.screenshot())).convert("RGB")
        # 256 colours without dither look the same here and take half the bytes.
        few = taken.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(SCREENSHOTS / f"{name}.png", optimize=True)
