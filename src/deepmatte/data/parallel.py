"""Many files at once: a function over jobs in worker processes, results in order, a progress bar."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import cv2

from deepmatte.errors import InputError, RunError

Job = TypeVar("Job")
Result = TypeVar("Result")

_shared: list[Any] = [None]


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared() -> Any:
    """Return what `spread` was given for all of its jobs."""
    return _shared[0]


def spread(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    processes: int | None,
    description: str,
    sizes: Sequence[int] | None = None,
    common: Any = None,
) -> Generator[Result, None, None]:
    """Yield ``function(job)`` of each job in order, computed by several processes behind a progress bar.

    Args:
        function: a function of a module, whose jobs and results can be pickled.
        jobs: what it is called with.
        processes: how many; None is one for each core.
        description: the text before the bar.
        sizes: how many units of progress each job is; 1 where it is None.
        common: what all jobs need and is too large to be sent with each; the function asks `shared` for it.

    Raises:
        InputError: the number of processes is not positive.
        RunError: a process was killed.
    """
    from rich.console import Console
    from rich.progress import Progress

    if processes is not None and processes < 1:
        raise InputError(f"--processes {processes}: give 1 or more")
    processes = min(processes or num_cores(), max(1, len(jobs)))
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    sizes = sizes or [1] * len(jobs)
    if processes == 1:
        _shared[0] = common
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task(description, total=sum(sizes))
            for job, size in zip(jobs, sizes, strict=True):
                yield function(job)
                progress.update(bar, advance=size)
        return
    cv2.setNumThreads(1)  # a pool of threads would not survive the fork
    with ProcessPoolExecutor(processes, context(), _start_worker, (common,)) as pool:
        waiting: deque[Future[Result]] = deque()
        # Few jobs ahead: results that nobody has taken yet would fill the memory.
        waiting.extend(pool.submit(function, job) for job in jobs[: 4 * processes])
        done = len(waiting)
        try:
            with Progress(console=console, transient=True) as progress:
                bar = progress.add_task(description, total=sum(sizes))
                for size in sizes:
                    result = waiting.popleft().result()
                    if done < len(jobs):
                        waiting.append(pool.submit(function, jobs[done]))
                        done += 1
                    yield result
                    progress.update(bar, advance=size)
        except BrokenProcessPool:
            text = "a worker process was killed, perhaps for lack of memory; try --processes 1"
            raise RunError(text) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def context() -> multiprocessing.context.BaseContext:
    """Return how worker processes start: as forks, which share what is loaded, where there are such.

    Python 3.14's own choice on Linux is servers that import everything anew.
    """
    return multiprocessing.get_context(
        "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    )


def end_with_parent(worker: int | None = None) -> None:
    """End this process of multiprocessing's with the one that started it, however early that is killed.

    The workers of a pool never miss it, and torch's loader processes only one that is there when they look
    for the first time. As a ``worker_init_fn`` it takes the worker's number.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive, args=(parent.sentinel,), daemon=True).start()


def _outlive(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _start_worker(common: Any) -> None:
    end_with_parent()
    _shared[0] = common
    cv2.setNumThreads(1)
    # Ctrl-C reaches the whole process group; only the parent answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
