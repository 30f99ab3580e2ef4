"""The state of a sweep, from its files alone: what is finished, running or failed, and what it has cost."""

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
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from deepmatte.errors import InputError, visible
from deepmatte.runs.directory import FINISHED, OUTPUT_FILE, PRUNED, RESULT_FILE, RunDir, last_line
from deepmatte.runs.locks import LOCK_FILE, Holder, holder
from deepmatte.sweeps import search, sweep_file

STYLES = {
    "finished": "green",
    "running": "cyan",
    "waiting": "dim",
    "pruned": "dim",
    "killed": "yellow",
    "interrupted": "yellow",
}
"""Colours of the states; others are red. ``killed``: it left no result; ``waiting``: it has not started."""


@dataclass(frozen=True)
class JobState:
    """One job.

    Attributes:
        run: its run directory.
        label: what distinguishes it from the others of the sweep.
        state: the status of its result, or running, waiting, killed or damaged.
        progress: the finished share, 0 to 1.
        seconds_left: the run's own estimate.
        cost: seconds, device_seconds, peak_memory_mb so far.
        score: the objective, on the test split where it is known.
        error: why it did not finish.
    """

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
        """Whether it ended without finishing, and was not meant to."""
        return self.state not in (FINISHED, PRUNED, "running", "waiting")


@dataclass(frozen=True)
class SweepState:
    """All jobs of a sweep directory, and its ``sweep.json``."""

    directory: Path
    sweep: dict[str, Any]
    jobs: list[JobState]

    @property
    def counts(self) -> Counter[str]:
        """The number of jobs in each state."""
        return Counter(job.state for job in self.jobs)

    @property
    def is_over(self) -> bool:
        """Whether no job is running, and no launcher on this machine will start more."""
        launcher = Holder(**self.sweep["process"]) if "process" in self.sweep else None
        starts_more = launcher is not None and launcher.host == socket.gethostname() and not launcher.is_gone
        return not self.counts["running"] and (self.is_complete or not starts_more)

    @property
    def is_complete(self) -> bool:
        """Whether every job of a grid is finished, or every trial of a search has ended."""
        trials = self.sweep.get("num_trials")
        return (
            self.counts["finished"] == len(self.jobs)
            if trials is None
            else search.trials_done(self.directory) >= trials
        )

    def as_record(self) -> dict[str, Any]:
        """Return everything as plain data, for programs."""
        return {
            "directory": str(self.directory),
            **self.sweep,
            "counts": dict(self.counts),
            "jobs": [asdict(job) for job in self.jobs],
        }


def read_sweep(directory: Path) -> SweepState:
    """Return the state of a sweep directory: the jobs of ``sweep.json`` in order, then other runs."""
    if not directory.is_dir():
        raise InputError(
            f"{directory}: no such directory; give the directory of a sweep, such as runs/loss_combinations"
        )
    sweep = sweep_file.read(directory)
    listed = {directory / job["run"]: job["overrides"] for job in sweep.get("jobs", [])}
    found = sorted(
        child
        for child in directory.iterdir()
        if (child / RESULT_FILE).exists() or (child / LOCK_FILE).exists()
    )
    if not listed and not found:
        raise InputError(
            f"{directory}: holds no runs; give the directory of a sweep, such as runs/loss_combinations"
        )
    paths = dict.fromkeys([*listed, *found])
    metric = (sweep.get("objective") or ["val/sad"])[0]
    return SweepState(directory, sweep, [job_state(path, listed.get(path), metric, sweep) for path in paths])


def job_state(
    path: Path,
    overrides: Sequence[str] | None,
    metric: str = "val/sad",
    sweep: Mapping[str, Any] = MappingProxyType({}),
) -> JobState:
    """Return the state of the run at ``path``.

    Args:
        path: the run directory.
        overrides: those in ``sweep.json``; None for a run that it does not list.
        metric: whose score is shown.
        sweep: what ``sweep.json`` holds.
    """
    run = RunDir(path)
    try:
        result = run.result() or {}
    except InputError as error:
        return JobState(str(path), sweep_file.label_in(sweep, overrides or []), "damaged", error=str(error))
    if overrides is None:
        overrides = result.get("overrides") or run.overrides()
    progress = run.progress()
    state = result.get("status", "waiting")
    if state in ("running", "waiting"):
        held = holder(path) is not None
        state = "running" if held else "killed" if state == "running" else "waiting"
    scores = result.get("scores", {})
    return JobState(
        str(path),
        sweep_file.label_in(sweep, overrides),
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
    """Return the jobs that fit on ``room`` lines, in their order; running and failed ones take precedence.

    A failed job takes three lines.
    """
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
    """Return the table of a sweep, with the error of each failed job and the command that repeats that job.

    On a screen of ``height`` lines, only the `most_telling` jobs are shown.
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
            escape(Path(job.run).name),
            escape(job.label),
            Text(job.state, style=STYLES.get(job.state, "red")),
            "" if job.progress is None else f"{100 * job.progress:.0f} %",
            "" if job.seconds_left is None else sweep_file.duration(job.seconds_left),
            sweep_file.duration(job.cost["seconds"]) if "seconds" in job.cost else "",
            f"{job.cost['peak_memory_mb']:.0f} MB" if "peak_memory_mb" in job.cost else "",
            "" if job.score is None else f"{job.score:.4g}",
        )
    lines = [f"... and {len(state.jobs) - len(jobs)} more jobs"] if len(jobs) < len(state.jobs) else []
    lines += [f"cost  {costs_in_words([job.cost for job in state.jobs])}"]
    if state.sweep.get("jobs"):
        lines.append(f"left  {sweep_file.estimate(state.directory)}")
    elif state.sweep.get("num_trials"):
        lines.append(
            f"left  {search.trials_done(state.directory)} of {state.sweep['num_trials']} trials have ended"
        )
    for job in jobs:
        if job.has_failed:
            said = visible(job.error)
            reason = said if said.startswith(job.state) else f"{job.state}: {said}"
            lines += [f"{Path(job.run).name}  {reason}", f"    deepmatte sweep repeat {job.run}"]
    if state.is_over and not state.is_complete and "command" in state.sweep:
        lines += [
            "no jobs running; this command runs what is missing or failed",
            f"    {state.sweep['command']}",
        ]
    # A command that is broken over lines can't be copied.
    texts = [Text(text, no_wrap=True, overflow="ignore") for text in (head, "\n".join(lines))]
    return Group(texts[0], table, texts[1])


def total_cost(costs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the sums of seconds and of seconds times devices, and the highest peak of memory."""
    return {
        "seconds": round(sum(cost.get("seconds", 0.0) for cost in costs), 1),
        "device_seconds": round(
            sum(cost.get("device_seconds", cost.get("seconds", 0.0)) for cost in costs), 1
        ),
        "peak_memory_mb": max((cost.get("peak_memory_mb", 0.0) for cost in costs), default=0.0),
    }


def costs_in_words(costs: Sequence[dict[str, float]]) -> str:
    """Return the total cost of jobs in a line.

    >>> costs_in_words([{"seconds": 60.0, "device_seconds": 120.0, "peak_memory_mb": 900.0}])
    '1 job, 60 s in all (120 s of devices), at most 900 MB in one'
    """
    total = total_cost(costs)
    seconds, device, memory = total["seconds"], total["device_seconds"], total["peak_memory_mb"]
    number = len([cost for cost in costs if cost])
    jobs = "1 job" if number == 1 else f"{number} jobs"
    devices = f" ({device:.0f} s of devices)" if device != seconds else ""
    return f"{jobs}, {seconds:.0f} s in all{devices}, at most {memory:.0f} MB in one"


def sweep_costs(directory: Path, runs: Sequence[Path]) -> str:
    """Write the cost of each job and of all into ``sweep.json``, and return the total in a line."""
    costs = {run.name: job_state(run, None).cost for run in runs}
    fields = sweep_file.read(directory) | {"cost": total_cost(list(costs.values())) | {"jobs": costs}}
    sweep_file.write(directory, fields)
    return costs_in_words(list(costs.values()))
