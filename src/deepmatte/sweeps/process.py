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
from deepmatte.sweeps.forking import ForkedJob, forked

POLL_SECONDS, GRACE_SECONDS = 0.2, 30.0


class Stop(NamedTuple):
    """Why a process tree is ended from outside: what ``result.json`` then says."""

    status: str
    error: str


Stopper = Callable[[], Stop | None]
"""Called several times a second: returns why a process tree has to end, None while it may continue."""


Child = subprocess.Popen[str] | ForkedJob
"""A job's first process, leader of a session of its own."""

OUT_OF_MEMORY = (
    "out of memory: the system killed a process; "
    "lower data.batch_size, data.num_workers or the number of parallel jobs"
)

_LOST_PROCESS = ("by peer", "remote process", "NCCL", "exited unexpectedly")
"""Parts of the error of a process whose other rank or loader process was killed."""


@dataclass(frozen=True)
class Ended:
    """How a process tree ended.

    Attributes:
        code: the exit code; negative for a signal.
        stopped: why we ended it, None where we did not.
        out_of_memory: whether the kernel's OOM killer struck meanwhile.
        last_line: of its output.
        wrote: whether it wrote ``result.json``.
    """

    code: int
    stopped: Stop | None
    out_of_memory: bool
    last_line: str = ""
    wrote: bool = True

    def reason(self) -> str:
        """Return why the process failed, for a job that recorded no error itself."""
        if self.out_of_memory:
            return OUT_OF_MEMORY
        if self.code < 0:
            name = signal.Signals(-self.code).name
            return f"the process was ended by signal {-self.code} ({name}); see {OUTPUT_FILE}"
        if self.last_line:
            line = self.last_line.removeprefix("deepmatte: ")[:500]
            return f"{line} (exit code {self.code}); see {OUTPUT_FILE}"
        return f"the process ended with exit code {self.code}; see {OUTPUT_FILE}"

    def cause_of(self, error: str) -> str:
        """Return ``error``, which a job recorded, with the OOM killer if that explains a lost process."""
        lost = any(part in error for part in _LOST_PROCESS)
        return f"{OUT_OF_MEMORY} ({error})" if self.out_of_memory and lost else error


def child_command(run: RunDir) -> list[str]:
    """Return the command that runs the configuration of ``run`` in that directory.

    Hydra composes only our own configuration: one from a run directory, which may be a stranger's, could
    make it call things (callbacks, search paths). The job reads that by `RunDir.config`, which it does
    because it inherits the run's lock.
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
    fork: bool = False,
) -> Ended:
    """Run ``command`` in a session of its own until it ends, or until ``stop`` returns a reason to end it.

    None of its processes is left afterwards; an exception here, Ctrl-C included, ends them, too.

    Args:
        command: program and arguments.
        log: file to which its output is appended.
        environment: all of its environment.
        inherited: file descriptors that it keeps open, such as those of locks.
        show: called with each line of output.
        stop: called every `POLL_SECONDS`.
        fork: of a ``python -m deepmatte.cli.train``: spare it the imports if possible (`forking`).
    """
    kills = _out_of_memory_kills()
    child: Child | None = None
    if fork:
        child = forked(command, environment, inherited, wanted=lambda: stop() is None)
    child = child or subprocess.Popen(
        command,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=tuple(inherited),
        start_new_session=True,
    )
    last: list[str] = []
    reader = threading.Thread(target=_copy, args=(child, log, show, last), daemon=True)
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
    return Ended(child.wait(), reason, _out_of_memory_kills() > kills, "".join(last))


def _end(child: Child) -> None:
    """Send SIGTERM to the first process, so that it writes a checkpoint; kill the session after a while."""
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except BaseException as error:  # such as a second Ctrl-C, which ends it immediately
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise


def _copy(child: Child, log: Path, show: Callable[[str], None], last: list[str]) -> None:
    """Copy the output of ``child``, and keep its last line that is not blank in ``last``.

    A log that can't be written, on a full disk, is no reason to stop reading: the child would block forever
    at its next line.
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
                last[:] = [line.strip()]


def _out_of_memory_kills() -> int:
    """Return how many processes of this control group (Slurm job, container) the OOM killer has killed."""
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
    """Return a stopper that gives a reason to stop once ``minutes`` have passed; never for None."""
    end = None if minutes is None else time.monotonic() + 60 * minutes
    stop = Stop(
        "timeout",
        f"ended after {minutes} minutes (sweep.time_limit); "
        "the same command resumes from the last checkpoint",
    )
    return lambda: stop if end is not None and time.monotonic() > end else None
