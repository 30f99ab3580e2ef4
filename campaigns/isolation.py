"""Running what may crash, hang or eat the memory in a process of its own, under limits."""

from __future__ import annotations

import json
import mmap
import os
import resource
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Attacked = Callable[[Callable[[], None]], Any]
"""A function of ``beat``, which it calls whenever it gets on."""


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit status, negative for a signal, None if it made no progress and was ended.
        result: what its function returned.
        seconds: how long it took.
        peak_mb: the most memory that it had resident, in MB.
    """

    code: int | None
    result: Any
    seconds: float
    peak_mb: float

    @property
    def is_well(self) -> bool:
        """Whether the function returned."""
        return self.code == 0

    def __str__(self) -> str:
        if self.code is None:
            return "hangs"
        return f"ended by {signal.Signals(-self.code).name}" if self.code < 0 else f"exit status {self.code}"


def isolated(function: Attacked, seconds: float, more_mb: int | None = None) -> Ended:
    """Call ``function(beat)`` in a forked process and return how it ended.

    Args:
        function: returns what JSON can hold; an exception of it is printed.
        seconds: how long it may take between two calls of ``beat``.
        more_mb: address space that it may take beside what this process has now; None for any amount.
    """
    beats = mmap.mmap(-1, 8)
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(function, beats, writing, more_mb)
    os.close(writing)
    start = time.monotonic()
    text, code, usage = _watched(pid, reading, beats, seconds)
    result = json.loads(text) if code == 0 and text else None
    return Ended(code, result, time.monotonic() - start, usage.ru_maxrss / 1024)


def _child(function: Attacked, beats: mmap.mmap, pipe: int, more: int | None) -> None:
    """Call the function and end this process without the ends of the parent."""
    code = 1
    try:
        if more is not None:
            limit = _address_space() + more * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        count = 0

        def beat() -> None:
            nonlocal count
            count += 1
            beats[:8] = struct.pack("q", count)

        text = json.dumps(function(beat)).encode()
        with os.fdopen(pipe, "wb") as file:
            file.write(text)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _watched(pid: int, pipe: int, beats: mmap.mmap, seconds: float) -> tuple[bytes, int | None, Any]:
    """Return what a child wrote, its status and usage; one that does not beat in time is killed."""
    parts, last, since, late = [], b"", time.monotonic(), False
    with os.fdopen(pipe, "rb", buffering=0) as file:
        while True:
            if select.select([file], [], [], 0.2)[0]:
                if not (part := file.read(65536)):
                    break
                parts.append(part)
            if beats[:8] != last:
                last, since = beats[:8], time.monotonic()
            elif time.monotonic() - since > seconds:
                late = True
                os.kill(pid, signal.SIGKILL)
                break
    _, status, usage = os.wait4(pid, 0)
    return b"".join(parts), None if late else os.waitstatus_to_exitcode(status), usage
