"""The two ends of a sweep: checks and an estimate before the first job, costs and ranking after the last."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from deepmatte.errors import InputError
from deepmatte.runs.directory import FINISHED, PRUNED, RunDir
from deepmatte.runs.locks import Lock, acquire, holder
from deepmatte.sweeps import preflight, search, sweep_file
from deepmatte.sweeps.devices import CLUSTER, launcher_name
from deepmatte.sweeps.jobs import settle, start_tree
from deepmatte.sweeps.launcher import announce, withdraw
from deepmatte.sweeps.process import Stopper, deadline
from deepmatte.sweeps.status import STYLES, read_sweep, sweep_costs
from deepmatte.sweeps.strategies import check_strategies
from deepmatte.sweeps.sweep_file import JOB_FILE, is_grid, result_or_nothing

ELSEWHERE = ("LocalLauncher", "SlurmLauncher")
"""Launchers whose jobs print to files, not to this terminal."""


class Reporter(threading.Thread):
    """Reports changes of state on the launcher's terminal, for jobs that print to files."""

    def __init__(self, directory: Path, console: Console, seconds: float = 2.0) -> None:
        super().__init__(daemon=True)
        self.directory, self.console, self.seconds = directory, console, seconds
        self.known = {job.run: job.state for job in read_sweep(directory).jobs}
        self.is_over = threading.Event()

    def run(self) -> None:
        """Report changes every few seconds until the sweep is over."""
        while not self.is_over.wait(self.seconds):
            self._report()

    def finish(self) -> None:
        """Report once more, and end."""
        self.is_over.set()
        self.join()
        self._report()

    def _report(self) -> None:
        for job in read_sweep(self.directory).jobs:
            if self.known.get(job.run) != job.state and job.state != "waiting":
                end = f": {job.error}" if job.error else ""
                if job.state == FINISHED:
                    end = f"; {sweep_file.estimate(self.directory)}"
                line = f"{job.state:<9} [{Path(job.run).name}] {job.label}{end}"
                self.console.print(line, style=STYLES.get(job.state, "bold red"), markup=False)
            self.known[job.run] = job.state


class SweepGuard(Callback):
    """Hydra's callback around a multirun.

    It exits with 2 for a sweep that can't work, and with 1 where a run failed.
    """

    active: ClassVar[tuple[SweepGuard, DictConfig] | None] = None
    """The guard of this process's sweep, and the sweep's configuration, while its jobs run."""

    def __init__(self) -> None:
        self.earlier: dict[Path, tuple[int, int]] = {}
        self.search_lock: Lock | None = None
        self.reporter: Reporter | None = None
        self.given_up = False

    def __getstate__(self) -> dict[str, Any]:
        """Leave out lock and thread, since some launchers send the callbacks to other processes."""
        return self.__dict__ | {"search_lock": None, "reporter": None}

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the whole sweep, write ``sweep.json``, and print the estimate."""
        with _defects_end_the_program():
            self._begin(config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Run what other launchers left unfinished, print costs and ranking; exit with 1 if a run failed."""
        with _defects_end_the_program():
            self._close(config)

    def _begin(self, config: DictConfig) -> None:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        directory = Path(config.hydra.sweep.dir)
        self.earlier = _notes(directory)
        try:
            jobs = preflight.compose_jobs(config)
            if not is_grid(config.hydra):
                search.check_objectives(config)
                check_strategies(config)
            preflight.record(config, jobs)
            if not is_grid(config.hydra):
                self.search_lock = search.open_search(config)
        except (InputError, OSError) as error:
            reason = str(error)
            if isinstance(error, OSError):
                reason = f"{directory}: {error.strerror}; choose another output_root="
            console.print(f"deepmatte: {reason}", style="bold red", markup=False)
            sys.exit(2)
        name = launcher_name(config.hydra)
        announce(directory, wait=name == "JoblibLauncher", local=name == "LocalLauncher")
        for line in preflight.duplicates(jobs):
            console.print(f"note      {line}", style="yellow", markup=False)
        outlook = sweep_file.estimate(directory) if is_grid(config.hydra) else search.outlook(config)
        console.print(
            f"sweep     {directory}: {outlook}; watch it with `deepmatte sweep status {directory}`",
            markup=False,
        )
        if is_grid(config.hydra) and (design := _design(config, jobs)):
            style = "yellow" if design.startswith("Warning") else None
            console.print(f"design    {design}", style=style, markup=False)
        if name in ELSEWHERE and is_grid(config.hydra):
            self.reporter = Reporter(directory, console)
            self.reporter.start()
        SweepGuard.active = self, config

    def _close(self, config: DictConfig) -> None:
        SweepGuard.active = None
        if self.search_lock is not None:
            self.search_lock.release()
        if self.reporter is not None:
            self.reporter.finish()
        withdraw()
        runs = self._runs(config)
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        for line in [] if is_grid(config.hydra) else search.best(config):
            console.print(f"best      {line}", markup=False)
        if not runs:
            return
        for run in [run for run, skipped in runs.items() if skipped]:
            _wait_or_run(RunDir(run), config, console)
        ended = (FINISHED, PRUNED)
        failed = [run for run in runs if result_or_nothing(run).get("status") not in ended]
        if len(failed) < len(runs):
            print_verdict(list(runs), config.get("study") or {})
        console.print(f"cost      {sweep_costs(Path(config.hydra.sweep.dir), list(runs))}", markup=False)
        if failed:
            retried = "the same command runs only those again"
            hint = retried if is_grid(config.hydra) else "they count as trials of the search"
            console.print(f"{len(failed)} of {len(runs)} runs failed; {hint}", style="bold red", markup=False)
            if not (is_grid(config.hydra) or search.has_best(config) or self.given_up):
                console.print(f"deepmatte: {_fruitless(config)}", markup=False)
            sys.exit(1)

    def _runs(self, config: DictConfig) -> dict[Path, bool]:
        """Return the runs of this sweep, and whether they were skipped; older job folders don't count."""
        runs: dict[Path, bool] = {}
        for file, state in sorted(_notes(Path(config.hydra.sweep.dir)).items()):
            if self.earlier.get(file) != state:
                note = json.loads(file.read_text(encoding="utf-8"))
                runs[Path(note["run"])] = runs.get(Path(note["run"]), False) or note["skipped"]
        return runs


def _notes(directory: Path) -> dict[Path, tuple[int, int]]:
    """Return the jobs' notes and which writing of each is there: clocks may jump during a sweep."""
    states = {file: file.stat() for file in directory.rglob(JOB_FILE)}
    return {file: (state.st_ino, state.st_mtime_ns) for file, state in states.items()}


@contextmanager
def _defects_end_the_program() -> Iterator[None]:
    """Exit with 1 on any exception; Hydra would turn it into a warning and exit with 0."""
    try:
        yield
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def given_up(error: Exception) -> str | None:
    """Close a sweep that its sweeper or launcher gave up, and return why in a line.

    Failed jobs do not get here: Optuna's sweeper for Hydra 1.3 fails if no trial has finished, submitit if
    a job was cancelled, joblib if a worker was killed. Returns None where ``error`` is a defect, which needs
    its traceback.
    """
    library, text = type(error).__module__.partition(".")[0], " ".join(str(error).split())
    if SweepGuard.active is None:
        return None
    guard, config = SweepGuard.active
    if library == "submitit":
        reason = (
            f"the queue lost a job ({text[:200]} ...); the others continue there; "
            "the same command waits for them and runs the rest"
        )
    elif library == "joblib":
        reason = f"joblib lost a worker ({text[:200]} ...); the same command resumes the sweep"
    elif not is_grid(config.hydra) and not search.has_best(config):
        reason = _fruitless(config)
    else:
        return None
    guard.given_up = True
    with suppress(SystemExit):
        guard.on_multirun_end(config)
    return reason


def _fruitless(config: DictConfig) -> str:
    status = f"deepmatte sweep status {config.hydra.sweep.dir}"
    return f"no trial of the search has finished; `{status}` shows why they failed"


def _wait_or_run(run: RunDir, config: DictConfig, console: Console) -> None:
    """Wait until another launcher's run ends; run it here if that launcher was killed or interrupted."""
    while (who := holder(run.path)) is not None:
        console.print(f"waiting   [{run.path.name}] for {who}", style="yellow", markup=False)
        while holder(run.path) is not None:
            time.sleep(1.0)
    if (
        result_or_nothing(run.path).get("status") in (None, "running", "interrupted")
        and launcher_name(config.hydra) not in CLUSTER
    ):
        try:
            repeat(run, console, deadline(config.sweep.time_limit))
        except InputError as error:
            console.print(f"failed    [{run.path.name}] {error}", style="bold red", markup=False)


def repeat(run: RunDir, console: Console, *stops: Stopper) -> dict[str, Any]:
    """Run ``run`` again, from its last checkpoint if there is one, and return its result.

    Raises:
        InputError: it is not a run directory, or another process is working on it.
    """
    mode, uri = os.environ.get("WANDB_MODE", "offline"), os.environ.get("MLFLOW_TRACKING_URI")
    config = run.resumed(mode, tracking_uri=uri)
    lock = acquire(run.path)
    if lock is None:
        raise InputError(
            f"{run.path}: {holder(run.path) or 'another process'} is working on this run; "
            "wait until it ends, or stop it"
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


def _design(config: DictConfig, jobs: Sequence[preflight.ComposedJob]) -> str:
    from deepmatte.compare.inference.planning import design_of_jobs

    foregrounds = OmegaConf.select(config, "data.source.num_test")
    return design_of_jobs([job.overrides for job in jobs], foregrounds)


def print_verdict(runs: Sequence[Path], study: Mapping[str, Any]) -> None:
    """Print the comparison of a sweep, by its experiment's metric and reference where it has them."""
    from deepmatte.compare.comparison import compare
    from deepmatte.compare.table import print_comparison

    keys = ("metric", "screening", "equal_within")
    ways: dict[str, Any] = {key: study[key] for key in keys if study.get(key) is not None}
    try:
        try:
            found = compare(runs, baseline=study.get("reference"), **ways)
        except InputError:  # the reference may not be among the settings of this part
            found = compare(runs, **ways)
        print_comparison(found, Console())
    except InputError as error:
        Console(stderr=True).print(f"no comparison: {error}", style="yellow", markup=False)
