"""Worker processes end with the process that started them, however it ends and however early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from interrupting import left_in_session

POOL = """
import os, signal, time
from deepmatte.data.parallel import spread

def killed(job):
    os.kill(os.getppid(), signal.SIGKILL)
    return job

list(spread(killed, range(8), 2, "jobs"))
"""

LOADER = """
import os, signal, time
from torch.utils.data import DataLoader
from deepmatte.training.datamodule import _start_worker

def late(worker, parent=os.getpid()):
    os.kill(parent, signal.SIGKILL)
    while os.getppid() == parent:  # as one that was forked at the last moment
        time.sleep(0.01)
    _start_worker(worker)

list(DataLoader(range(8), num_workers=2, worker_init_fn=late))
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("code", [POOL, pytest.param(LOADER, marks=pytest.mark.slow)], ids=["pool", "loader"])
def test_no_worker_outlives_a_process_that_is_killed(code: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(code)
    process = subprocess.Popen([sys.executable, tmp_path / "script.py"], start_new_session=True)
    try:
        assert process.wait(timeout=120) == -signal.SIGKILL
        assert not left_in_session(process.pid, seconds=30)
    finally:
        for left in left_in_session(process.pid, seconds=0):
            os.kill(left, signal.SIGKILL)
