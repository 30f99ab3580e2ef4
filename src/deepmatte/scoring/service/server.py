"""Starting and stopping the server."""

from __future__ import annotations

import errno
import logging
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

import uvicorn

from deepmatte.classical import METHODS
from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.scoring.photographs.notebook import DEFAULT
from deepmatte.scoring.service.app import make_app
from deepmatte.scoring.service.desk import Desk
from deepmatte.scoring.service.limits import Limits
from deepmatte.scoring.service.worker import Worker

MOST_CONNECTIONS = 500
"""At once; each takes a file descriptor, of which a process has a thousand."""


def named_runs(runs: Sequence[Path]) -> dict[str, Path]:
    """Return run directories by the names under which they are served: those of the directories.

    Raises:
        InputError: two have the same name.
    """
    named: dict[str, Path] = {}
    for run in runs:
        name = run.resolve().name
        if name in named:
            both = f"{printable(run)}: has the same name as {printable(named[name])}"
            raise InputError(f"{both}; rename one of the directories")
        named[name] = run
    return named


def bind(host: str, port: int) -> socket.socket:
    """Return a socket at an address; port 0 is any that is free.

    Raises:
        InputError: there is no such address, or its port is in use or not allowed.
    """
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise InputError(f"--host {host}: there is no such address; give 127.0.0.1, say") from None
    found = socket.socket(kind, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(address)
        found.listen(128)  # so that a second server on this port is refused at once
    except OSError as error:
        found.close()
        reasons = {
            errno.EADDRINUSE: (f"--port {port}: is in use", "stop what uses it, or give another"),
            errno.EACCES: (f"--port {port}: you may not use it", "give one above 1023"),
            errno.EADDRNOTAVAIL: (f"--host {host}: is no address of this machine", "give 127.0.0.1, say"),
        }
        what, cure = reasons.get(error.errno or 0, (f"--port {port}: {error.strerror}", "give another"))
        raise InputError(f"{what}; {cure}") from None
    return found


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(
    runs: Mapping[str, Path],
    limits: Limits,
    listening: socket.socket,
    only_here: bool,
    num_workers: int = 1,
    when_ready: Callable[[Sequence[str]], None] = lambda methods: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that are worked on are answered before, within the time limit.

    Args:
        runs: networks by name, beside the weights that come with the package.
        limits: of a request.
        listening: the socket, of `bind`.
        only_here: whether only this machine reaches it.
        num_workers: processes that matte, one request each.
        when_ready: called with the methods once requests are answered.

    Raises:
        InputError: a run can't be used.
        RunError: a process could not be started.
    """
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it logs what a refused request holds
    workers: list[Worker] = []
    try:
        workers += [Worker(runs, limits) for _ in range(num_workers)]
        for worker in workers:
            worker.wait_until_ready()
        methods = sorted(workers[0].methods, key=lambda name: (name in METHODS, name != DEFAULT))
        desk = Desk(workers, limits)
        config = uvicorn.Config(
            make_app(desk, methods, only_here),
            log_level="error",
            access_log=False,
            server_header=False,
            lifespan="off",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=round(limits.seconds) + 1,
        )
        server = _Server(config, desk, lambda: when_ready(methods))
        _without_signals(lambda: server.run(sockets=[listening]))
    finally:
        for worker in workers:
            worker.close()


class _Server(uvicorn.Server):
    """Says when it is ready, and ends the workers with the last request."""

    def __init__(self, config: uvicorn.Config, desk: Desk, when_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.desk, self.when_ready = desk, when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self.when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: no new connections, the requests that are here, then the workers."""
        await super().shutdown(sockets)
        self.desk.close()


def _without_signals(run: Callable[[], None]) -> None:
    """Call what ends by itself upon SIGTERM and Ctrl-C: uvicorn raises them again once it has stopped."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
