"""What the tests of forking run as ``python -m forked_program WORD``, as a fork or in its own interpreter."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from deepmatte.runs.context import SweepContext
from deepmatte.sweeps import fork_server

made = []


def prepare():
    """Do what imports may do, some of it in a way that forbids forks."""
    made.append(tempfile.TemporaryDirectory("forked-program"))
    if os.environ.get("PREPARE") == "thread":
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    if os.environ.get("PREPARE") == "fails":
        raise ImportError("no such module")


def seen():
    """Return what a process finds when it starts, and whether it prepared itself."""
    return {
        "words": sys.argv[1:],
        "name": sys.modules["__main__"].__spec__.name,
        "environment": dict(os.environ),
        "of children": b"SEEN=by children" in subprocess.run(["env"], capture_output=True).stdout,
        "cores": sorted(os.sched_getaffinity(0)),
        "folder": str(Path.cwd()),
        "leads": os.getpid() == os.getsid(0) == os.getpgrp(),
        "parent": os.getppid(),
        "threads": threading.active_count(),
        "title": open("/proc/self/cmdline").read().rstrip("\0").split("\0"),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "tty": sys.stdout.isatty(),
    }


if __name__ == "__main__":
    if (orders := SweepContext.read().orders) is not None:
        fork_server.serve(orders, prepare)
    folder = Path(made[0].name).name if made else ""
    print("fork" if made else "fresh", os.getpid(), folder, flush=True)
    if sys.argv[1] == "show":
        print(json.dumps(seen()))
    elif sys.argv[1] == "exit":
        sys.exit(int(sys.argv[2]))
    elif sys.argv[1] == "die":
        os.kill(os.getpid(), int(sys.argv[2]))
    elif sys.argv[1] == "fail":
        raise ValueError("a traceback")
    elif sys.argv[1] == "family":
        print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
        time.sleep(600)
