"""The launcher as its jobs see it: is it still there, has it been told to stop. Works on any launcher that passes the environment on."""

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
from deepmatte.runs.locks import LOCK_FILE, holder, is_alive
from deepmatte.sweeps.devices import GPUS, gpus
from deepmatte.sweeps.process import GRACE_SECONDS, Stop

LAUNCH = "DEEPMATTE_LAUNCH"
"""Environment variable of the jobs: host, process and name of their launcher, and the file that appears when it is told to stop."""

_replaced: dict[int, Any] = {}
"""The handlers of signals that were there before this process announced itself."""


def announce(directory: Path, *, wait: bool, local: bool = False) -> None:
    """Make this process known to the jobs of the sweep in ``directory``; Ctrl-C and SIGTERM then reach all of them, wherever they are.

    With ``wait`` it lets them write their checkpoints before it ends (joblib kills its workers with all their
    children at once); a second Ctrl-C does not. A hard kill leaves no file: jobs on this machine see that the
    process is gone, jobs of a cluster go on, as a queue's jobs do. ``local`` is for submitit's local
    executor: its jobs learn which GPUs there are, and the processes that watch them, which inherit what this
    thread blocks, leave Ctrl-C to the launcher.
    """
    flag = (directory / "jobs" / f"stop-{uuid.uuid4().hex[:12]}").resolve()
    os.environ[LAUNCH] = f"{socket.gethostname()}|{os.getpid()}|{flag}"
    if local:
        os.environ[GPUS] = ",".join(gpus())
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread is told of signals
    owner = os.getpid()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    _replaced.update(previous)

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            with suppress(InputError):  # on a full disk they notice that the launcher is gone
                write_text(flag, "stopped\n")
            signal.signal(number, previous[signal.Signals(number)])
            end = time.monotonic() + GRACE_SECONDS
            while wait and time.monotonic() < end and _at_work(directory):
                time.sleep(0.2)
        handler = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        print("deepmatte: stopped; the same command goes on where this one stopped", file=sys.stderr)
        sys.exit(128 + number)

    for number in previous:
        signal.signal(number, stop)
    if local:
        threading.Thread(target=threading.Event().wait, daemon=True).start()  # takes Ctrl-C from the terminal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def withdraw() -> None:
    """Take back what `announce` has done to this process."""
    os.environ.pop(LAUNCH, None)
    os.environ.pop(GPUS, None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    while _replaced:
        signal.signal(*_replaced.popitem())


def _at_work(directory: Path) -> bool:
    return any(holder(lock.parent) is not None for lock in directory.glob(f"*/{LOCK_FILE}"))


def launcher() -> tuple[str, int, str]:
    """Return the launcher's host and process, and its flag that says stop; an empty flag where nobody has announced himself."""
    host, _, rest = os.environ.get(LAUNCH, "").partition("|")
    pid, _, flag = rest.partition("|")
    return host, int(pid or 0), flag


def stopped() -> Stop | None:
    """Return why a job has to stop now: its launcher was told to, or is gone; None while it may go on."""
    host, pid, flag = launcher()
    if not flag:
        return None
    if Path(flag).exists():
        return Stop(
            "interrupted", "the sweep was told to stop; the same command goes on from the last checkpoint"
        )
    if host == socket.gethostname() and "SLURM_JOB_ID" not in os.environ and not is_alive(pid):
        return Stop(
            "interrupted",
            "the launcher of the sweep is gone; the same command goes on from the last checkpoint",
        )
    return None
