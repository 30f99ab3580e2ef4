"""Checks of the built site: no link leads nowhere, and no page asks another server for anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
"""What a browser fetches when it shows a page; links (``a``) are only followed when clicked."""


class _Page(HTMLParser):
    """The anchors, links and fetched addresses of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if given.get(FETCHED.get(tag, "")):
            self.fetched.append(given[FETCHED[tag]])
        if "srcset" in given:
            self.fetched += [part.split()[0] for part in given["srcset"].split(",") if part.strip()]


def problems(site: Path) -> list[str]:
    """Return a line for each dead link and each outside request of a built site."""
    pages = {file: _Page(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}
    found = [line for file, page in pages.items() for line in _of_page(file, page, pages, site)]
    for file in sorted(site.rglob("*.css")):
        addresses = re.findall(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')]+)", file.read_text("utf-8"))
        found += [f"{file.relative_to(site)}: fetches {address}" for address in addresses]
    return found


def _of_page(file: Path, page: _Page, pages: dict[Path, _Page], site: Path) -> Iterator[str]:
    name = file.relative_to(site)
    for address in page.fetched:
        parts = urlsplit(address)
        if parts.netloc:
            yield f"{name}: fetches {address}"
        elif parts.path and not parts.scheme and not _target(file, parts.path, site).exists():
            yield f"{name}: lacks {address}"
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = _target(file, parts.path, site) if parts.path else file
        target = target / "index.html" if target.is_dir() else target
        if not target.exists():
            yield f"{name}: dead link {link}"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
            yield f"{name}: no anchor {link}"


def _target(file: Path, path: str, site: Path) -> Path:
    """Return the file that a relative or absolute path of a link means."""
    return (
        site / unquote(path).lstrip("/") if path.startswith("/") else file.parent / unquote(path)
    ).resolve()
