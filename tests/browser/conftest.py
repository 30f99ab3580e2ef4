"""A real Chromium for all pages, and pictures of them for whoever wants to look."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed; `make test-browser` installs it"
    )
    if CHROMIUM is None:
        pytest.skip("no chromium on the path; `make test-browser` installs Debian's")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshot() -> Callable[[object, str], None]:
    """Return what keeps a picture of a page under a name, in the folder ``DEEPMATTE_SCREENSHOTS``."""

    def keep(page, name: str) -> None:
        if "DEEPMATTE_SCREENSHOTS" in os.environ:
            file = Path(os.environ["DEEPMATTE_SCREENSHOTS"]) / f"{name}.png"
            page.screenshot(path=file, full_page=True)

    return keep
