"""A job that is forked is what it would be in an interpreter of its own, and dies alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepmatte.runs.locks import acquire, is_alive
from deepmatte.sweeps import forking
from deepmatte.sweeps.process import Ended, Stop, run_tree

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="jobs are forked on Linux alone")

ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    "PATH": os.environ["PATH"],
    "SEEN": "by children",
    "ODD": "\udcff=\n'\"",
}


@pytest.fixture(autouse=True)
def _own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(forking, "_state", forking._State())
    yield
    forking.stop_server()


def run(folder: Path, *words: str, fork: bool = True, **options: object) -> tuple[Ended, list[str]]:
    """Run the program; return how it ended, and its output, whose first line says ``fork`` or ``fresh``."""
    variables = {name: options.pop(name) for name in list(options) if name.isupper()}
    command = [sys.executable, "-m", "forked_program", *words]
    log = folder / "log"
    log.unlink(missing_ok=True)
    ended = run_tree(command, log, ENVIRONMENT | variables, fork=fork, **options)  # type: ignore[arg-type]
    return ended, log.read_text().splitlines()


def ends(pid: int) -> None:
    """A process that was killed has closed its files a moment before it is gone."""
    end = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_forked_job_sees_what_popen_would_have_shown_it(tmp_path: Path) -> None:
    """The oracle is `subprocess.Popen`; the second fork of a server is compared, with cores of its own."""
    before = os.sched_getaffinity(0)
    run(tmp_path, "exit", "0")
    try:
        os.sched_setaffinity(0, before if len(before) == 1 else set(sorted(before)[1:]))
        run(tmp_path, "exit", "0", DEEPMATTE_CONTEXT="{}")
        seen = [
            run(tmp_path, "show", "a b", "", fork=fork, CUDA_VISIBLE_DEVICES="3")[1] for fork in (True, False)
        ]
    finally:
        os.sched_setaffinity(0, before)
    assert [lines[0].split()[0] for lines in seen] == ["fork", "fresh"]
    forked, fresh = (json.loads(lines[1]) for lines in seen)
    assert forked == fresh
    assert forked["parent"] == os.getpid()
    assert forked["environment"]["CUDA_VISIBLE_DEVICES"] == "3"
    assert "DEEPMATTE_CONTEXT" not in forked["environment"]
    assert forked["title"][1:] == ["-m", "forked_program", "show", "a b"]


@pytest.mark.parametrize(
    ("words", "code"),
    [(("exit", "0"), 0), (("exit", "7"), 7), (("die", "9"), -9), (("die", "11"), -11), (("fail",), 1)],
)
def test_exit_codes_and_last_lines_are_those_of_the_job(
    words: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    ended, lines = run(tmp_path, *words)
    assert (lines[0].split()[0], ended.code) == ("fork", code)
    if words == ("fail",):
        assert ended.last_line == "ValueError: a traceback"
        assert "Traceback (most recent call last):" in lines


def test_a_job_dies_alone_and_with_all_that_it_started(tmp_path: Path) -> None:
    asked = [0]

    def soon() -> Stop | None:
        log = tmp_path / "log"
        asked[0] += log.exists() and len(log.read_text().splitlines()) == 2
        return Stop("interrupted", "as asked") if asked[0] > 1 else None

    ended, lines = run(tmp_path, "family", stop=soon)
    assert (ended.code, ended.stopped.error if ended.stopped else None) == (-signal.SIGTERM, "as asked")
    ends(int(lines[1]))
    server = forking._state.server
    assert server is not None
    assert server.process.poll() is None
    assert run(tmp_path, "exit", "0")[1][0].startswith("fork")
    assert forking._state.server is server
    forking.stop_server()
    assert server.process.returncode == 0


def test_jobs_have_temporary_folders_of_their_own_and_none_is_left(tmp_path: Path) -> None:
    folders = [run(tmp_path, "exit", "0", TMPDIR=str(tmp_path))[1][0].split()[2] for _ in range(2)]
    assert len(set(folders)) == 2
    forking.stop_server()
    assert not list(tmp_path.glob("*forked-program"))


@pytest.mark.parametrize("obstacle", ["thread", "fails"])
def test_what_can_not_be_forked_gets_an_interpreter_of_its_own(obstacle: str, tmp_path: Path) -> None:
    for _ in range(2):
        ended, lines = run(tmp_path, "exit", "3", PREPARE=obstacle)
        assert (lines[0].split()[0], ended.code) == ("fresh", 3)
    assert forking._state.server is None


def test_a_server_that_was_killed_is_replaced_and_other_variables_take_another(tmp_path: Path) -> None:
    run(tmp_path, "exit", "0")
    first = forking._state.server
    assert first is not None
    first.process.kill()
    first.process.wait()
    assert [run(tmp_path, "exit", "0")[1][0].split()[0] for _ in range(2)] == ["fresh", "fork"]
    second = forking._state.server
    assert run(tmp_path, "show", OMP_NUM_THREADS="3")[1][0].startswith("fork")
    assert forking._state.server not in (first, second)


def test_a_job_holds_the_locks_that_it_inherits_and_the_server_does_not(tmp_path: Path) -> None:
    lock = acquire(tmp_path / "run")
    assert lock is not None
    held: list[bool] = []

    def once_started() -> Stop | None:
        if not (tmp_path / "log").exists() or not (tmp_path / "log").read_text():
            return None
        if not held:
            lock.file.close()  # as if this process had been killed
            other = subprocess.run(["flock", "-n", tmp_path / "run" / ".lock", "true"])
            held.append(other.returncode != 0)
        return Stop("interrupted", "seen")

    run(tmp_path, "family", stop=once_started, inherited=[lock.fileno()])
    assert held == [True]
    assert subprocess.run(["flock", "-n", tmp_path / "run" / ".lock", "true"]).returncode == 0


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "forked_program", "exit", "0"]
    code = (
        "import time; from deepmatte.sweeps import forking\n"
        f"forking.forked({command!r}, {ENVIRONMENT!r}, [], lambda: True)\n"
        "print(forking._state.server.process.pid, flush=True); time.sleep(600)"
    )
    watcher = subprocess.Popen(
        [sys.executable, "-c", code], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert watcher.stdout is not None
    server = int(watcher.stdout.readline())
    watcher.kill()
    watcher.communicate()
    ends(server)
