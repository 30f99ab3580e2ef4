"""How a run that breaks off says why: its status in ``result.json``, and one line for the user."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import torch

from deepmatte.errors import InputError, RunError, one_line
from deepmatte.files import refused
from deepmatte.runs import interruption
from deepmatte.runs.directory import RunDir
from deepmatte.training.checkpoints.statistics import is_first_process

OTHER_PROCESS = "another process of the run ended"
"""How the message of a rank begins that only lost the others; theirs replaces it."""


@contextmanager
def recorded(run: RunDir, fail: Callable[[], None]) -> Iterator[None]:
    """Write into ``result.json`` how the run inside the block ended, if it does not end well.

    Each rank may; the first message stays. ``fail`` then tells the loggers.
    """

    def ended(status: str, error: str) -> None:
        with suppress(InputError):  # the disk may be full; the run's own error matters more
            result = run.result() or {}
            if result.get("status") == "running" or str(result.get("error")).startswith(OTHER_PROCESS):
                run.update(status=status, error=error)
        fail()

    def interrupted() -> None:
        _forget_ranks()
        interruption.arm()
        ended("interrupted", "interrupted; the same command resumes it from the last checkpoint")

    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        interrupted()
        raise KeyboardInterrupt from error
    except Exception as error:
        if interruption.requested():  # such as the end of a rank or loader process that got the signal, too
            interrupted()
            raise KeyboardInterrupt from error
        known = _disk_error(run, error) or _memory_error(error) or _lost_process(error)
        if known is None and isinstance(error, InputError | RunError):
            ended("failed", one_line(error))
            raise
        ended("failed", one_line(known) if known else f"{type(error).__name__}: {one_line(error)[:500]}")
        if known is None:
            raise
        raise known from error


def _disk_error(run: RunDir, error: Exception) -> InputError | RunError | None:
    """Return in a line what the file system refused or lost; None where it did neither."""
    if isinstance(error, OSError | InputError) and not run.is_there():
        return RunError(
            f"{run.path}: was removed or moved during the run; put it back and repeat the command"
        )
    return refused(error)


def _lost_process(error: Exception) -> RunError | None:
    """Return in a line that this rank lost the others, of which one may say why.

    An error of NCCL in the first rank may be one of its own, which needs its traceback.
    """
    words = ("by peer",) if is_first_process() else ("by peer", "NCCL")
    lost = isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    return RunError(f"{OTHER_PROCESS} ({one_line(error)[:200]})") if lost else None


def _memory_error(error: Exception) -> RunError | None:
    message = out_of_memory(error)
    return RunError(message) if message else None


def _forget_ranks() -> None:
    """Keep Lightning's watch over the other ranks from ending this one before it has recorded why."""
    for thread in threading.enumerate():
        if thread.name == "child-process-observer":
            getattr(thread, "_child_processes", []).clear()


def out_of_memory(error: Exception) -> str | None:
    """Return in words which memory ran out where ``error`` says so, else None."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError):
        return "out of memory on the device; lower data.batch_size or composition.size"
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "Cannot allocate memory" in text:
        return "out of memory on the machine; lower data.batch_size, composition.size or data.num_workers"
    if "DataLoader worker" in text and "signal: Killed" in text:
        return "out of memory: the system killed a loader process; lower data.num_workers or data.batch_size"
    return None
