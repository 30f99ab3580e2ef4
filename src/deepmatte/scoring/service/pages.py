"""The files of the page, and photographs to try it on."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from deepmatte.scoring.service.limits import RefusedError

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/editor.js": ("editor.js", "text/javascript; charset=utf-8"),
    "/viewer.js": ("viewer.js", "text/javascript; charset=utf-8"),
}
"""By their addresses: name and kind."""

EXAMPLES: list[dict[str, Any]] = [
    {"name": "astronaut.png", "title": "astronaut", "box": [8, 4, 360, 508]},
    {"name": "coffee.png", "title": "coffee", "box": [85, 10, 430, 380]},
    {"name": "rocket.jpg", "title": "rocket", "box": [300, 60, 60, 330]},
]
"""Photographs in scikit-image, in the public domain (NASA, SpaceX) or CC0, with a box each."""


async def page(request: Request) -> Response:
    """Answer by the file of an address."""
    name, kind = FILES[request.url.path]
    return Response(_content(Path(__file__).parent / "page" / name), media_type=kind)


def example(name: str) -> bytes:
    """Return the file of an example.

    Raises:
        RefusedError: 404, there is none of that name.
    """
    spec = find_spec("skimage")
    if name not in {one["name"] for one in EXAMPLES} or spec is None or spec.origin is None:
        raise RefusedError(404, "there is no such example")
    return _content(Path(spec.origin).parent / "data" / name)


@cache
def _content(file: Path) -> bytes:
    return file.read_bytes()
