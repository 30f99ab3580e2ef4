"""One job of a sweep: found done, left to somebody else, or run in a process tree of its own."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from deepmatte.errors import InputError, RunError
from deepmatte.files import write_text
from deepmatte.runs.directory import FINISHED, OUTPUT_FILE, RunDir, checked_run_dir
from deepmatte.runs.identity import config_hash, run_dir
from deepmatte.runs.locks import INHERITED, Lock, acquire, holder
from deepmatte.runs.parent_watch import PARENT, end_when_idle_without
from deepmatte.sweeps.devices import DeviceLease, demand, launcher_name, lease_devices, processes
from deepmatte.sweeps.launch import launcher, stopped
from deepmatte.sweeps.plan import is_grid, is_of_this_sweep, label_in, read, remaining
from deepmatte.sweeps.process import Ended, Stopper, child_command, deadline, run_tree
from deepmatte.sweeps.tasks import Tasks, ungrouped

JOB_FILE = "job.json"
"""In the launcher's folder of a job: the run that it stands for, and whether it was left to another launcher."""

Objective = float | tuple[float, ...] | None
"""What a job returns to the sweeper."""


@dataclass(frozen=True)
class Job:
    """A job: its run, the overrides that make it, and how it may be carried out."""

    config: DictConfig
    hydra: DictConfig
    run: RunDir

    @property
    def overrides(self) -> list[str]:
        """The overrides of this job, the sweep's included."""
        return list(self.hydra.overrides.task)

    @property
    def label(self) -> str:
        """The job in a line: directory and what sets it apart."""
        return f"[{self.run.path.name}] {label_in(read(Path(self.hydra.sweep.dir)), self.overrides)}"

    @property
    def folder(self) -> Path:
        """The launcher's folder of this job."""
        return Path(self.hydra.runtime.output_dir)


def run_job(config: DictConfig) -> Objective:
    """Run one job of a multirun unless it is finished already, and return its objective; None where it has none.

    Lightning's DDP launcher starts the other ranks by repeating the command line; in the sweep's own process
    that would repeat the whole sweep. Never raises for a job that fails: the sweep goes on, and `SweepGuard`
    sets the exit code.
    """
    job = Job(config, HydraConfig.get(), RunDir(run_dir(config)))
    tasks = Tasks.here(job.folder)
    if tasks.follows:
        tasks.follow(child_command(job.run), job.run.path, stopped)
        return None
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    _, parent, _ = launcher()
    idle = end_when_idle_without(parent) if os.getppid() == parent else threading.Event()
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
            tasks.decide(start=False)  # whatever happened, nobody waits any longer
        idle.set()


def _record_refusal(job: Job, error: Exception) -> None:
    """Leave word in the run's directory, if it is its own, for those who watch the sweep from elsewhere."""
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
    """Decide what becomes of the job, and do it."""
    _raise_if_stopped()
    run = checked_run_dir(job.run.path, config_hash(job.config))
    _note(job)
    if _is_finished(job, console):
        return objective(job.config, run.result() or {})
    lock = _lock(job, console)
    if lock is None:
        _note(job, left=True)
        console.print(
            f"left      {job.label}: {holder(run.path) or 'another launcher'} works on it",
            style="yellow",
            markup=False,
        )
        return None
    with lock:
        if _is_finished(job, console):  # meanwhile
            return objective(job.config, run.result() or {})
        kind, ids, count = demand(job.config, job.hydra)
        with lease_devices(kind, ids, count, waiting=_raise_if_stopped) as hand:
            run.write_config(job.config, job.overrides)
            tasks.decide(start=True)
            return _carry_out(job, lock, hand, tasks, console)


def _is_finished(job: Job, console: Console) -> bool:
    """Say whether there is nothing to do; under ``force`` only where a job that is the same run has done it meanwhile."""
    result = job.run.result()
    if result is None or result["status"] != FINISHED:
        return False
    if job.config.force and not is_of_this_sweep(read(Path(job.hydra.sweep.dir)), job.run.path):
        return False
    when = "in this sweep" if job.config.force else "before; force=true runs it anew"
    console.print(f"finished  {job.label} ({when})", style="dim", markup=False)
    return True


def _lock(job: Job, console: Console) -> Lock | None:
    """Take the lock of the run. A grid leaves to others what they work on; a search has to wait for the score.

    A holder that is gone has left processes that are about to end: they are waited for.
    """
    grid = is_grid(job.hydra)
    lock, told = acquire(job.run.path), False
    while lock is None:
        who = holder(job.run.path)
        if grid and who is not None and not who.is_gone:
            return None
        if not told:
            console.print(f"waiting   {job.label}: for {who or 'its lock'}", style="yellow", markup=False)
            told = True
        _raise_if_stopped()
        time.sleep(1.0)
        lock = acquire(job.run.path)
    return lock


class SweepStoppedError(RunError):
    """The sweep has ended before this job began."""


def _raise_if_stopped() -> None:
    if stop := stopped():
        raise SweepStoppedError(stop.error)


def _carry_out(job: Job, lock: Lock, hand: DeviceLease, tasks: Tasks, console: Console) -> Objective:
    """Start the job's process tree, wait for its end, and say how it went."""
    console.print(f"start     {job.label}{hand}", markup=False)
    start = time.monotonic()
    ended = start_tree(
        job.run,
        lock,
        hand.environment(processes(job.config)),
        inherited=[device.fileno() for device in hand.locks],
        show=lambda line: console.print(f"          [{job.run.path.name}] {line}", style="dim", markup=False),
        stops=(stopped, deadline(job.config.sweep.time_limit), tasks.failed_elsewhere),
    )
    tasks.end()
    result = settle(job.run, ended, config_hash=config_hash(job.config), overrides=job.overrides)
    if result["status"] == FINISHED:
        left = remaining(job.hydra)
        console.print(
            f"finished  {job.label} in {time.monotonic() - start:.0f} s{left}", style="green", markup=False
        )
        return objective(job.config, result)
    reason = str(result.get("error")).removesuffix(f"; see {OUTPUT_FILE}")
    console.print(
        f"{result['status']:<9} {job.label}: {reason} (see {job.run.path / OUTPUT_FILE})",
        style="bold red",
        markup=False,
    )
    return None


def start_tree(
    run: RunDir,
    lock: Lock,
    environment: dict[str, str],
    *,
    inherited: Sequence[int] = (),
    show: Callable[[str], None] = print,
    stops: Sequence[Stopper] = (),
) -> Ended:
    """Run the configuration that stands in ``run``; its processes hold ``lock``, too, should this one be killed."""
    own = {INHERITED: str(run.path.resolve()), PARENT: str(os.getpid())}
    before = run.written()
    ended = run_tree(
        child_command(run),
        run.path / OUTPUT_FILE,
        ungrouped(os.environ) | environment | own,
        inherited=[lock.fileno(), *inherited],
        show=lambda line: show(line) if line.startswith("epoch ") else None,
        stop=lambda: next((stop for asked in stops if (stop := asked()) is not None), None),
    )
    return replace(ended, wrote=run.written() != before)


def settle(run: RunDir, ended: Ended, **identity: Any) -> dict[str, Any]:
    """Make ``result.json`` say how the run ended, where the run could not do it itself, and return it."""
    result = run.result() or {}
    status, stop = result.get("status"), ended.stopped
    if ended.code == 0 and status == FINISHED:
        return result
    if (
        stop is not None and not status == stop.status == "failed"
    ):  # a rank's own word about its failure says more
        return run.update(**identity, status=stop.status, error=stop.error)
    if status in (None, "running", FINISHED) or not ended.wrote:
        return run.update(**identity, status="failed", error=ended.reason())
    own = str(result.get("error"))
    return result if ended.cause_of(own) == own else run.update(error=ended.cause_of(own))


def objective(config: DictConfig, result: dict[str, Any]) -> Objective:
    """Return what a searching sweeper minimises: a score, several, or costs; None where the run does not have one of them."""
    known = dict(result.get("scores", {})) | {
        f"cost/{key}": value for key, value in result.get("cost", {}).items()
    }
    names = list(config.sweep.objectives or [config.objective])
    values = [known.get(name, math.nan) for name in names]
    absent = [name for name, value in zip(names, values, strict=True) if not math.isfinite(value)]
    if absent:
        Console(stderr=True).print(
            f"objective {', '.join(absent)}: the run has only {', '.join(known)}", style="red", markup=False
        )
        return None
    return tuple(float(value) for value in values) if len(values) > 1 else float(values[0])


def _note(job: Job, left: bool = False) -> None:
    """Leave word in the launcher's folder of what became of the job, for the end of the sweep."""
    write_text(
        job.folder / JOB_FILE,
        json.dumps({"run": str(job.run.path), "left": left, "launcher": launcher_name(job.hydra)}) + "\n",
    )
