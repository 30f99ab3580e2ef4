"""Ctrl-C and SIGTERM end a training run where it can be resumed exactly. Nothing here imports torch.

While a network is trained and scored, the first signal is only noted. The run ends at the next safe point:
between two optimiser steps, where a checkpoint is written, or after a picture of a validation or test, which
is later done again as a whole. At other times (while data are prepared, or figures drawn) it ends at once. So
it does upon a second signal, since whatever has reached the disk can be resumed.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

AGAIN_SECONDS = 1.0
"""From when on a signal counts as the second one; ``timeout``, for instance, sends the first one twice."""

LED_SECONDS = 30.0
"""How long a process waits for rank 0 to end it before it ends without that."""

_NOTE = b"deepmatte: interrupted; ends after this step, or at once upon another signal\n"


@dataclass
class _State:
    """Which process handles signals, whether it only notes them now, and when the first one came."""

    process: int = 0
    deferred: bool = False
    noted: float | None = None
    led: bool = field(default_factory=lambda: os.environ.get("LOCAL_RANK", "0") != "0")


_state = _State()


def signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a run; by SIGUSR1 or SIGUSR2 Slurm can warn of the end of a job's time."""
    warnings = (signal.SIGUSR1, signal.SIGUSR2) if "SLURM_JOB_ID" in os.environ else ()
    return (signal.SIGINT, signal.SIGTERM, *warnings)


@contextmanager
def caught() -> Iterator[None]:
    """Handle the signals that end a run until the end of the block, then restore the earlier handlers.

    In a thread, which can't handle signals, nothing changes.
    """
    global _state
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in signals()}
    _state = _State(process=os.getpid())
    arm()
    try:
        yield
    finally:
        _state = _State()
        for number, handler in before.items():
            signal.signal(number, handler)


def arm() -> None:
    """Take the signals again, which Lightning ignores once it is shutting down."""
    if _state.process == os.getpid():
        for number in signals():
            signal.signal(number, _handle)


def _handle(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _state.process:  # a loader process that was forked a moment ago
        return
    now = time.monotonic()
    if _state.noted is not None:
        if now - _state.noted >= AGAIN_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        return
    _state.noted = now
    if not (_state.deferred or _state.led):
        raise KeyboardInterrupt
    if not _state.led:
        os.write(2, _NOTE)


def defer() -> None:
    """Only note signals until `at_once_afterwards` ends; the caller passes safe points regularly."""
    _state.deferred = True


@contextmanager
def at_once_afterwards() -> Iterator[None]:
    """At the end of the block, end the run if it was asked to end meanwhile, and no longer defer."""
    try:
        yield
    finally:
        _state.deferred = False
    check()


def requested() -> bool:
    """Return whether this process was asked to end."""
    return _state.noted is not None


def check() -> None:
    """End the run here if it was asked to end and nothing has to be written.

    A process that rank 0 started continues: rank 0 ends it, and if it alone was asked, all of them end at the
    next safe point of training, where they agree.
    """
    if requested() and not _state.led:
        raise KeyboardInterrupt


def stop() -> NoReturn:
    """End the run here, as all of its processes do; rank 0 goes first and ends the others of its machine."""
    if _state.led:
        time.sleep(LED_SECONDS)
    raise KeyboardInterrupt


def shield_worker(worker: int) -> None:
    """Let a loader process survive a signal to the whole process group; its samples are still needed.

    What the trainer itself sends ends it, and so does the trainer's end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_heed, args=(os.getppid(),), daemon=True).start()


def _heed(trainer: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != trainer:
        pass
    os._exit(0)
