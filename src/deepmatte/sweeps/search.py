"""Searches with Optuna: the trials are kept in a file, so that a search can be stopped and resumed.

Optuna calls that file a study; here, a study is an experiment with a page (`deepmatte.studies`).
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from omegaconf import DictConfig, OmegaConf

from deepmatte.config.releases import register_resolver
from deepmatte.errors import InputError
from deepmatte.metrics.names import DEFAULT_SCORES
from deepmatte.runs.locks import Lock, acquire, holder

TRIALS_FILE, RESULTS_FILE = "study.db", "optimization_results.yaml"
COSTS = ("seconds", "device_seconds", "peak_memory_mb", "steps")
LOCK = "search.lock"
_DONE = ("COMPLETE", "FAIL", "PRUNED")


def count_trials(file: Path) -> dict[str, int]:
    """Return the number of trials in ``file`` by state: COMPLETE, FAIL, PRUNED, RUNNING, WAITING."""
    if not file.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=30)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'trials'").fetchone():
                return {}  # Optuna is making its tables
            return dict(database.execute("SELECT state, COUNT(*) FROM trials GROUP BY state").fetchall())
    except sqlite3.Error as error:
        raise InputError(
            f"{file}: not a database of Optuna ({error}); move it away to restart the search"
        ) from error


def trials_left(total: int, directory: str) -> int:
    """Return how many of ``total`` trials are still to be run: failed ones count, killed ones don't."""
    return max(0, int(total) - trials_done(Path(directory)))


def trials_done(directory: Path) -> int:
    """Return how many trials of the search in ``directory`` have ended, well or not."""
    counts = count_trials(directory / TRIALS_FILE)
    return sum(counts.get(state, 0) for state in _DONE)


def sampler_seed(seed: int, directory: str) -> int:
    """Return a seed that differs each time the search resumes: the sampler would repeat its first draws."""
    return int(seed) + sum(count_trials(Path(directory) / TRIALS_FILE).values())


def register_resolvers() -> None:
    """Register `trials_left` and `sampler_seed` with OmegaConf, for conf/hydra/sweeper/."""
    register_resolver("deepmatte.trials_left", trials_left)
    register_resolver("deepmatte.sampler_seed", sampler_seed)


def check_objectives(config: DictConfig) -> None:
    """Check before the first trial that objectives exist and match the directions.

    Raises:
        InputError: there are more or fewer directions than objectives, or no run has an objective.
    """
    names = list(config.sweep.objectives or [config.objective])
    direction = config.hydra.sweeper.get("direction")
    directions = [str(direction)] if direction is None or isinstance(direction, str) else list(direction)
    if len(names) != len(directions):
        raise InputError(
            f"{len(names)} objective(s) ({', '.join(names)}), "
            f"but hydra.sweeper.direction has {len(directions)}; hydra/sweeper=tpe is for one, "
            "hydra/sweeper=pareto for two: sweep.objectives=[val/sad,cost/seconds]"
        )
    known = [f"{split}/{metric}" for split in ("val", "test") for metric in DEFAULT_SCORES] + [
        f"cost/{cost}" for cost in COSTS
    ]
    for name in names:
        if name not in [*known, "val/loss"]:
            raise InputError(
                f"sweep.objectives, objective: no run has {name}; give one of {', '.join(known)}"
            )


def open_search(config: DictConfig) -> Lock | None:
    """Lock the search for this launcher, and queue killed trials to be run again with the same values.

    A run with the same values has the same directory, so it resumes from its last checkpoint.

    Raises:
        InputError: another launcher is running this search.
    """
    directory = Path(config.hydra.sweep.dir)
    lock = acquire(directory, LOCK)
    if lock is None:
        who = holder(directory, LOCK) or "another launcher"
        raise InputError(f"{directory}: {who} is running this search; wait until it ends, or stop it")
    _quieten()
    file = directory / TRIALS_FILE
    if count_trials(file).get("RUNNING"):
        with closing(sqlite3.connect(file, timeout=30)) as database, database:
            database.execute("UPDATE trials SET state = 'WAITING' WHERE state = 'RUNNING'")
    return lock


def _quieten() -> None:
    """Leave reports of failure to the jobs; Optuna and Hydra's sweeper would repeat them."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("hydra_plugins.hydra_optuna_sweeper").setLevel(logging.CRITICAL)


def has_best(config: DictConfig) -> bool:
    """Return whether a trial of the search has finished."""
    return count_trials(Path(config.hydra.sweep.dir) / TRIALS_FILE).get("COMPLETE", 0) > 0


def best(config: DictConfig) -> list[str]:
    """Return a line for the best trial so far; with several objectives, for each that none dominates."""
    file = Path(config.hydra.sweep.dir) / RESULTS_FILE
    if not file.is_file():
        return []
    found: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    trials = found.get("solutions") or [
        {"params": found.get("best_params", {}), "values": [found.get("best_value")]}
    ]
    names = list(config.sweep.objectives or [config.objective])
    lines = [
        ", ".join(f"{name} {value:.4g}" for name, value in zip(names, trial["values"], strict=False))
        + ": "
        + " ".join(f"{key}={value}" for key, value in trial["params"].items())
        for trial in sorted(trials, key=lambda trial: trial["values"][0])
    ]
    return list(dict.fromkeys(lines))  # a sampler may draw the same values twice


def outlook(config: DictConfig) -> str:
    """Return how many trials have finished, failed, and are to come."""
    counts = count_trials(Path(config.hydra.sweep.dir) / TRIALS_FILE)
    done = f"{counts.get('COMPLETE', 0)} trials finished, {counts.get('FAIL', 0)} failed"
    return f"{done}, {config.hydra.sweeper.get('n_trials', '?')} to come"
