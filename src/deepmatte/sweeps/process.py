"""The process tree of one job: started, watched, and ended as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from deepmatte.config.compose import quoted
from deepmatte.runs.directory import OUTPUT_FILE, RunDir

POLL_SECONDS, GRACE_SECONDS = 0.2, 30.0


class Stop(NamedTuple):
    """Why a process tree is ended from outside: what ``result.json`` then says."""

    status: str
    error: str


Stopper = Callable[[], Stop | None]
"""What is asked, several times a second, whether a process tree has to end."""


OUT_OF_MEMORY = "out of memory: the system killed a process; lower data.batch_size, data.num_workers or the number of parallel jobs"
_OF_OTHERS = ("by peer", "remote process", "NCCL", "exited unexpectedly")
"""What a process says whose rank or loader process is gone."""


@dataclass(frozen=True)
class Ended:
    """How a process tree ended: its exit code (negative: a signal), and whether we, or a kernel without memory, ended it.

    ``said`` is the last line of its output, ``wrote`` whether it has written into ``result.json``.
    """

    code: int
    stopped: Stop | None
    out_of_memory: bool
    said: str = ""
    wrote: bool = True

    def reason(self) -> str:
        """Return in words why the process did not end well, for a job that left no word of its own."""
        if self.out_of_memory:
            return OUT_OF_MEMORY
        if self.code < 0:
            return f"the process was ended by signal {-self.code} ({signal.Signals(-self.code).name}); see {OUTPUT_FILE}"
        if self.said:
            return f"{self.said.removeprefix('deepmatte: ')[:500]} (exit code {self.code}); see {OUTPUT_FILE}"
        return f"the process ended with exit code {self.code}; see {OUTPUT_FILE}"

    def cause_of(self, error: str) -> str:
        """Return a job's own last word; where that only says that another of its processes is gone, why, if memory ran out."""
        return (
            f"{OUT_OF_MEMORY} ({error})"
            if self.out_of_memory and any(word in error for word in _OF_OTHERS)
            else error
        )


def child_command(run: RunDir) -> list[str]:
    """Return the command that runs the configuration of ``run`` in that directory.

    Hydra composes nothing but our own configuration: on that of a run directory, which may be a stranger's,
    it would act (callbacks, search paths). The job reads it by `RunDir.config`, for it inherits the run's
    lock.
    """
    return [
        sys.executable,
        "-m",
        "deepmatte.cli.train",
        f"hydra.run.dir={quoted(run.path.resolve())}",
        "hydra.output_subdir=null",
        "hydra.mode=RUN",
    ]


def run_tree(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    *,
    inherited: Sequence[int] = (),
    show: Callable[[str], None] = lambda line: None,
    stop: Stopper = lambda: None,
) -> Ended:
    """Run ``command`` in a session of its own until it ends or ``stop`` gives a reason to end it; nothing of it is left then.

    Its output goes to ``log``, each line also to ``show``. It keeps the file descriptors ``inherited`` open.
    Whatever is raised here, Ctrl-C included, ends it, too.
    """
    kills = _out_of_memory_kills()
    child = subprocess.Popen(
        command,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=tuple(inherited),
        start_new_session=True,
    )
    said: list[str] = []
    reader = threading.Thread(target=_copy, args=(child, log, show, said), daemon=True)
    reader.start()
    reason = None
    try:
        while reason is None and child.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(POLL_SECONDS)
                break
            reason = stop()
    finally:
        if child.poll() is None:
            _end(child)
        if child.returncode != 0:
            with suppress(ProcessLookupError):  # its ranks and workers
                os.killpg(child.pid, signal.SIGKILL)
        reader.join(timeout=10)
    return Ended(child.returncode, reason, _out_of_memory_kills() > kills, "".join(said))


def _end(child: subprocess.Popen[str]) -> None:
    """Ask the first process to end (a training run then writes a checkpoint, with its ranks), and insist after a while."""
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except BaseException as error:  # such as another Ctrl-C, which ends it at once
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise


def _copy(child: subprocess.Popen[str], log: Path, show: Callable[[str], None], said: list[str]) -> None:
    """Copy the output of ``child``, and keep its last line that is not empty in ``said``.

    A log that can't be written, on a full disk, is no reason to stop reading: the child would wait for ever
    with its next line.
    """
    assert child.stdout is not None
    with ExitStack() as stack:
        file: BinaryIO | None = None
        with suppress(OSError):
            file = stack.enter_context(log.open("ab", buffering=0))
        for line in child.stdout:
            with suppress(OSError):
                if file is not None:
                    file.write(line.encode(errors="replace"))
            show(line.rstrip())
            if line.strip():
                said[:] = [line.strip()]


def _out_of_memory_kills() -> int:
    """Return how often the kernel has killed a process of this control group (a Slurm job, a container) for want of memory."""
    for line in _lines(Path("/proc/self/cgroup")):
        group = line.split(":")[-1].lstrip("/")
        root = Path("/sys/fs/cgroup") / ("memory" if ":memory:" in line else "")
        for file in (root / group / "memory.events", root / group / "memory.oom_control"):
            for entry in _lines(file):
                if entry.startswith("oom_kill "):
                    return int(entry.split()[1])
    for entry in _lines(Path("/proc/vmstat")):
        if entry.startswith("oom_kill "):
            return int(entry.split()[1])
    return 0


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def deadline(minutes: float | None) -> Stopper:
    """Return a reason to stop from ``minutes`` after now on."""
    end = None if minutes is None else time.monotonic() + 60 * minutes
    stop = Stop(
        "timeout",
        f"ended after {minutes} minutes (sweep.time_limit); the same command goes on from the last checkpoint",
    )
    return lambda: stop if end is not None and time.monotonic() > end else None
