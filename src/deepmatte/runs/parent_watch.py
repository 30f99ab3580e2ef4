"""No job outlives its launcher, no launcher its study, no rank the first one. Nothing here imports torch."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time

from deepmatte.runs.context import SweepContext

POLL_SECONDS, GRACE_SECONDS = 1.0, 60.0


def tie_to_parent() -> None:
    """End this process soon after its launcher, or after rank 0 where Lightning started it.

    First by SIGTERM, upon which a training run writes a checkpoint, then, if it hangs, by SIGKILL. A process
    that was started by neither is left alone.
    """
    context = SweepContext.read()
    if context.parent is not None:
        parent, grace = context.parent, GRACE_SECONDS
        context.but(parent=None).publish()  # it is not the parent of what this process starts
    elif os.environ.get("LOCAL_RANK", "0") != "0":
        parent, grace = os.getppid(), GRACE_SECONDS / 6  # rank 0 is gone, there is nothing left to save
    else:
        return
    threading.Thread(target=_watch, args=(parent, grace), daemon=True).start()


def _watch(parent: int, grace: float) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os.kill(os.getpid(), signal.SIGKILL)


@functools.cache
def end_when_idle_without(parent: int) -> threading.Event:
    """Return an event that a pool's worker sets while it is idle: it then ends with its parent, the launcher.

    Otherwise the workers of a pool whose owner was killed would wait for their next task for ever.
    """
    idle = threading.Event()
    threading.Thread(target=_watch_idle, args=(parent, idle), daemon=True).start()
    return idle


def _watch_idle(parent: int, idle: threading.Event) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    idle.wait()
    os._exit(1)
