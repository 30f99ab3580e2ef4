"""One job of a sweep: finished already, running elsewhere, or run here in its own process tree."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from deepmatte.errors import InputError, RunError
from deepmatte.files import write_text
from deepmatte.runs.context import SweepContext
from deepmatte.runs.directory import FINISHED, OUTPUT_FILE, PRUNED, RunDir, checked_run_dir
from deepmatte.runs.fingerprint import code_fingerprint, differing, made_with
from deepmatte.runs.identity import config_hash, run_dir
from deepmatte.runs.locks import Lock, acquire, holder
from deepmatte.runs.parent_watch import end_when_idle_without
from deepmatte.sweeps.devices import DeviceLease, demand, launcher_name, lease_devices, processes
from deepmatte.sweeps.launcher import stopped
from deepmatte.sweeps.process import Ended, Stopper, child_command, deadline, run_tree
from deepmatte.sweeps.pruning import Watch, watch
from deepmatte.sweeps.search import Objective, objective
from deepmatte.sweeps.sweep_file import (
    JOB_FILE,
    is_grid,
    is_of_this_sweep,
    label_in,
    read,
    read_note,
    remaining,
)
from deepmatte.sweeps.tasks import Tasks, ungrouped

ONE_AFTER_ANOTHER = ("BasicLauncher", "JoblibLauncher")
"""Hydra's launchers whose processes watch several jobs, so that it pays to import for all of them at once."""


@dataclass(frozen=True)
class Job:
    """A job: its configuration, Hydra's own, and its run."""

    config: DictConfig
    hydra: DictConfig
    run: RunDir

    @property
    def overrides(self) -> list[str]:
        """The overrides that make this job, the sweep's included."""
        return list(self.hydra.overrides.task)

    @property
    def label(self) -> str:
        """The job in a line: its directory, and what distinguishes it from the others."""
        return f"[{self.run.path.name}] {label_in(read(Path(self.hydra.sweep.dir)), self.overrides)}"

    @property
    def folder(self) -> Path:
        """The launcher's folder of this job."""
        return Path(self.hydra.runtime.output_dir)


def run_job(config: DictConfig) -> Objective:
    """Run one job of a multirun unless it is finished, and return its objective; None where it has none.

    The job gets a process of its own because Lightning's DDP launcher starts the other ranks by repeating the
    command line: in the sweep's process, that would repeat the whole sweep. A job that fails raises nothing:
    the sweep continues, and `SweepGuard` sets the exit code.
    """
    job = Job(config, cast(DictConfig, HydraConfig.get()), RunDir(run_dir(config)))
    tasks = Tasks.here(job.folder)
    if tasks.follows:
        tasks.follow(child_command(job.run), job.run.path, stopped)
        return None
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    launcher = SweepContext.read().launcher
    pooled = launcher is not None and os.getppid() == launcher.pid  # a worker of the launcher's pool
    idle = end_when_idle_without(os.getppid()) if pooled else threading.Event()
    idle.clear()
    try:
        return _lead(job, tasks, console)
    except (InputError, SweepStoppedError) as error:
        with suppress(InputError):
            _note(job)
        word = "stopped" if isinstance(error, SweepStoppedError) else "failed"
        if word == "failed":
            _record_refusal(job, error)
        console.print(f"{word:<9} {job.label}: {error}", style="bold red", markup=False)
        return None
    finally:
        with suppress(InputError):
            tasks.decide(start=False)  # whatever happened, the other tasks must not wait any longer
        idle.set()


def _record_refusal(job: Job, error: Exception) -> None:
    """Record the error in the run's directory, if that is its own, for `deepmatte sweep status`."""
    with suppress(InputError):
        run = checked_run_dir(job.run.path, config_hash(job.config))
        if (run.result() or {}).get("status") != FINISHED:
            run.update(
                config_hash=config_hash(job.config),
                overrides=job.overrides,
                status="failed",
                error=str(error),
            )


def _lead(job: Job, tasks: Tasks, console: Console) -> Objective:
    """Skip the job, or lease its devices and run it."""
    _raise_if_stopped()
    run = checked_run_dir(job.run.path, config_hash(job.config))
    _note(job)
    if _is_finished(job, console):
        return objective(job.config, run.result() or {})
    lock = _lock(job, console)
    if lock is None:
        _note(job, skipped=True)
        console.print(
            f"skipped   {job.label}: already running ({holder(run.path) or 'another launcher'})",
            style="yellow",
            markup=False,
        )
        return None
    with lock:
        if _is_finished(job, console):  # meanwhile
            return objective(job.config, run.result() or {})
        watched = watch(job.config, job.hydra, run)
        if watched is not None and _was_pruned(job, console):
            watched.end(PRUNED)
            return None
        with lease_devices(*demand(job.config, job.hydra), waiting=_raise_if_stopped) as lease:
            run.write_config(job.config, job.overrides)
            tasks.decide(start=True)
            return _carry_out(job, lock, lease, tasks, console, watched)


def _is_finished(job: Job, console: Console) -> bool:
    """Return whether the run is finished; under ``force``, only if an equal job of this sweep did it."""
    result = job.run.result()
    if result is None or result["status"] != FINISHED:
        return False
    if job.config.force and not is_of_this_sweep(read(Path(job.hydra.sweep.dir)), job.run.path):
        return False
    own = code_fingerprint(OmegaConf.to_container(job.config, resolve=True))  # type: ignore[arg-type]
    others = list(differing(result.get("fingerprint") or {}, {"code": own}))
    if job.config.reuse != "always" and not is_of_this_sweep(read(Path(job.hydra.sweep.dir)), job.run.path):
        return False  # the job itself sees whether the data are the same
    when = "in this sweep" if job.config.force else f"before{made_with(others)}; force=true retrains it"
    console.print(f"finished  {job.label} ({when})", style="dim", markup=False)
    return True


def _was_pruned(job: Job, console: Console) -> bool:
    """Return whether a trial with the same values was pruned, or this one in an earlier call."""
    old = job.config.force and not is_of_this_sweep(read(Path(job.hydra.sweep.dir)), job.run.path)
    if old or (job.run.result() or {}).get("status") != PRUNED:
        return False
    console.print(f"pruned    {job.label} (before; force=true retrains it)", style="dim", markup=False)
    return True


def _lock(job: Job, console: Console) -> Lock | None:
    """Take the lock of the run; None where the job is skipped, because another launcher of the grid runs it.

    A search waits, for it needs the score. So does a grid if the process that took the lock is gone: its
    children still hold it, and are about to end.
    """
    grid = is_grid(job.hydra)
    lock, announced = acquire(job.run.path), False
    while lock is None:
        who = holder(job.run.path)
        if grid and who is not None and not who.is_gone:
            return None
        if not announced:
            console.print(f"waiting   {job.label}: for {who or 'its lock'}", style="yellow", markup=False)
            announced = True
        _raise_if_stopped()
        time.sleep(1.0)
        lock = acquire(job.run.path)
    return lock


class SweepStoppedError(RunError):
    """The sweep ended before this job began."""


def _raise_if_stopped() -> None:
    if stop := stopped():
        raise SweepStoppedError(stop.error)


def _carry_out(
    job: Job, lock: Lock, lease: DeviceLease, tasks: Tasks, console: Console, watched: Watch | None = None
) -> Objective:
    """Run the job's process tree to its end, and report the outcome."""
    console.print(f"start     {job.label}{lease}", markup=False)
    start, cost_before = time.monotonic(), _cost_seconds(job.run.result())
    ended = start_tree(
        job.run,
        lock,
        lease.environment(processes(job.config)),
        inherited=[device.fileno() for device in lease.locks],
        show=lambda line: console.print(f"          [{job.run.path.name}] {line}", style="dim", markup=False),
        stops=[
            stopped,
            deadline(job.config.sweep.time_limit),
            tasks.failed_elsewhere,
            *filter(None, [watched]),
        ],
        fork=job.config.sweep.fork and tasks.size == 1 and launcher_name(job.hydra) in ONE_AFTER_ANOTHER,
    )
    tasks.end()
    result = settle(job.run, ended, config_hash=config_hash(job.config), overrides=job.overrides)
    if watched is not None:
        watched.end(result["status"])
    if result["status"] == FINISHED:
        seconds = time.monotonic() - start
        _note(job, start_up=max(0.0, round(seconds - _cost_seconds(result) + cost_before, 1)))
        console.print(
            f"finished  {job.label} in {seconds:.0f} s{remaining(job.hydra)}", style="green", markup=False
        )
        return objective(job.config, result)
    reason = str(result.get("error")).removesuffix(f"; see {OUTPUT_FILE}")
    console.print(
        f"{result['status']:<9} {job.label}: {reason} (see {job.run.path / OUTPUT_FILE})",
        style="yellow" if result["status"] == PRUNED else "bold red",
        markup=False,
    )
    return None


def _cost_seconds(result: dict[str, Any] | None) -> float:
    """Return the seconds that a run has cost in all its starts."""
    return float(((result or {}).get("cost") or {}).get("seconds", 0.0))


def start_tree(
    run: RunDir,
    lock: Lock,
    environment: dict[str, str],
    *,
    inherited: Sequence[int] = (),
    show: Callable[[str], None] = print,
    stops: Sequence[Stopper] = (),
    fork: bool = False,
) -> Ended:
    """Run the configuration in ``run``; its processes also hold ``lock``, in case this one is killed."""
    own = SweepContext.read().but(run=str(run.path.resolve()), parent=os.getpid()).environment()
    before = run.written()
    ended = run_tree(
        child_command(run),
        run.path / OUTPUT_FILE,
        ungrouped(os.environ) | environment | own,
        inherited=[lock.fileno(), *inherited],
        show=lambda line: show(line) if line.startswith("epoch ") else None,
        stop=lambda: next((stop for asked in stops if (stop := asked()) is not None), None),
        fork=fork,
    )
    return replace(ended, wrote=run.written() != before)


def settle(run: RunDir, ended: Ended, **identity: Any) -> dict[str, Any]:
    """Record in ``result.json`` how the run ended, where the run could not do so itself, and return it."""
    result = run.result() or {}
    status, stop = result.get("status"), ended.stopped
    if ended.code == 0 and status == FINISHED:
        return result
    if stop is not None and not status == stop.status == "failed":  # a rank's own error says more
        return run.update(**identity, status=stop.status, error=stop.error)
    if status in (None, "running", FINISHED) or not ended.wrote:
        return run.update(**identity, status="failed", error=ended.reason())
    own = str(result.get("error"))
    return result if ended.cause_of(own) == own else run.update(error=ended.cause_of(own))


def _note(job: Job, *, skipped: bool = False, start_up: float | None = None) -> None:
    """Write `JOB_FILE`, which the end of the sweep and the estimate of the time left read.

    A start-up time that the job of an earlier call measured is kept.
    """
    if start_up is None:
        start_up = read_note(job.folder).get("start_up")
    fields = {"run": str(job.run.path), "skipped": skipped, "start_up": start_up}
    write_text(job.folder / JOB_FILE, json.dumps(fields) + "\n")
