"""Sweeps that are killed at random instants: processes are real, training is a stub."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from campaigns.campaign import Tally
from campaigns.killed_runs import SIGNALS, FaultError, check_clean

LAUNCHERS = {"sweep": (), "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")}


class SweepsOfStubs:
    """Sweeps of three jobs whose processes are real and whose training is a stub."""

    def __init__(self, home: Path, mode: str) -> None:
        from sweeping import sweeps_in, with_stub

        self.home, self.mode = home, mode
        home.mkdir(parents=True)
        self.box = with_stub(sweeps_in(home))
        self.box.environment |= {"STUB_STEPS": "6", "STUB_PAUSE": "0.15"}
        self.words = ("seed=0,1,2", "optimizer.lr=1e-3", *LAUNCHERS[mode])

    def attack(self, rng: random.Random, tally: Tally, most: int) -> None:
        """Kill the launcher, a job or all of them at random times; each step has to be made once."""
        from stub_training import weights_after

        shutil.rmtree(self.box.home / "runs", ignore_errors=True)
        for _ in range(rng.randint(1, most)):
            process = self.box.start(*self.words)
            # From the launcher's imports on; most of the time goes by while jobs run.
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=rng.uniform(0.5, 1.0) ** 2 * self._usual())
            pids = rng.choice((self.box.jobs, self.box.pids, lambda p=process: [p.pid]))()
            number = signal.Signals[rng.choice(SIGNALS)]
            if not pids:
                continue
            hit = self.box.kill([rng.choice(pids)] if rng.random() < 0.5 else pids, number)
            tally.tried[self.mode] += hit
            tally.ended[number.name] += hit
            self._end(process)
        begun = time.monotonic()
        code, output = self.box.run(*self.words, timeout=1200)
        self.usual = time.monotonic() - begun
        if code != 0:
            raise FaultError(f"the sweep ends with {code}: {output[-2000:]}")
        weights = self.box.weights()
        expected = sorted(weights_after(6, seed, 1e-3) for seed in (0, 1, 2))
        if sorted(weights.values()) != expected:
            raise FaultError(f"other weights: {weights}")
        if twice := [step for step, count in self.box.steps().items() if count > 1]:
            raise FaultError(f"steps were made twice: {twice}")
        states = {record["status"] for record in self.box.records().values()}
        if states != {"finished"}:
            raise FaultError(f"states {states}")
        check_clean(self.box.home / "runs")

    def _usual(self) -> float:
        """Return how long an undisturbed sweep takes, from the one before."""
        if not hasattr(self, "usual"):
            begun = time.monotonic()
            self.box.run(*self.words, timeout=1200)
            self.usual = time.monotonic() - begun
            shutil.rmtree(self.box.home / "runs", ignore_errors=True)
        return self.usual

    def _end(self, process: subprocess.Popen[str]) -> None:
        """Wait for the end of the sweep; one whose launcher lives goes on without the killed job."""
        try:
            process.communicate(timeout=1200)
        except subprocess.TimeoutExpired:
            raise FaultError("the sweep hangs") from None
        end = time.monotonic() + 60
        while (left := self.box.pids()) and time.monotonic() < end:
            time.sleep(0.2)
        if left:
            raise FaultError(f"processes outlive the sweep: {left}")
