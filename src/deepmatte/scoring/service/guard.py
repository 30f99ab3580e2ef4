"""Around all pages: who may ask, what a browser may do with the answers, and how they are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Of every answer: the page may ask this server alone, and nothing of it is kept."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Refuses requests that another site's page makes a browser send; anything else goes on to ``app``.

    A site can let a browser post to a server on the same machine, and by a name of its own that leads there
    (DNS rebinding) read the answers. So an ``Origin`` has to be the ``Host``, and the host of a server that
    only this machine reaches has to be a name of this machine.

    Args:
        app: the pages.
        only_here: whether only this machine reaches the server.

    Attributes:
        statuses: how often a request for a matte ended in each status.
    """

    def __init__(self, app: ASGIApp, only_here: bool) -> None:
        self.app, self.only_here = app, only_here
        self.statuses: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
                if scope["path"] == "/matte":
                    self.statuses[message["status"]] += 1
            await send(message)

        if refusal := self._refusal(Headers(scope=scope)):
            await JSONResponse({"error": refusal}, 403)(scope, receive, send_guarded)
        else:
            await self.app(scope, receive, send_guarded)

    def _refusal(self, headers: Mapping[str, str]) -> str:
        """Return why a request must not be answered, nothing if it may."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.only_here and _hostname(f"//{host}") not in LOOPBACK:
            return "this server answers to localhost and 127.0.0.1 alone; --host opens it to others"
        if origin is not None and origin.partition("://")[2] != host:
            return "pages of other sites may not ask this server"
        return ""


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
