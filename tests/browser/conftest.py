"""A real Chromium for all pages, and pictures of them for whoever wants to look."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


@dataclass
class Visit:
    """Pages of a Chromium that note what they ask for, and what goes wrong on them."""

    chromium: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)

    def open(self, address: str, **options: object) -> Any:
        """Return a page at an address; ``options`` are those of Playwright's contexts."""
        context = self.chromium.new_context(**options)
        self.contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        page.goto(address)
        return page


@pytest.fixture
def visit(chromium: Any) -> Iterator[Visit]:
    """Return a visit whose pages are closed at its end; what it notes stays."""
    found = Visit(chromium)
    yield found
    for context in found.contexts:
        context.close()


@pytest.fixture(scope="session")
def screenshot() -> Callable[[object, str], None]:
    """Return what keeps a picture of a page under a name, in the folder ``DEEPMATTE_SCREENSHOTS``."""

    def keep(page, name: str) -> None:
        if "DEEPMATTE_SCREENSHOTS" in os.environ:
            file = Path(os.environ["DEEPMATTE_SCREENSHOTS"]) / f"{name}.png"
            page.screenshot(path=file, full_page=True)

    return keep
