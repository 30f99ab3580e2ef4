"""The whole sweep before its first job: every configuration is composed, and what can't work is refused."""

from __future__ import annotations

import itertools
import os
import shlex
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepmatte.config.unknown_keys import check_keys, explained
from deepmatte.config.validation import check_own_keys
from deepmatte.errors import InputError
from deepmatte.runs.identity import config_hash, run_dir
from deepmatte.sweeps import sweep_file
from deepmatte.sweeps.devices import demand, launcher_name, parallel_jobs
from deepmatte.sweeps.search import objectives
from deepmatte.sweeps.sweep_file import is_grid


@dataclass(frozen=True)
class ComposedJob:
    """A job that has not started.

    Attributes:
        run: its run directory.
        config_hash: of its configuration.
        overrides: those that make it, the sweep's included.
        parallel: how many jobs like it run at once.
    """

    run: Path
    config_hash: str
    overrides: list[str]
    parallel: int = 1


def compose_jobs(config: DictConfig) -> list[ComposedJob]:
    """Compose and check every job of the multirun ``config``; of a search, one that represents all.

    Raises:
        InputError: an unknown key or choice, a grid without jobs, more devices than there are, or numbers of
            tasks and ranks that differ.
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
                f"{' '.join(overrides)}: a sweep has one directory; "
                "give one name=, output_root= and experiments=, not a list"
            )
        if job.get("resume"):
            raise InputError(f"resume={job.resume}: a sweep always resumes its runs; leave resume= out")
        if job.get("examine"):
            raise InputError(f"debug={job.examine.what}: examines one run, and is no sweep; leave -m out")
        check_keys(job, "train")
        check_own_keys(job)
        _check_tasks(job, hydra)
        _, ids, count = demand(job, hydra)
        parallel = min(parallel_jobs(hydra), len(ids) // count) if count else parallel_jobs(hydra)
        jobs.append(ComposedJob(run, identity, list(job.hydra.overrides.task), parallel))
    if not jobs:
        raise InputError("the grid is empty: give every key that is swept at least one value")
    return jobs


def _points(config: DictConfig) -> list[list[str]]:
    """Return the overrides of every job, as Hydra's sweeper will; of a search, the first of each range."""
    params = OmegaConf.to_container(config.hydra.sweeper.get("params") or OmegaConf.create({}), resolve=True)
    assert isinstance(params, dict)
    words = [f"{key!s}={value}" for key, value in params.items()] + list(config.hydra.overrides.task)
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    try:
        parsed = parser.parse_overrides(words)
    except HydraException as error:
        raise InputError(" ".join(str(error).split())) from error
    # A key that is given twice counts once: at its first place, with its last values.
    choices: dict[str, list[str]] = {}
    for override in parsed:
        choices[override.get_key_element()] = _values(override, is_grid(config.hydra))
    points = [list(point) for point in itertools.product(*choices.values())]
    return points if is_grid(config.hydra) else points[:1]


def _values(override: Override, grid: bool) -> list[str]:
    """Return one override per value of ``override``; of a range, which only a search can have, the start."""
    key = override.get_key_element()
    if key == "seeds" and override.is_sweep_override():
        raise InputError(
            f"{override.input_line}: seeds is the list that experiments use; "
            f"give seed={str(override.input_line)[6:]}"
        )
    if not override.is_sweep_override():
        values = [override.get_value_element_as_str()]
    elif override.is_discrete_sweep():
        values = list(override.sweep_string_iterator())
        if not values:
            raise InputError(f"{override.input_line}: no values; the grid is empty")
    elif grid:
        raise InputError(
            f"{override.input_line}: a range is for a search; add hydra/sweeper=tpe, or list the values"
        )
    else:
        values = [str(override.value().start)]  # type: ignore[union-attr]
    if values == [""]:
        raise InputError(f"{key}=: no values; the grid is empty")
    return [f"{key}={value}" for value in values]


def _check_tasks(job: DictConfig, hydra: DictConfig) -> None:
    """On a cluster, a single task starts its ranks itself; otherwise there must be one task per rank."""
    if launcher_name(hydra) != "SlurmLauncher":
        return
    launcher, trainer = hydra.launcher, job.trainer
    nodes, tasks = int(launcher.nodes), int(launcher.tasks_per_node)
    if nodes != int(trainer.num_nodes):
        raise InputError(
            f"trainer.num_nodes={trainer.num_nodes}, but hydra.launcher.nodes={nodes}; "
            "give both the same number"
        )
    if nodes * tasks > 1 and tasks != trainer.devices:
        raise InputError(
            f"trainer.devices={trainer.devices}, but hydra.launcher.tasks_per_node={tasks}; "
            "on several nodes give both the same number"
        )
    reserved = launcher.get("gpus_per_node")
    if reserved is not None and isinstance(trainer.devices, int) and trainer.devices > int(reserved):
        raise InputError(
            f"trainer.devices={trainer.devices}, but hydra.launcher.gpus_per_node={reserved}; reserve as many"
        )


def duplicates(jobs: Sequence[ComposedJob]) -> list[str]:
    """Return a line for each run that several jobs would be."""
    counts = Counter(job.run for job in jobs)
    return [
        f"{count} jobs are the same run {run}, which is trained once"
        for run, count in counts.items()
        if count > 1
    ]


def record(config: DictConfig, jobs: Sequence[ComposedJob]) -> None:
    """Write ``sweep.json``: what the sweep is, and the jobs of a grid, each once.

    Raises:
        InputError: the directory holds the sweep of another experiment.
    """
    hydra = config.hydra
    directory = Path(hydra.sweep.dir)
    experiment = str(hydra.runtime.choices.get("experiments") or config.name)
    before = sweep_file.read(directory)
    earlier = before.get("experiment", experiment)
    if earlier != experiment:
        raise InputError(
            f"{directory}: holds the sweep {earlier}, not {experiment}; choose another name= or output_root="
        )
    unique = {job.run: job for job in jobs} if is_grid(hydra) else {}
    fields = {
        "experiment": experiment,
        "launcher": launcher_name(hydra),
        "sweeper": str(hydra.sweeper._target_).rpartition(".")[2],
        "force": bool(config.force),
        "num_trials": None if is_grid(hydra) else int(config.sweep.trials),
        "objective": objectives(config),
        "command": shlex.join(["deepmatte", "train", *sys.argv[1:]]),
        "process": {"host": socket.gethostname(), "pid": os.getpid()},
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "parallel": min(job.parallel for job in jobs),
        "shared": sorted(set(hydra.overrides.task) & set(jobs[0].overrides)),
        "jobs": [
            {
                "run": sweep_file.name_in(directory, run),
                "config_hash": job.config_hash,
                "overrides": job.overrides,
            }
            for run, job in unique.items()
        ],
    }
    sweep_file.write(directory, before | fields)
