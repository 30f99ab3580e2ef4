"""Locks: one holder at a time, given back by any death, taken over from a machine that has fallen silent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepmatte.errors import InputError
from deepmatte.locks import INHERITED, LOCK_FILE, STALE_SECONDS, acquire, holder, is_alive, locked

HOLD = """
import sys, time
from pathlib import Path
from deepmatte.locks import acquire
lock = acquire(Path(sys.argv[1]))
print("held" if lock else "refused", flush=True)
time.sleep(60 if lock else 0)
"""


def hold(directory: Path) -> subprocess.Popen[str]:
    """Start a process that takes the lock and keeps it."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(directory)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_has_one_holder_and_is_free_after_its_release(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with acquire(tmp_path) as lock:
        assert lock is not None
        assert acquire(tmp_path) is None
        assert holder(tmp_path).pid == os.getpid()
    assert holder(tmp_path) is None
    with acquire(tmp_path) as again:
        assert again is not None


def test_a_killed_holder_leaves_nothing_behind(tmp_path: Path) -> None:
    process = hold(tmp_path)
    assert acquire(tmp_path) is None
    assert holder(tmp_path).pid == process.pid
    process.kill()
    process.wait()
    with acquire(tmp_path) as lock:
        assert lock is not None


def test_a_child_that_inherits_the_lock_keeps_it_when_its_parent_has_lost_it(tmp_path: Path) -> None:
    """What protects a job whose launcher was killed: the job still holds its directory, and its holder is known to be gone."""
    lock = acquire(tmp_path)
    child = subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()])
    lock.file.close()  # as death does: no release, only the descriptor is gone
    try:
        assert acquire(tmp_path) is None
    finally:
        child.kill()
        child.wait()
    with acquire(tmp_path) as again:
        assert again is not None


@pytest.mark.parametrize(("age", "free"), [(0.0, False), (STALE_SECONDS - 5, False), (STALE_SECONDS + 5, True)])
def test_a_holder_on_another_machine_counts_until_it_has_been_silent_for_long(tmp_path: Path, age: float, free: bool) -> None:
    (tmp_path / LOCK_FILE).write_text(json.dumps({"host": "another-machine", "pid": 1}))
    then = time.time() - age
    os.utime(tmp_path / LOCK_FILE, (then, then))
    assert (holder(tmp_path) is None) == free
    lock = acquire(tmp_path)
    assert (lock is not None) == free
    if lock is not None:
        lock.release()


def test_the_record_of_a_dead_process_of_this_machine_holds_nothing(tmp_path: Path) -> None:
    import socket

    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / LOCK_FILE).write_text(json.dumps({"host": socket.gethostname(), "pid": dead.pid}))
    with acquire(tmp_path) as lock:
        assert lock is not None


def test_a_second_run_in_a_directory_is_refused_in_words_unless_its_launcher_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = hold(tmp_path)
    try:
        with pytest.raises(InputError, match=f"process {process.pid} .* is working on this run"), locked(tmp_path):
            pass
        monkeypatch.setenv(INHERITED, str(tmp_path.resolve()))
        with locked(tmp_path):
            pass
    finally:
        process.kill()
        process.wait()


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["true"])
    time.sleep(0.2)
    assert not is_alive(child.pid)
    child.wait()
    assert is_alive(os.getpid())
