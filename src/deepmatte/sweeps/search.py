"""Optuna's study of a search: in a file, so that a search can be stopped and continued; trials that were broken off are repeated."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from omegaconf import DictConfig, OmegaConf

from deepmatte.errors import InputError
from deepmatte.metrics.names import DEFAULT_SCORES
from deepmatte.runs.locks import Lock, acquire, holder

STUDY_FILE, RESULTS_FILE = "study.db", "optimization_results.yaml"
COSTS = ("seconds", "device_seconds", "peak_memory_mb", "steps")
_DONE = ("COMPLETE", "FAIL", "PRUNED")


def count_trials(file: Path) -> dict[str, int]:
    """Return how many trials of the study in ``file`` are in which state, as COMPLETE, FAIL, RUNNING and WAITING."""
    if not file.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=30)) as database:
            return dict(database.execute("SELECT state, COUNT(*) FROM trials GROUP BY state").fetchall())
    except sqlite3.Error as error:
        raise InputError(
            f"{file}: not a study of Optuna ({error}); move it away to start the search anew"
        ) from error


def trials_left(total: int, directory: str) -> int:
    """Return how many of ``total`` trials are still to be run: failed ones count, broken off ones don't."""
    return max(0, int(total) - trials_done(Path(directory)))


def trials_done(directory: Path) -> int:
    """Return how many trials of the search in ``directory`` have ended, well or not."""
    counts = count_trials(directory / STUDY_FILE)
    return sum(counts.get(state, 0) for state in _DONE)


def study_seed(seed: int, directory: str) -> int:
    """Return a seed for the sampler that is another one each time the search is continued: it would repeat its first draws."""
    return int(seed) + sum(count_trials(Path(directory) / STUDY_FILE).values())


def register_resolvers() -> None:
    """Make `trials_left` and `study_seed` known to OmegaConf, for conf/hydra/sweeper/."""
    OmegaConf.register_new_resolver("deepmatte.trials_left", trials_left, replace=True)
    OmegaConf.register_new_resolver("deepmatte.study_seed", study_seed, replace=True)


def check_objectives(config: DictConfig) -> None:
    """Refuse a search whose objectives and directions don't fit, or whose objectives no run has; it would find out after its trials.

    Raises:
        InputError: that is so.
    """
    names, direction = (
        list(config.sweep.objectives or [config.objective]),
        config.hydra.sweeper.get("direction"),
    )
    directions = [str(direction)] if direction is None or isinstance(direction, str) else list(direction)
    if len(names) != len(directions):
        raise InputError(
            f"{len(names)} objective(s) ({', '.join(names)}), but hydra.sweeper.direction has {len(directions)}; "
            "hydra/sweeper=tpe is for one, hydra/sweeper=pareto for two: sweep.objectives=[val/sad,cost/seconds]"
        )
    known = [f"{split}/{metric}" for split in ("val", "test") for metric in DEFAULT_SCORES] + [
        f"cost/{cost}" for cost in COSTS
    ]
    for name in names:
        if name not in [*known, "val/loss"]:
            raise InputError(
                f"sweep.objectives, objective: no run has {name}; give one of {', '.join(known)}"
            )


def open_study(config: DictConfig) -> Lock | None:
    """Take the study for this launcher, and put trials that were broken off back to be run, with the same values.

    A run of the same values has the same directory: it goes on from its last checkpoint.

    Raises:
        InputError: another launcher is at this study.
    """
    directory = Path(config.hydra.sweep.dir)
    lock = acquire(directory, "study.lock")
    if lock is None:
        who = holder(directory, "study.lock") or "another launcher"
        raise InputError(f"{directory}: {who} is at this search; wait for its end, or stop it")
    _quieten()
    file = directory / STUDY_FILE
    if count_trials(file).get("RUNNING"):
        with closing(sqlite3.connect(file, timeout=30)) as database, database:
            database.execute("UPDATE trials SET state = 'WAITING' WHERE state = 'RUNNING'")
    return lock


def _quieten() -> None:
    """Leave it to the jobs to say that they failed; Optuna and Hydra's sweeper would say it again, and in their words."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("hydra_plugins.hydra_optuna_sweeper").setLevel(logging.CRITICAL)


def has_best(config: DictConfig) -> bool:
    """Say whether a trial of the search has finished."""
    return count_trials(Path(config.hydra.sweep.dir) / STUDY_FILE).get("COMPLETE", 0) > 0


def best(config: DictConfig) -> list[str]:
    """Say what the search has found so far: the best trial, or of several objectives every trial that no other beats in all."""
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
    """Say where the search stands."""
    counts = count_trials(Path(config.hydra.sweep.dir) / STUDY_FILE)
    done = f"{counts.get('COMPLETE', 0)} trials finished, {counts.get('FAIL', 0)} failed"
    return f"{done}, {config.hydra.sweeper.get('n_trials', '?')} to come"
