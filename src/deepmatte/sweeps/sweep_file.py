"""``sweep.json``: what a sweep is, its jobs, and the estimate of the time that is left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from omegaconf import DictConfig

from deepmatte.errors import InputError, check_arguments, visible
from deepmatte.files import atomic, read_json, without_codes
from deepmatte.runs.directory import FINISHED, RunDir
from deepmatte.runs.identity import label
from deepmatte.runs.locks import Holder
from deepmatte.runs.result import Label, Numbers

SWEEP_FILE = "sweep.json"

JOB_FILE = "job.json"
"""In the launcher's folder of a job: its run, whether it was skipped, and the seconds of its start-up."""


_DELETE = "delete it, the runs are kept"


@dataclass(frozen=True)
class Entry:
    """A job in ``sweep.json``: its run's folder, its hash and its overrides."""

    run: str
    overrides: Sequence[str] = ()
    config_hash: str | None = None


@dataclass(frozen=True)
class Sweep:
    """The keys of ``sweep.json`` that are read, as `deepmatte.sweeps.preflight` writes them."""

    command: str | None = None
    force: bool | None = None
    jobs: Sequence[Entry] | None = None
    num_trials: int | None = None
    objective: Sequence[str] | None = None
    parallel: int | None = None
    process: Holder | None = None
    shared: Sequence[str] | None = None
    started: str | None = None
    cost: Mapping[str, Label | Mapping[str, Numbers]] | None = None


def is_grid(hydra: DictConfig) -> bool:
    """Return whether all jobs are known before the first one starts; a search makes them up on the way."""
    return str(hydra.sweeper._target_).endswith("BasicSweeper")


def read(directory: Path) -> dict[str, Any]:
    """Return ``sweep.json``, empty where there is none.

    Raises:
        InputError: it can't be read, or one of its keys is not of the kind that `Sweep` says.
    """
    file = directory / SWEEP_FILE
    try:
        found = without_codes(read_json(file))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable as JSON ({visible(error)}); {_DELETE}") from error
    if not isinstance(found, dict):
        raise InputError(f"{file}: holds no keys; {_DELETE}")
    found = {key: value for key, value in found.items() if value is not None}
    try:
        check_arguments(Sweep, found)
        datetime.fromisoformat(found.get("started", "2000-01-01"))
    except ValueError as error:
        raise InputError(f"{file}: {error}; {_DELETE}") from error
    for job in found.get("jobs", []):
        job.setdefault("overrides", [])
    return found


def write(directory: Path, sweep: Mapping[str, Any]) -> None:
    """Write ``sweep.json``."""
    file = directory / SWEEP_FILE
    with atomic(file, cure="make room, or choose another place with output_root=") as stream:
        stream.write(f"{json.dumps(sweep, indent=2)}\n".encode())


def name_in(sweep: Path, run: Path) -> str:
    """Return how ``sweep.json`` names a run: by its folder's name, so that the sweep can be moved."""
    return run.name if run.parent == sweep else str(run.resolve())


def label_in(sweep: Mapping[str, Any], overrides: Sequence[str]) -> str:
    """Return what distinguishes a job from the others of its sweep.

    >>> label_in({"shared": ["seed=0"]}, ["loss=dice", "seed=0"])
    'loss=dice'
    """
    return label([override for override in overrides if override not in sweep.get("shared", [])])


def is_of_this_sweep(sweep: Mapping[str, Any], run: Path) -> bool:
    """Return whether the result of ``run`` was written since the sweep was last started."""
    if "started" not in sweep:
        return False
    return RunDir(run).written() >= datetime.fromisoformat(sweep["started"]).timestamp() * 1e9


def result_or_nothing(run: Path) -> Mapping[str, Any]:
    """Return ``result.json`` of ``run``, empty where there is none that can be read."""
    try:
        return RunDir(run).result() or {}
    except InputError:
        return {}


def estimate(directory: Path) -> str:
    """Return how many jobs are left, and how long they will take at the mean time of the finished ones.

    A job takes longer than its run's ``cost`` says, which counts from the start of training: the process
    starts and imports torch before. The jobs measure that for themselves (`JOB_FILE`).
    """
    sweep = read(directory)
    runs = [directory / job["run"] for job in sweep.get("jobs", [])]
    costs = {
        run: result["cost"]["seconds"]
        for run in runs
        if (result := result_or_nothing(run)).get("status") == FINISHED
    }
    finished = [run for run in costs if not sweep.get("force") or is_of_this_sweep(sweep, run)]
    left = len(runs) - len(finished)
    done = f"{len(finished)} of {len(runs)} jobs finished"
    if not left:
        return done
    if not costs:
        return f"{done}; time left is estimated after the first"
    parallel = max(1, min(int(sweep.get("parallel", 1)), left))
    each = fmean(costs.values()) + start_up_seconds(directory)
    total = duration(-(-left // parallel) * each)
    return f"{done}; about {total} left ({left} x {each:.0f} s, {parallel} at a time)"


def start_up_seconds(directory: Path) -> float:
    """Return the mean seconds that jobs took beside the cost of their runs; 0 where no job measured it."""
    notes = [read_note(file.parent) for file in directory.glob(f"jobs/*/{JOB_FILE}")]
    found = [note["start_up"] for note in notes if isinstance(note.get("start_up"), int | float)]
    return fmean(found) if found else 0.0


def read_note(folder: Path) -> dict[str, Any]:
    """Return the `JOB_FILE` in a launcher's folder of a job, empty where there is none to read."""
    try:
        found = read_json(folder / JOB_FILE)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remaining(hydra: DictConfig) -> str:
    """Return the estimate as the end of a line, empty for a search."""
    directory = Path(hydra.sweep.dir)
    return f"; {estimate(directory)}" if is_grid(hydra) and (directory / SWEEP_FILE).exists() else ""


def duration(seconds: float) -> str:
    """Return a readable time.

    >>> duration(40), duration(1500), duration(9000)
    ('40 s', '25 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
