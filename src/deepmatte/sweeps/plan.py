"""The whole sweep before its first job: every configuration composed, what can't work refused, what it will take estimated."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepmatte.config.compose import check_keys, explained
from deepmatte.config.validation import check_own_keys
from deepmatte.errors import InputError
from deepmatte.files import write_text
from deepmatte.runs.directory import FINISHED, RunDir
from deepmatte.runs.identity import config_hash, label, run_dir
from deepmatte.sweeps.devices import demand, launcher_name, parallel_jobs

SWEEP_FILE = "sweep.json"


@dataclass(frozen=True)
class Planned:
    """A job to come: its directory, the hash of its configuration, the overrides that make it, how many like it run at once."""

    run: Path
    config_hash: str
    overrides: list[str]
    at_once: int = 1


def is_grid(hydra: DictConfig) -> bool:
    """Say whether the jobs are known before the first starts; a searching sweeper makes them up on the way."""
    return str(hydra.sweeper._target_).endswith("BasicSweeper")


def plan(config: DictConfig) -> list[Planned]:
    """Compose every job of the multirun ``config``, check it, and return the jobs; for a search one that stands for all.

    Raises:
        InputError: an unknown key or choice, a grid without jobs, more devices than there are, tasks that
            don't fit.
    """
    hydra = config.hydra
    jobs = []
    for overrides in _points(config):
        try:
            job = GlobalHydra.instance().config_loader().load_sweep_config(config, overrides)
            run, identity = run_dir(job), config_hash(job)
            renamed = (job.name, job.output_root) != (config.name, config.output_root)
            elsewhere = renamed and str(job.hydra.sweep.dir) != str(hydra.sweep.dir)
        except (HydraException, OmegaConfBaseException) as error:
            raise InputError(f"{' '.join(overrides)}: {explained(error)}") from error
        if elsewhere:
            raise InputError(
                f"{' '.join(overrides)}: a sweep has one directory; give one name=, output_root= and experiments=, no list"
            )
        if job.get("resume"):
            raise InputError(f"resume={job.resume}: a sweep resumes its runs by itself; leave resume= out")
        check_keys(job, "train")
        check_own_keys(job)
        _check_settings(job)
        _, ids, count = demand(job, hydra)
        _check_tasks(job, hydra)
        at_once = min(parallel_jobs(hydra), len(ids) // count) if count else parallel_jobs(hydra)
        jobs.append(Planned(run, identity, list(job.hydra.overrides.task), at_once))
    if not jobs:
        raise InputError("the grid is empty: give every key that is swept at least one value")
    return jobs


def _points(config: DictConfig) -> list[list[str]]:
    """Return the overrides of every job, as Hydra's own sweeper will; of a search, the first value of each range."""
    params = OmegaConf.to_container(config.hydra.sweeper.get("params") or OmegaConf.create({}), resolve=True)
    assert isinstance(params, dict)
    words = [f"{key}={value}" for key, value in params.items()] + list(config.hydra.overrides.task)
    try:
        parsed = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader()).parse_overrides(
            words
        )
    except HydraException as error:
        raise InputError(f"{' '.join(str(error).split())}") from error
    choices: dict[
        str, list[str]
    ] = {}  # a key that is given twice counts once, where it stood first, with its last values
    for override in parsed:
        key = override.get_key_element()
        if key == "seeds" and override.is_sweep_override():
            raise InputError(
                f"{override.input_line}: seeds is what an experiment takes by itself; give seed={override.input_line[6:]}"
            )
        if not override.is_sweep_override():
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            if not choices[key]:
                raise InputError(f"{override.input_line}: no values; the grid is empty")
        elif is_grid(config.hydra):
            raise InputError(
                f"{override.input_line}: a range is for a search; add hydra/sweeper=tpe, or list the values"
            )
        else:
            choices[key] = [f"{key}={override.value().start}"]  # type: ignore[union-attr]
        if choices[key] == [f"{key}="]:
            raise InputError(f"{key}=: no values; the grid is empty")
    points = [list(point) for point in itertools.product(*choices.values())]
    return points if is_grid(config.hydra) else points[:1]


def _check_settings(job: DictConfig) -> None:
    """Refuse values of ``sweep`` that would be found out in the midst of the sweep, or mean something else there."""
    limit, trials, objectives = job.sweep.time_limit, job.sweep.trials, job.sweep.objectives
    if limit is not None and not (isinstance(limit, int | float) and limit > 0):
        raise InputError(f"sweep.time_limit={limit}: give minutes above 0, or null")
    if not (isinstance(trials, int) and trials > 0):
        raise InputError(f"sweep.trials={trials}: give a whole number above 0")
    if objectives is not None and not (isinstance(objectives, ListConfig) and len(objectives) > 0):
        raise InputError(
            f"sweep.objectives={objectives}: give a list such as [val/sad,cost/seconds], or null"
        )


def _check_tasks(job: DictConfig, hydra: DictConfig) -> None:
    """On a cluster, one task a node starts its ranks by itself; several must be as many as there are ranks."""
    if launcher_name(hydra) != "SlurmLauncher":
        return
    launcher, trainer = hydra.launcher, job.trainer
    if int(launcher.nodes) != int(trainer.num_nodes):
        raise InputError(
            f"trainer.num_nodes={trainer.num_nodes}, but hydra.launcher.nodes={launcher.nodes}; give both the same number"
        )
    if (
        int(launcher.nodes) * int(launcher.tasks_per_node) > 1
        and int(launcher.tasks_per_node) != trainer.devices
    ):
        raise InputError(
            f"trainer.devices={trainer.devices}, but hydra.launcher.tasks_per_node={launcher.tasks_per_node}; "
            "on several nodes give both the same number"
        )
    reserved = launcher.get("gpus_per_node")
    if reserved is not None and isinstance(trainer.devices, int) and trainer.devices > int(reserved):
        raise InputError(
            f"trainer.devices={trainer.devices}, but hydra.launcher.gpus_per_node={reserved}; reserve as many"
        )


def duplicates(jobs: Sequence[Planned]) -> list[str]:
    """Say in a line each which jobs are one and the same run."""
    counts = Counter(job.run for job in jobs)
    return [
        f"{count} jobs are one and the same run {run}: it is run once"
        for run, count in counts.items()
        if count > 1
    ]


def record(config: DictConfig, jobs: Sequence[Planned]) -> None:
    """Write ``sweep.json``: what the sweep is, and the jobs of a grid, each once. InputError in another experiment's directory."""
    hydra = config.hydra
    file = Path(hydra.sweep.dir) / SWEEP_FILE
    experiment = str(hydra.runtime.choices.get("experiments") or config.name)
    earlier = read(file.parent).get("experiment", experiment)
    if earlier != experiment:
        raise InputError(
            f"{file.parent}: holds the sweep {earlier}, not {experiment}; choose another name= or output_root="
        )
    unique = {job.run: job for job in jobs} if is_grid(hydra) else {}
    fields = {
        "experiment": experiment,
        "launcher": launcher_name(hydra),
        "sweeper": str(hydra.sweeper._target_).rpartition(".")[2],
        "force": bool(config.force),
        "num_trials": None if is_grid(hydra) else int(config.sweep.trials),
        "objective": list(config.sweep.objectives or [config.objective]),
        "command": shlex.join(["deepmatte", "train", *sys.argv[1:]]),
        "process": {"host": socket.gethostname(), "pid": os.getpid()},
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "parallel": min(job.at_once for job in jobs),
        "shared": sorted(set(hydra.overrides.task) & set(jobs[0].overrides)),
        "jobs": [
            {"run": _name(run, file.parent), "config_hash": job.config_hash, "overrides": job.overrides}
            for run, job in unique.items()
        ],
    }
    write(file.parent, read(file.parent) | fields)


def write(directory: Path, sweep: Mapping[str, Any]) -> None:
    """Write ``sweep.json``."""
    write_text(directory / SWEEP_FILE, json.dumps(sweep, indent=2) + "\n")


def _name(run: Path, sweep: Path) -> str:
    """Return how ``sweep.json`` names a run: by its folder's name, so that the sweep can be moved."""
    return run.name if run.parent == sweep else str(run.resolve())


def read(directory: Path) -> dict[str, Any]:
    """Return ``sweep.json``, empty where there is none."""
    try:
        found = json.loads((directory / SWEEP_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InputError(
            f"{directory / SWEEP_FILE}: not readable as JSON ({error}); delete it, the runs stay"
        ) from error
    return found if isinstance(found, dict) else {}


def label_in(sweep: Mapping[str, Any], overrides: Sequence[str]) -> str:
    """Return what sets a job apart from the others of its sweep.

    >>> label_in({"shared": ["seed=0"]}, ["loss=dice", "seed=0"])
    'loss=dice'
    """
    return label([override for override in overrides if override not in sweep.get("shared", [])])


def estimate(directory: Path) -> str:
    """Say how many jobs are left, and how long they will take at the mean time of those that are finished."""
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
        return f"{done}; how long the others take is said after the first"
    rounds = -(-left // max(1, min(int(sweep.get("parallel", 1)), left)))
    each = sum(costs.values()) / len(costs)
    return f"{done}; about {duration(rounds * each)} left ({left} x {each:.0f} s, {min(int(sweep.get('parallel', 1)), left)} at a time)"


def is_of_this_sweep(sweep: Mapping[str, Any], run: Path) -> bool:
    """Say whether the result of ``run`` is of the sweep's last start, not of an earlier one."""
    return (
        "started" in sweep
        and RunDir(run).written() >= datetime.fromisoformat(sweep["started"]).timestamp() * 1e9
    )


def remaining(hydra: DictConfig) -> str:
    """Return the estimate as the end of a line, empty for a search."""
    directory = Path(hydra.sweep.dir)
    return f"; {estimate(directory)}" if is_grid(hydra) and (directory / SWEEP_FILE).exists() else ""


def duration(seconds: float) -> str:
    """Return a time to read: minutes below two hours.

    >>> duration(40), duration(1500), duration(9000)
    ('40 s', '25 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def result_or_nothing(run: Path) -> Mapping[str, Any]:
    """Return ``result.json`` of ``run``, empty where there is none that can be read."""
    try:
        return RunDir(run).result() or {}
    except InputError:
        return {}
