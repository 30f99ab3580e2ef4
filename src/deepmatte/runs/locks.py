"""Locks: one process tree at a time works in a directory. Nothing here imports torch.

A lock is an ``flock`` on the file ``.lock``. The kernel gives it back with the last process that inherited
it, however that ended, so on one machine a lock is never stale. Some network file systems don't show one
machine's locks to another; so a holder on another machine also counts as alive as long as it touches the
file, and as dead `STALE_SECONDS` after the last time.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from deepmatte.errors import InputError
from deepmatte.files import writing
from deepmatte.runs.context import SweepContext

LOCK_FILE = ".lock"
BEAT_SECONDS, STALE_SECONDS = 15.0, 120.0
_NOT_SUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Holder:
    """The process that took a lock; it may have passed it on to its children."""

    host: str
    pid: int

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def is_gone(self) -> bool:
        """Whether the process was one of this machine and has ended."""
        return self.host == socket.gethostname() and not is_alive(self.pid)


def is_alive(pid: int) -> bool:
    """Return whether a process of this machine exists; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


class Lock:
    """A lock that is held until `release` or the end of a ``with``.

    Should the holder be killed, it is held until the last process that inherited `fileno` ends.
    """

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self._released = threading.Event()
        file.seek(0)
        file.truncate()
        json.dump(asdict(Holder(socket.gethostname(), os.getpid())), file)
        file.flush()
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while not self._released.wait(BEAT_SECONDS):
            with suppress(OSError):  # the directory may be gone
                os.utime(self.file.name)

    def fileno(self) -> int:
        """Return the descriptor; a child that inherits it (``pass_fds``) holds the lock, too."""
        return self.file.fileno()

    def release(self) -> None:
        """Give the lock back, also where a child still has the descriptor."""
        if not self._released.is_set():
            self._released.set()
            with suppress(OSError):
                self.file.seek(0)
                self.file.truncate()
                self.file.flush()
            with suppress(OSError):
                fcntl.flock(self.file, fcntl.LOCK_UN)
            self.file.close()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def acquire(directory: Path, name: str = LOCK_FILE) -> Lock | None:
    """Take the lock of ``directory`` (made if need be), or return None where another process tree has it.

    Raises:
        InputError: the lock can't be written.
    """
    with writing(directory / name):
        directory.mkdir(parents=True, exist_ok=True)
        # A link in a stranger's run directory would have another file emptied.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        file = os.fdopen(os.open(directory / name, flags, 0o666), "a+", encoding="utf-8")
        for attempt in range(4):
            if not _is_held(file, fcntl.LOCK_EX):
                return _taken(file)
            if attempt < 3:
                time.sleep(0.05)  # it may have been somebody who only looked
        file.close()
    return None


def _taken(file: IO[str]) -> Lock:
    try:
        return Lock(file)
    except OSError:
        with suppress(OSError):  # what is left to be flushed has no room either
            file.close()
        raise


def holder(directory: Path, name: str = LOCK_FILE) -> Holder | None:
    """Return who has the lock of ``directory``, None where it is free."""
    try:
        with (directory / name).open(encoding="utf-8") as file:
            return (_record(file) or Holder("this machine", 0)) if _is_held(file, fcntl.LOCK_SH) else None
    except (
        FileNotFoundError,
        PermissionError,
    ):  # one that can't be read can't be acquired either, which then says so
        return None


def is_inherited(directory: Path) -> bool:
    """Return whether this process's launcher holds the lock of ``directory`` for it: this is its job."""
    return SweepContext.read().run == str(directory.resolve())


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a run directory, unless the launcher of this process holds it already.

    Raises:
        InputError: another process holds it.
    """
    if is_inherited(directory):
        yield
        return
    lock = acquire(directory)
    if lock is None:
        other = holder(directory) or "another process"
        raise InputError(f"{directory}: {other} is working on this run; wait until it ends, or stop it")
    with lock:
        yield


def _is_held(file: IO[str], mode: int) -> bool:
    """Return whether another process holds ``file``; one that is free is flocked by this process."""
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
        supported = True
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        supported = False
    record = _record(file)
    if record is None or (supported and record.host == socket.gethostname()):
        return False
    if record.host == socket.gethostname():
        alive = record.pid != os.getpid() and is_alive(record.pid)
    else:
        alive = time.time() - os.fstat(file.fileno()).st_mtime < STALE_SECONDS
    if alive and supported:
        fcntl.flock(file, fcntl.LOCK_UN)
    return alive


def _record(file: IO[str]) -> Holder | None:
    file.seek(0)
    try:
        return Holder(**json.loads(file.read()))
    except (ValueError, TypeError):
        return None
