"""The two ends of a sweep: checks and an estimate before its first job, what others left, costs and the ranking after its last."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console

from deepmatte.errors import InputError
from deepmatte.runs.directory import FINISHED, RunDir
from deepmatte.runs.locks import Lock, acquire, holder
from deepmatte.sweeps import plan, search
from deepmatte.sweeps.devices import CLUSTER, launcher_name
from deepmatte.sweeps.jobs import JOB_FILE, settle, start_tree
from deepmatte.sweeps.launch import announce, withdraw
from deepmatte.sweeps.process import Stopper, deadline
from deepmatte.sweeps.status import STYLES, read_sweep, sweep_costs

ELSEWHERE = ("LocalLauncher", "SlurmLauncher")
"""Launchers whose jobs write to files of their own."""


class Reporter(threading.Thread):
    """Says on the launcher's terminal what happens to jobs whose own output goes to files elsewhere."""

    def __init__(self, directory: Path, console: Console, seconds: float = 2.0) -> None:
        super().__init__(daemon=True)
        self.directory, self.console, self.seconds = directory, console, seconds
        self.known = {job.run: job.state for job in read_sweep(directory).jobs}
        self.over = threading.Event()

    def run(self) -> None:
        """Look every few seconds until the sweep is over."""
        while not self.over.wait(self.seconds):
            self._look()

    def finish(self) -> None:
        """Look once more, and end."""
        self.over.set()
        self.join()
        self._look()

    def _look(self) -> None:
        for job in read_sweep(self.directory).jobs:
            if self.known.get(job.run) != job.state and job.state != "waiting":
                end = (
                    f"; {plan.estimate(self.directory)}"
                    if job.state == FINISHED
                    else f": {job.error}"
                    if job.error
                    else ""
                )
                line = f"{job.state:<9} [{Path(job.run).name}] {job.label}{end}"
                self.console.print(line, style=STYLES.get(job.state, "bold red"), markup=False)
            self.known[job.run] = job.state


class SweepGuard(Callback):
    """Hydra's callback around a multirun. It ends the program with 2 for a sweep that can't work, with 1 where a run failed."""

    active: ClassVar[tuple[SweepGuard, DictConfig] | None] = None
    """The guard of this process's sweep and the sweep's configuration, from the start to the end of the jobs."""

    def __init__(self) -> None:
        self.start = time.time()
        self.study: Lock | None = None
        self.reporter: Reporter | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave lock and thread at home where a launcher sends the callbacks to other processes."""
        return self.__dict__ | {"study": None, "reporter": None}

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the whole sweep, write ``sweep.json``, and say what is to come."""
        with _defects_end_the_program():
            self._begin(config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Take up what others left undone, print costs and ranking, and leave with 1 if a run is not finished."""
        with _defects_end_the_program():
            self._close(config)

    def _begin(self, config: DictConfig) -> None:
        self.start = time.time()
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        directory = Path(config.hydra.sweep.dir)
        try:
            jobs = plan.plan(config)
            if not plan.is_grid(config.hydra):
                search.check_objectives(config)
            plan.record(config, jobs)
            if not plan.is_grid(config.hydra):
                self.study = search.open_study(config)
        except (InputError, OSError) as error:
            unwritable = (
                f"{directory}: {error.strerror}; choose another output_root="
                if isinstance(error, OSError)
                else None
            )
            console.print(f"deepmatte: {unwritable or error}", style="bold red", markup=False)
            sys.exit(2)
        name = launcher_name(config.hydra)
        announce(directory, wait=name == "JoblibLauncher", local=name == "LocalLauncher")
        for line in plan.duplicates(jobs):
            console.print(f"note      {line}", style="yellow", markup=False)
        outlook = plan.estimate(directory) if plan.is_grid(config.hydra) else search.outlook(config)
        console.print(
            f"sweep     {directory}: {outlook}; watch it with `deepmatte sweep status {directory}`",
            markup=False,
        )
        if name in ELSEWHERE and plan.is_grid(config.hydra):
            self.reporter = Reporter(directory, console)
            self.reporter.start()
        SweepGuard.active = self, config

    def _close(self, config: DictConfig) -> None:
        SweepGuard.active = None
        if self.study is not None:
            self.study.release()
        if self.reporter is not None:
            self.reporter.finish()
        withdraw()
        runs = self._runs(config)
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        for line in [] if plan.is_grid(config.hydra) else search.best(config):
            console.print(f"best      {line}", markup=False)
        if not runs:
            return
        for run in [run for run, left in runs.items() if left]:
            _take_up(RunDir(run), config, console)
        failed = [run for run in runs if plan.result_or_nothing(run).get("status") != FINISHED]
        if len(failed) < len(runs):
            _print_comparison(list(runs))
        console.print(f"cost      {sweep_costs(Path(config.hydra.sweep.dir), list(runs))}", markup=False)
        if failed:
            again = (
                "the same command runs only them again"
                if plan.is_grid(config.hydra)
                else "they count as trials of the search"
            )
            console.print(
                f"{len(failed)} of {len(runs)} runs failed; {again}", style="bold red", markup=False
            )
            sys.exit(1)

    def _runs(self, config: DictConfig) -> dict[Path, bool]:
        """Return the runs of this sweep and whether they were left to others; older job folders are of earlier sweeps."""
        runs: dict[Path, bool] = {}
        for file in sorted(Path(config.hydra.sweep.dir).rglob(JOB_FILE), key=os.fspath):
            if file.stat().st_mtime >= self.start - 1:
                note = json.loads(file.read_text(encoding="utf-8"))
                runs[Path(note["run"])] = runs.get(Path(note["run"]), False) or note["left"]
        return runs


@contextmanager
def _defects_end_the_program() -> Iterator[None]:
    """Hydra turns what a callback raises into a warning, goes on, and ends with 0: an unguarded sweep, or one without an end."""
    try:
        yield
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def given_up(error: Exception) -> str | None:
    """Close the sweep that its sweeper or launcher gave up, and say why in a line; None where ``error`` is a defect to be traced.

    A job that fails is no reason for them to. Optuna asks for the best trial where none has finished;
    submitit misses the result of a job that was cancelled, joblib a worker that was killed.
    """
    library, text = type(error).__module__.partition(".")[0], " ".join(str(error).split())
    if SweepGuard.active is None:
        return None
    guard, config = SweepGuard.active
    if library == "submitit":
        reason = f"the queue lost a job ({text[:200]} ...); the others go on there; the same command waits for them and runs the rest"
    elif library == "joblib":
        reason = f"joblib lost a worker ({text[:200]} ...); the same command goes on"
    elif not plan.is_grid(config.hydra) and not search.has_best(config):
        reason = f"no trial of the search has finished; `deepmatte sweep status {config.hydra.sweep.dir}` says why they failed"
    else:
        return None
    with suppress(SystemExit):
        guard.on_multirun_end(config)
    return reason


def _take_up(run: RunDir, config: DictConfig, console: Console) -> None:
    """Wait for the end of a run that another launcher works on; run it here if that one was broken off."""
    while (who := holder(run.path)) is not None:
        console.print(f"waiting   [{run.path.name}] for {who}", style="yellow", markup=False)
        while holder(run.path) is not None:
            time.sleep(1.0)
    if (
        plan.result_or_nothing(run.path).get("status") in (None, "running", "interrupted")
        and launcher_name(config.hydra) not in CLUSTER
    ):
        try:
            repeat(run, console, deadline(config.sweep.time_limit))
        except InputError as error:
            console.print(f"failed    [{run.path.name}] {error}", style="bold red", markup=False)


def repeat(run: RunDir, console: Console, *stops: Stopper) -> dict[str, Any]:
    """Run the configuration that stands in ``run`` again, from its last checkpoint if there is one, and return its result.

    Raises:
        InputError: it is no run directory, or another process works on it.
    """
    config = run.resumed(os.environ.get("WANDB_MODE", "offline"))
    lock = acquire(run.path)
    if lock is None:
        raise InputError(
            f"{run.path}: {holder(run.path) or 'another process'} is working on this run; wait for its end, or stop it"
        )
    with lock:
        before = run.result() or {}
        if before.get("status") == FINISHED:
            return before
        run.write_config(config, run.overrides())
        console.print(f"start     [{run.path.name}]", markup=False)
        show = lambda line: console.print(f"          [{run.path.name}] {line}", style="dim", markup=False)  # noqa: E731
        result = settle(run, start_tree(run, lock, {}, show=show, stops=stops))
    style = "green" if result["status"] == FINISHED else "bold red"
    console.print(
        f"{result['status']:<9} [{run.path.name}] {result.get('error') or ''}", style=style, markup=False
    )
    return result


def _print_comparison(runs: Sequence[Path]) -> None:
    from deepmatte.compare.comparison import compare
    from deepmatte.compare.table import print_comparison

    try:
        print_comparison(compare([str(run) for run in runs]), Console())
    except InputError as error:
        Console(stderr=True).print(f"no comparison: {error}", style="yellow", markup=False)
