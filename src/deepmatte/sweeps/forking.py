"""A job's first process as a fork of one that has imported everything: the watcher's side.

Each watcher that runs several jobs has one `fork_server`. An obstacle (another system, a thread that some
import has started, a server that was killed) costs nothing but time: the job gets an interpreter of its own.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from deepmatte.runs.context import CONTEXT, SweepContext
from deepmatte.sweeps.fork_server import ORDER_BYTES, ORDER_DESCRIPTORS, TITLE_BYTES, adopts_orphans

VARIES = (CONTEXT, "CUDA_VISIBLE_DEVICES")
"""Variables that may differ between the jobs of one server; others can matter when modules are imported."""

ANSWER_SECONDS = 60.0
"""How long a server may take to fork; a job that comes later ends at once."""

_log = logging.getLogger(__name__)

_POLL_SECONDS, _END_SECONDS = 0.2, 5.0


@dataclass
class ForkedJob:
    """A job's first process, with the part of `subprocess.Popen` that watching it takes."""

    pid: int
    stdout: TextIO
    args: Sequence[str]
    returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the process runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it takes more than ``timeout`` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() >= end:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            time.sleep(0.02)
        return code

    def terminate(self) -> None:
        """Send SIGTERM, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


@dataclass
class _Server:
    """A server: its process, our end of its socket, and what its imports may depend on."""

    process: subprocess.Popen[bytes]
    orders: socket.socket
    key: object
    is_ready: bool = False

    def answer(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message; None if there is none within ``seconds``."""
        if not select.select([self.orders], [], [], seconds)[0]:
            return None
        text = self.orders.recv(ORDER_BYTES)
        return json.loads(text) if text else {"obstacle": "the process that forks jobs has ended"}

    def close(self) -> None:
        """End the server; its jobs are not its children, and go on."""
        self.orders.close()
        try:
            self.process.wait(_END_SECONDS if self.is_ready else 0)
        except subprocess.TimeoutExpired:  # it is still importing
            self.process.kill()
            self.process.wait()


@dataclass
class _State:
    """This process's server, and why it can have none."""

    server: _Server | None = None
    obstacle: str | None = None
    owner: int = field(default_factory=os.getpid)


_state = _State()


def forked(
    command: Sequence[str],
    environment: Mapping[str, str],
    inherited: Sequence[int],
    wanted: Callable[[], bool],
) -> ForkedJob | None:
    """Start ``command``, a ``python -m deepmatte.cli.train …``, as a fork; None where that is impossible.

    Args:
        command: program and arguments.
        environment: all of its environment.
        inherited: file descriptors that it keeps open.
        wanted: whether to go on waiting for a server that is still importing.
    """
    if not sys.platform.startswith("linux") or _state.obstacle is not None:
        return None
    key = _key(environment)
    if _state.server is not None and (_state.server.key != key or _state.owner != os.getpid()):
        stop_server()
    try:
        server = _state.server = _state.server or _started(command, environment, key)
        while not server.is_ready:
            if (ready := server.answer(_POLL_SECONDS)) is not None:
                _state.obstacle, server.is_ready = ready["obstacle"], True
                if _state.obstacle is not None:
                    _log.warning("jobs start interpreters of their own: %s", _state.obstacle)
            elif not wanted():
                return None
        if _state.obstacle is None and (job := _ordered(server, command, environment, inherited)) is not None:
            return job
    except (OSError, ValueError):  # it was killed, or there are more files or variables than an order holds
        pass
    stop_server()
    return None


def stop_server() -> None:
    """End this process's server, if it has one."""
    server, _state.server = _state.server, None
    if server is not None and _state.owner == os.getpid():
        server.close()


atexit.register(stop_server)


def _key(environment: Mapping[str, str]) -> object:
    """Return what imports may depend on: variables, folder, and how many cores there are."""
    variables = {name: value for name, value in environment.items() if name not in VARIES}
    return variables, Path.cwd(), len(os.sched_getaffinity(0))


def _started(command: Sequence[str], environment: Mapping[str, str], key: object) -> _Server:
    """Start a server with the environment of its first job."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    context = SweepContext(orders=theirs.fileno()).environment()
    program = command[: command.index("-m") + 2]
    with theirs:
        process = subprocess.Popen(
            [*program, "waits for jobs", " " * TITLE_BYTES],  # which leaves room for a job's command line
            env={**environment, **context},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    _state.owner = os.getpid()
    return _Server(process, ours, key)


def _ordered(
    server: _Server, command: Sequence[str], environment: Mapping[str, str], inherited: Sequence[int]
) -> ForkedJob | None:
    """Order a job, and return it once it is the child of this process; None where the server has no job."""
    if len(inherited) + 2 > ORDER_DESCRIPTORS or not adopts_orphans(True):
        return None
    order = {
        "watcher": os.getpid(),
        "command": list(command),
        "environment": {name: environment.get(name) for name in VARIES},
        "cores": sorted(os.sched_getaffinity(0)),
    }
    (output, writing), (waiting, go) = os.pipe(), os.pipe()
    pid = None
    try:
        socket.send_fds(server.orders, [json.dumps(order).encode()], [writing, waiting, *inherited])
        pid = (server.answer(ANSWER_SECONDS) or {}).get("pid")
        if pid is not None:
            os.write(go, b"!")
    finally:
        adopts_orphans(False)
        for descriptor in (writing, waiting, go, *([] if pid is not None else [output])):
            os.close(descriptor)
    if pid is None:
        return None
    return ForkedJob(pid, open(output, encoding="utf-8", errors="replace"), command)
