"""Sweeps as a user starts them, in processes of their own, with a stub for training where that is enough."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TRAIN = [sys.executable, "-m", "deepmatte.cli.train"]


@dataclass
class Sweeps:
    """A folder in which sweeps run, and what has become of them."""

    home: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start ``deepmatte train -m WORDS`` in a session of its own."""
        command = [*TRAIN, "-m", "wandb.mode=disabled", "name=s", *words]
        process = subprocess.Popen(
            command,
            cwd=self.home,
            env=self.environment | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *words: str, timeout: float = 600, **environment: str) -> tuple[int, str]:
        """Run a sweep to its end; return exit code and output."""
        process = self.start(*words, **environment)
        output = process.communicate(timeout=timeout)[0]
        return process.returncode, output

    def records(self, name: str = "s") -> dict[str, dict]:
        """Return ``result.json`` of every run, by the last override that is its own."""
        found = [json.loads(file.read_text()) for file in (self.home / "runs" / name).glob("*/result.json")]
        return {
            " ".join(
                word for word in record["overrides"] if word.startswith(("optimizer.lr=", "seed="))
            ): record
            for record in found
        }

    def weights(self, name: str = "s") -> dict[str, int]:
        """Return the stub's weights of every run."""
        files = (self.home / "runs" / name).glob("*/checkpoints/last.ckpt")
        return {file.parents[1].name: json.loads(file.read_text())["weights"] for file in files}

    def steps(self, name: str = "s") -> Counter[tuple[str, int]]:
        """Return how often each step of each run was made."""
        logs = (self.home / "runs" / name).glob("*/steps.log")
        return Counter(
            (file.parent.name, int(line.split()[0]))
            for file in logs
            for line in file.read_text().splitlines()
        )

    def workers(self, name: str = "s") -> set[str]:
        """Return the processes that have made a step."""
        logs = (self.home / "runs" / name).glob("*/steps.log")
        return {line.split()[1] for file in logs for line in file.read_text().splitlines()}

    def wait_for(self, condition: Callable[[], object], seconds: float = 400, *, ended: bool = False) -> None:
        """Wait until ``condition`` holds; it can't come true after the end of the sweeps unless ``ended``."""
        end = time.monotonic() + seconds
        while not condition():
            over = (
                not ended and all(process.poll() is not None for process in self.started) and not condition()
            )
            assert not over, f"the sweep has ended: {self.started[-1].communicate()[0]}"
            assert time.monotonic() < end, "it did not come to that"
            time.sleep(0.2)

    def pids(self, word: str = "deepmatte.cli.train") -> list[int]:
        """Return the live processes of this folder whose command line has ``word``."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                mine = (process / "cwd").readlink() == self.home and word in (process / "cmdline").read_text()
                alive = (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            except OSError:
                continue
            if mine and alive:
                found.append(int(process.name))
        return sorted(found)

    def jobs(self) -> list[int]:
        """Return the processes of jobs, which have a run directory on their command line."""
        return self.pids("hydra.run.dir=")

    def kill(self, pids: list[int], number: int = signal.SIGKILL) -> int:
        """Send a signal to processes of this folder; return how many were there."""
        hit = 0
        for pid in pids:
            try:
                os.kill(pid, number)
                hit += 1
            except ProcessLookupError:
                continue
        return hit


def sweeps_in(home: Path) -> Sweeps:
    """Return a folder for sweeps of real training."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "WANDB_MODE": "disabled"}
    return Sweeps(home.resolve(), environment)


def with_stub(box: Sweeps) -> Sweeps:
    """Return the folder with the stub in the place of training in every process."""
    site = box.home / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import stub_training\nstub_training.install()\n")
    box.environment["PYTHONPATH"] = os.pathsep.join(
        [str(site), str(Path(__file__).parent / "sweeps"), os.environ.get("PYTHONPATH", "")]
    )
    return box


@pytest.fixture
def sweeps(tmp_path: Path) -> Iterator[Sweeps]:
    """A folder for sweeps of real training; what is still running at the end is ended."""
    box = sweeps_in(tmp_path)
    yield box
    box.kill([process.pid for process in box.started if process.poll() is None])
    box.kill(box.pids())


@pytest.fixture
def stubbed(sweeps: Sweeps) -> Sweeps:
    """As `sweeps`, with the stub in the place of training in every process."""
    return with_stub(sweeps)
