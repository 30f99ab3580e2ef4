"""The launcher as its jobs see it: whether it still runs, and whether it was asked to stop.

Works under every launcher that passes the environment on to its jobs.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from deepmatte.errors import InputError
from deepmatte.files import write_text
from deepmatte.runs.context import LauncherContext, SweepContext
from deepmatte.runs.locks import LOCK_FILE, holder, is_alive
from deepmatte.runs.parent_watch import end_when_idle_without
from deepmatte.sweeps.devices import gpus
from deepmatte.sweeps.process import GRACE_SECONDS, Stop

_replaced: dict[signal.Signals, Any] = {}
"""The signal handlers that this process had before it announced itself."""


def announce(directory: Path, *, wait: bool, local: bool = False) -> None:
    """Make this process known to the jobs of the sweep in ``directory``.

    Ctrl-C and SIGTERM then reach all of them, on whatever machine. A hard kill leaves no file: jobs on this
    machine notice that the process is gone, jobs of a cluster continue, as a queue's jobs do.

    Args:
        directory: the sweep's.
        wait: for joblib's launcher. On the first signal, the jobs write their checkpoints before this process
            ends, since joblib kills its workers with all their children at once; a second Ctrl-C ends it
            immediately. Its workers end with it.
        local: for submitit's local executor. Its jobs learn which GPUs there are, and the processes that
            watch them, which inherit what this thread blocks, leave Ctrl-C to the launcher.
    """
    stop_file = (directory / "jobs" / f"stop-{uuid.uuid4().hex[:12]}").resolve()
    launcher = LauncherContext(socket.gethostname(), os.getpid(), str(stop_file))
    SweepContext.read().but(launcher=launcher, gpus=tuple(gpus()) if local else None).publish()
    if wait:
        _tie_workers()
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread can handle signals
    owner = os.getpid()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    _replaced.update(previous)

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            with suppress(InputError):  # on a full disk the jobs notice that the launcher is gone
                write_text(stop_file, "stopped\n")
            signal.signal(number, previous[signal.Signals(number)])
            end = time.monotonic() + GRACE_SECONDS
            while wait and time.monotonic() < end and _any_running(directory):
                time.sleep(0.2)
        handler = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        print("deepmatte: stopped; the same command resumes", file=sys.stderr)
        threading.excepthook = _but_for_dropped_jobs
        sys.exit(128 + number)

    for number in previous:
        signal.signal(number, stop)
    if local:
        threading.Thread(target=threading.Event().wait, daemon=True).start()  # takes Ctrl-C from the terminal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _tie_workers() -> None:
    """Let the idle workers of joblib's pools end with this process, from their first moment on.

    `deepmatte.sweeps.jobs.run_job` does so once a job is there. A launcher that is killed before leaves
    workers that wait for one, or for the rest of it, which nobody will send.
    """
    from joblib import register_parallel_backend
    from joblib._parallel_backends import LokyBackend

    class TiedBackend(LokyBackend):
        """loky, with an initializer, for which Hydra's launcher has no option."""

        def configure(self, n_jobs: int = 1, **options: Any) -> Any:
            """Make the pool, and return how many workers it has."""
            options |= {"initializer": _tie, "initargs": (os.getpid(),)}
            return super().configure(n_jobs=n_jobs, **options)

    register_parallel_backend("loky", TiedBackend)


def _tie(parent: int) -> None:
    """Begin to watch the launcher in a worker, which is idle until a job comes."""
    end_when_idle_without(parent).set()


def _but_for_dropped_jobs(error: threading.ExceptHookArgs) -> None:
    """Report what ends a thread, but for jobs that joblib's own thread misses after it dropped them."""
    if not (error.exc_type is KeyError and error.thread and error.thread.name == "ExecutorManagerThread"):
        threading.__excepthook__(error)


def withdraw() -> None:
    """Undo what `announce` did to this process."""
    SweepContext.read().but(launcher=None, gpus=None).publish()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    while _replaced:
        signal.signal(*_replaced.popitem())


def _any_running(directory: Path) -> bool:
    return any(holder(lock.parent) is not None for lock in directory.glob(f"*/{LOCK_FILE}"))


def stopped() -> Stop | None:
    """Return why a job has to stop now: its launcher was asked to, or is gone; None while it may continue."""
    launcher = SweepContext.read().launcher
    if launcher is None:
        return None
    if Path(launcher.stop_file).exists():
        return Stop("interrupted", "the sweep was stopped; the same command resumes from the last checkpoint")
    on_this_machine = launcher.host == socket.gethostname() and "SLURM_JOB_ID" not in os.environ
    if on_this_machine and not is_alive(launcher.pid):
        return Stop(
            "interrupted",
            "the launcher of the sweep is gone; the same command resumes from the last checkpoint",
        )
    return None
