"""Locks: one holder at a time, given back by any death, taken over from a machine that has fallen silent."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepmatte.errors import InputError
from deepmatte.runs import locks
from deepmatte.runs.context import CONTEXT, SweepContext
from deepmatte.runs.locks import LOCK_FILE, STALE_SECONDS, acquire, holder, is_alive, locked

HOLD = """
import sys, time
from pathlib import Path
from deepmatte.runs.context import CONTEXT, SweepContext
from deepmatte.runs.locks import acquire
lock = acquire(Path(sys.argv[1]))
print("held" if lock else "refused", flush=True)
time.sleep(60 if lock else 0)
"""


def hold(directory: Path) -> subprocess.Popen[str]:
    """Start a process that takes the lock and keeps it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)], stdout=subprocess.PIPE, text=True
    )
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
    """A job whose launcher was killed still holds its directory, and the launcher is known to be gone."""
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


@pytest.mark.parametrize(
    ("age", "free"), [(0.0, False), (STALE_SECONDS - 5, False), (STALE_SECONDS + 5, True)]
)
def test_a_holder_on_another_machine_counts_until_it_has_been_silent_for_long(
    tmp_path: Path, age: float, free: bool
) -> None:
    (tmp_path / LOCK_FILE).write_text(json.dumps({"host": "another-machine", "pid": 1}))
    then = time.time() - age
    os.utime(tmp_path / LOCK_FILE, (then, then))
    assert (holder(tmp_path) is None) == free
    lock = acquire(tmp_path)
    assert (lock is not None) == free
    if lock is not None:
        lock.release()


def test_a_holder_touches_its_lock_so_that_other_machines_see_it_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.05)
    with acquire(tmp_path) as lock:
        assert lock is not None
        os.utime(tmp_path / LOCK_FILE, (1.0, 1.0))
        end = time.monotonic() + 10
        while (tmp_path / LOCK_FILE).stat().st_mtime < 2 and time.monotonic() < end:
            time.sleep(0.02)
        assert time.time() - (tmp_path / LOCK_FILE).stat().st_mtime < 10


def test_where_the_file_system_has_no_locks_the_record_of_a_live_process_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(file: object, mode: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    process = subprocess.Popen(["sleep", "60"])
    (tmp_path / LOCK_FILE).write_text(json.dumps({"host": socket.gethostname(), "pid": process.pid}))
    assert acquire(tmp_path) is None
    process.kill()
    process.wait()
    with acquire(tmp_path) as lock:
        assert lock is not None
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()


def test_the_record_of_a_dead_process_of_this_machine_holds_nothing(tmp_path: Path) -> None:
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
        with (
            pytest.raises(InputError, match=f"process {process.pid} .* is working on this run"),
            locked(tmp_path),
        ):
            pass
        monkeypatch.setenv(CONTEXT, SweepContext(run=str(tmp_path.resolve())).environment()[CONTEXT])
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
