"""A sweep seen from outside: what is finished, running, failed, and what it has cost. Reads files only."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from deepmatte.errors import InputError
from deepmatte.runs.directory import FINISHED, OUTPUT_FILE, RESULT_FILE, RunDir, last_line
from deepmatte.runs.locks import LOCK_FILE, Holder, holder
from deepmatte.sweeps import plan, search

STYLES = {
    "finished": "green",
    "running": "cyan",
    "waiting": "dim",
    "broken off": "yellow",
    "interrupted": "yellow",
}
"""Colours of the states; every other one is red. ``broken off``: it was killed; ``waiting``: it has not begun."""


@dataclass(frozen=True)
class JobState:
    """One job: its directory, what sets it apart, its state, the finished share (0 to 1), and what it costs and scores so far."""

    run: str
    label: str
    state: str
    progress: float | None = None
    seconds_left: float | None = None
    cost: dict[str, float] = field(default_factory=dict)
    score: float | None = None
    error: str | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it ended, and not well."""
        return self.state not in ("finished", "running", "waiting")


@dataclass(frozen=True)
class SweepState:
    """All jobs of a sweep directory, and what ``sweep.json`` says about it."""

    directory: Path
    sweep: dict[str, Any]
    jobs: list[JobState]

    @property
    def counts(self) -> Counter[str]:
        """How many jobs are in which state."""
        return Counter(job.state for job in self.jobs)

    @property
    def is_over(self) -> bool:
        """Whether nothing is running that a reader could wait for, nor a launcher of this machine about to start more."""
        launcher = Holder(**self.sweep["process"]) if "process" in self.sweep else None
        starts_more = launcher is not None and launcher.host == socket.gethostname() and not launcher.is_gone
        return not self.counts["running"] and (self.is_complete or not starts_more)

    @property
    def is_complete(self) -> bool:
        """Whether no job of a grid, or no trial of a search, is left to be run."""
        trials = self.sweep.get("num_trials")
        return (
            self.counts["finished"] == len(self.jobs)
            if trials is None
            else search.trials_done(self.directory) >= trials
        )

    def as_record(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            "directory": str(self.directory),
            **self.sweep,
            "counts": dict(self.counts),
            "jobs": [asdict(job) for job in self.jobs],
        }


def read_sweep(directory: Path) -> SweepState:
    """Read a sweep directory: the planned jobs in their order, then other runs that lie there."""
    if not directory.is_dir():
        raise InputError(
            f"{directory}: no such directory; give the directory of a sweep, such as runs/loss_combinations"
        )
    sweep = plan.read(directory)
    planned = {directory / job["run"]: job["overrides"] for job in sweep.get("jobs", [])}
    found = sorted(
        child
        for child in directory.iterdir()
        if (child / RESULT_FILE).exists() or (child / LOCK_FILE).exists()
    )
    if not planned and not found:
        raise InputError(
            f"{directory}: holds no runs; give the directory of a sweep, such as runs/loss_combinations"
        )
    paths = dict.fromkeys([*planned, *found])
    metric = (sweep.get("objective") or ["val/sad"])[0]
    return SweepState(directory, sweep, [job_state(path, planned.get(path), metric, sweep) for path in paths])


def job_state(
    path: Path,
    overrides: Sequence[str] | None,
    metric: str = "val/sad",
    sweep: Mapping[str, Any] = MappingProxyType({}),
) -> JobState:
    """Return the state of the run at ``path``; ``overrides`` are those of its plan, ``sweep`` is what ``sweep.json`` says."""
    run = RunDir(path)
    try:
        result = run.result() or {}
    except InputError as error:
        return JobState(str(path), plan.label_in(sweep, overrides or []), "damaged", error=str(error))
    if overrides is None:
        overrides = result.get("overrides") or run.overrides()
    progress = run.progress()
    state = result.get("status", "waiting")
    if state in ("running", "waiting"):
        held = holder(path) is not None
        state = "running" if held else "broken off" if state == "running" else "waiting"
    scores = result.get("scores", {})
    return JobState(
        str(path),
        plan.label_in(sweep, overrides),
        state,
        progress=1.0 if state == FINISHED else progress.get("fraction"),
        seconds_left=progress.get("seconds_left") if state == "running" else None,
        cost=result.get("cost") or progress.get("cost", {}),
        score=scores.get(metric.replace("val/", "test/"), scores.get(metric)),
        error=None
        if state in ("running", "waiting", FINISHED)
        else result.get("error") or last_line(path / OUTPUT_FILE),
    )


def most_telling(jobs: Sequence[JobState], room: int) -> list[JobState]:
    """Return those jobs that a screen with ``room`` lines has to show, in their order: what runs, failed (three lines), finished last."""
    importance = sorted(
        jobs, key=lambda job: (job.state != "running", not job.has_failed, job.state == "waiting")
    )
    kept: list[str] = []
    for job in importance:
        room -= 3 if job.has_failed else 1
        if room >= 0:
            kept.append(job.run)
    return [job for job in jobs if job.run in kept]


def view(state: SweepState, height: int | None = None) -> Group:
    """Return the table of a sweep, with the last error line of each failed job and the command that repeats just that job.

    A screen of ``height`` lines gets the jobs that matter most now.
    """
    jobs = state.jobs if height is None else most_telling(state.jobs, height - 10)
    metric = (state.sweep.get("objective") or ["val/sad"])[0].replace("val/", "test/")
    head = f"{state.directory}: " + ", ".join(f"{count} {name}" for name, count in state.counts.most_common())
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("run", no_wrap=True)
    table.add_column("setting", no_wrap=height is not None, overflow="fold" if height is None else "ellipsis")
    table.add_column("state", no_wrap=True)
    for name in ("done", "left", "time", "memory", metric):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for job in jobs:
        table.add_row(
            Path(job.run).name,
            job.label,
            Text(job.state, style=STYLES.get(job.state, "red")),
            "" if job.progress is None else f"{100 * job.progress:.0f} %",
            "" if job.seconds_left is None else plan.duration(job.seconds_left),
            plan.duration(job.cost["seconds"]) if "seconds" in job.cost else "",
            f"{job.cost['peak_memory_mb']:.0f} MB" if "peak_memory_mb" in job.cost else "",
            "" if job.score is None else f"{job.score:.4g}",
        )
    lines = [f"... and {len(state.jobs) - len(jobs)} more jobs"] if len(jobs) < len(state.jobs) else []
    lines += [f"cost  {costs_in_words([job.cost for job in state.jobs])}"]
    if state.sweep.get("jobs"):
        lines.append(f"left  {plan.estimate(state.directory)}")
    elif state.sweep.get("num_trials"):
        lines.append(
            f"left  {search.trials_done(state.directory)} of {state.sweep['num_trials']} trials have ended"
        )
    for job in jobs:
        if job.has_failed:
            reason = job.error if str(job.error).startswith(job.state) else f"{job.state}: {job.error}"
            lines += [f"{Path(job.run).name}  {reason}", f"    deepmatte sweep repeat {job.run}"]
    if state.is_over and not state.is_complete and "command" in state.sweep:
        lines += [
            "nothing is at work here; this command runs what is missing or failed",
            f"    {state.sweep['command']}",
        ]
    whole = {"no_wrap": True, "overflow": "ignore"}  # a command that is broken over lines can't be copied
    return Group(Text(head, **whole), table, Text("\n".join(lines), **whole))


def total_cost(costs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the sums of seconds and device-seconds and the largest peak of memory."""
    return {
        "seconds": round(sum(cost.get("seconds", 0.0) for cost in costs), 1),
        "device_seconds": round(
            sum(cost.get("device_seconds", cost.get("seconds", 0.0)) for cost in costs), 1
        ),
        "peak_memory_mb": max((cost.get("peak_memory_mb", 0.0) for cost in costs), default=0.0),
    }


def costs_in_words(costs: Sequence[dict[str, float]]) -> str:
    """Return what jobs have cost together, in a line."""
    total = total_cost(costs)
    seconds, device, memory = total["seconds"], total["device_seconds"], total["peak_memory_mb"]
    number = len([cost for cost in costs if cost])
    jobs = "1 job" if number == 1 else f"{number} jobs"
    return f"{jobs}, {seconds:.0f} s, {device:.0f} device-seconds, at most {memory:.0f} MB in one"


def sweep_costs(directory: Path, runs: Sequence[Path]) -> str:
    """Write what the jobs have cost, each and together, into ``sweep.json``, and return it in a line."""
    costs = {run.name: job_state(run, None).cost for run in runs}
    fields = plan.read(directory) | {"cost": total_cost(list(costs.values())) | {"jobs": costs}}
    plan.write(directory, fields)
    return costs_in_words(list(costs.values()))
