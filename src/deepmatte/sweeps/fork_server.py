"""The process that imports everything once; jobs of a sweep are its forks. No torch at import.

A fork goes on where a fresh interpreter begins: `serve` returns in it, with the job's command line,
environment, cores and output, and the program runs as ever. The process between server and job ends at once,
so that the job becomes a child of its watcher, which waits for it and ends it as it would any child.

The server dies with its watcher, has a single thread, and has not touched CUDA: neither survives a fork.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ORDER_BYTES, ORDER_DESCRIPTORS = 1 << 20, 64
"""The largest order: text, and open files that come with it."""

TITLE_BYTES = 1000
"""How much of a job's command line ``ps`` shows."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def serve(descriptor: int, prepare: Callable[[], object]) -> None:
    """Fork a job for every order that comes over a socket; return in the processes of the jobs alone.

    The first message to the watcher is ``{"obstacle": why jobs can't be forked, or null}``, an answer to an
    order ``{"pid": of the job}`` or ``{"obstacle": …}``. An order is JSON with the keys ``watcher`` (its
    process), ``command``, ``environment`` (what differs from the server's own; null is unset) and ``cores``;
    its first open file becomes the job's output, the second is a pipe on which the watcher lets it go, and
    the others stay open in it.

    Args:
        descriptor: the socket's, of type SOCK_SEQPACKET.
        prepare: imports what the jobs need.
    """
    orders = socket.socket(fileno=descriptor)
    set_process(_PR_SET_PDEATHSIG, signal.SIGKILL)
    obstacle = None
    with _temporary_folders() as folders:
        try:
            prepare()
        except Exception as error:
            obstacle = f"{type(error).__name__}: {error}"
    set_process(_PR_SET_PDEATHSIG, 0)  # from now on the end of the socket is its end
    obstacle = obstacle or _obstacle()
    _answer(orders, obstacle=obstacle)
    while obstacle is None:
        text, files, *_ = socket.recv_fds(orders, ORDER_BYTES, ORDER_DESCRIPTORS)
        if not text:  # the watcher has closed it, or has ended
            break
        if (between := _forked(orders)) is not None:
            _become(json.loads(text), files, between)
            _renew(folders)
            _answer(orders, pid=os.getpid())
            orders.close()
            if not os.read(files[1], 1):  # the watcher has ended, or has lost its patience
                os._exit(1)
            os.close(files[1])
            return
        for file in files:  # such as those of locks, which the job alone holds from now on
            os.close(file)
    for folder, _ in folders:
        folder.cleanup()
    os._exit(0)


@contextmanager
def _temporary_folders() -> Iterator[list[tuple[Any, Any]]]:
    """Yield a list of the temporary folders that the block makes, as W&B's import does, and how."""
    made: list[tuple[Any, Any]] = []
    make = tempfile.TemporaryDirectory.__init__

    def recorded(self: Any, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        made.append((self, functools.partial(make, self, *arguments, **options)))

    tempfile.TemporaryDirectory.__init__ = recorded  # type: ignore[assignment,method-assign]
    try:
        yield made
    finally:
        tempfile.TemporaryDirectory.__init__ = make  # type: ignore[method-assign]


def _renew(folders: Sequence[tuple[Any, Callable[[], None]]]) -> None:
    """Give this process temporary folders of its own: the first job to end would remove those of all."""
    for folder, make in folders:
        folder._finalizer.detach()
        make()


def _answer(orders: socket.socket, **fields: Any) -> None:
    with suppress(OSError):
        orders.send(json.dumps(fields).encode())


def _obstacle() -> str | None:
    """Return why this process can't be forked, None where it can.

    The first fork ends the threads of OpenBLAS, which start again where they are needed.
    """
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)
    if (threads := len(list(Path("/proc/self/task").iterdir()))) > 1:
        return f"{threads} threads were running"
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if str(file.readlink()).startswith("/dev/nvidia"):
                return "CUDA was in use"
    return None


def _forked(orders: socket.socket) -> int | None:
    """Fork twice; return the process in between in the last of the three, and None in the first."""
    try:
        between = os.fork()
    except OSError as error:
        _answer(orders, obstacle=f"fork: {error.strerror}")
        return None
    if between == 0:
        between = os.getpid()
        try:
            job = os.fork()
        except OSError:
            os._exit(1)
        if job != 0:
            os._exit(0)
        return between
    if os.waitpid(between, 0)[1] != 0:
        _answer(orders, obstacle="fork: no process left")
    return None


def _become(order: dict[str, Any], files: Sequence[int], between: int) -> None:
    """Make this process what `subprocess.Popen` would have made: a session's leader, child of the watcher."""
    os.setsid()
    while os.getppid() == between:
        time.sleep(0.001)
    if os.getppid() != order["watcher"]:  # it has ended
        os._exit(1)
    output = files[0]
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    for name, value in order["environment"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.sched_setaffinity(0, order["cores"])
    command = order["command"]
    sys.argv[1:], sys.orig_argv[:] = command[command.index("-m") + 2 :], command
    _show_command(command)


def _show_command(command: Sequence[str]) -> None:
    """Write the job's command line over the server's, where ``ps`` finds it.

    The server has left room for it (`TITLE_BYTES`). Where the kernel does not say at which address, ``ps``
    shows the server's.
    """
    start, end = (int(field) for field in _stat()[45:47])
    if end - start > TITLE_BYTES:
        words = b"\0".join(os.fsencode(word) for word in command)[:TITLE_BYTES]
        ctypes.memmove(start, words.ljust(end - start, b"\0"), end - start)


def _stat() -> list[str]:
    """Return the fields of ``/proc/self/stat`` from the third on, which follow the program's name."""
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()


def adopts_orphans(yes: bool) -> bool:
    """Let orphans of this process's descendants become its own children, or no longer; return the success."""
    return set_process(_PR_SET_CHILD_SUBREAPER, int(yes))


def set_process(option: int, value: int) -> bool:
    """Call Linux's ``prctl``, and return its success."""
    try:
        return ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0
    except (AttributeError, OSError):  # another system
        return False
