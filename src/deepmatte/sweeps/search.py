"""Searches with Optuna: the trials are kept in a file, so that a search can be stopped and resumed.

Optuna calls a search a study; here, a study is an experiment with a page (`deepmatte.studies`). Nothing of
Optuna is imported before a search is there: it is an extra.
"""

from __future__ import annotations

import fcntl
import math
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from deepmatte.errors import InputError
from deepmatte.metrics.names import DEFAULT_SCORES
from deepmatte.runs.locks import Lock, acquire, holder

if TYPE_CHECKING:
    import optuna

TRIALS_FILE, RESULTS_FILE = "trials.log", "optimization_results.yaml"
OLDER_FILE = "study.db"
"""Where searches of before 0.1.0 kept their trials."""

Objective = float | tuple[float, ...] | None
"""What a job returns to the sweeper: nothing, where its run has no objective."""

COSTS = ("seconds", "device_seconds", "peak_memory_mb", "steps")
LOCK = "search.lock"
RESUMES, JOB = "resumes", "job"
"""Attributes of a trial: the number of the killed one that it takes up again, and of the job that runs it."""

_DONE = ("COMPLETE", "FAIL", "PRUNED")


def read_trials(directory: Path) -> list[optuna.trial.FrozenTrial]:
    """Return the trials of the search in ``directory``, without the killed ones that others have taken up.

    Raises:
        InputError: its file is none of Optuna's, or Optuna is not installed.
    """
    file = directory / TRIALS_FILE
    if not file.is_file():
        return []
    try:
        storage = _storage(file)
        found = [
            trial
            for study in storage.get_all_studies()
            for trial in storage.get_all_trials(study._study_id, deepcopy=False)
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        cure = "move it away to restart the search"
        raise InputError(f"{file}: not a record of Optuna ({type(error).__name__}); {cure}") from error
    replaced = {trial.user_attrs.get(RESUMES) for trial in found}
    return [trial for trial in found if trial.number not in replaced]


def _storage(file: Path) -> optuna.storages.BaseStorage:
    try:
        from optuna.logging import ERROR, set_verbosity
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise InputError(f"{file}: needs an extra; pip install 'deepmatte[optuna]'") from error
    set_verbosity(ERROR)  # failures are reported by the jobs
    return JournalStorage(JournalFileBackend(str(file), lock_obj=_Turns(file)))  # type: ignore[arg-type]


class _Turns:
    """In place of Optuna's lock of the file, which would outlive a killed process.

    The launcher and the watchers of the trials write in turn; the kernel ends a turn with its process.
    """

    def __init__(self, file: Path) -> None:
        self.path = file
        self.file: BinaryIO | None = None

    def acquire(self) -> bool:
        """Wait for this process's turn, and mend what an earlier one has torn."""
        self.file = self.path.open("ab")
        with suppress(OSError):  # no locks on this file system
            fcntl.flock(self.file, fcntl.LOCK_EX)
        _mend(self.path)
        return True

    def release(self) -> None:
        """End the turn."""
        assert self.file is not None
        self.file.close()


def count_trials(directory: Path) -> Counter[str]:
    """Return the number of trials in ``directory`` by state: COMPLETE, FAIL, PRUNED, RUNNING, WAITING."""
    return Counter(trial.state.name for trial in read_trials(directory))


def num_trials(directory: Path) -> int:
    """Return how many trials there are, of whatever state."""
    return count_trials(directory).total()


def trials_done(directory: Path) -> int:
    """Return how many trials have ended: failed ones count, killed ones don't."""
    counts = count_trials(directory)
    return sum(counts[state] for state in _DONE)


def objectives(config: DictConfig) -> list[str]:
    """Return the names of what a search minimises."""
    return list(config.sweep.objectives or [config.objective])


def objective(config: DictConfig, result: dict[str, Any]) -> Objective:
    """Return what a search minimises: a score or cost, or several; None where the run lacks one of them."""
    known = dict(result.get("scores", {})) | {
        f"cost/{key}": value for key, value in result.get("cost", {}).items()
    }
    names = objectives(config)
    values = [known.get(name, math.nan) for name in names]
    absent = [name for name, value in zip(names, values, strict=True) if not math.isfinite(value)]
    if absent:
        Console(stderr=True).print(
            f"objective {', '.join(absent)}: the run has only {', '.join(known)}", style="red", markup=False
        )
        return None
    return tuple(float(value) for value in values) if len(values) > 1 else float(values[0])


def check_objectives(config: DictConfig) -> None:
    """Check before the first trial that objectives exist and match the directions.

    Raises:
        InputError: there are more or fewer directions than objectives, or no run has an objective.
    """
    names = objectives(config)
    directions = _directions(config)
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
        InputError: another launcher is running this search, or an older deepmatte has begun it.
    """
    directory = Path(config.hydra.sweep.dir)
    if (directory / OLDER_FILE).exists() and not (directory / TRIALS_FILE).exists():
        raise InputError(
            f"{directory / OLDER_FILE}: is of a search by an older deepmatte, which can't be continued; "
            "choose another name=, or move the file away to begin again (finished runs are reused)"
        )
    lock = acquire(directory, LOCK)
    if lock is None:
        who = holder(directory, LOCK) or "another launcher"
        raise InputError(f"{directory}: {who} is running this search; wait until it ends, or stop it")
    killed = [trial for trial in read_trials(directory) if trial.state.name == "RUNNING"]
    if killed:
        import optuna

        study = open_study(config)
        for trial in killed:
            study.enqueue_trial(trial.params, user_attrs={RESUMES: trial.number})
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return lock


def _mend(file: Path) -> None:
    """Cut off a last line that a full disk has torn; Optuna would write the next one behind it."""
    text = file.read_bytes()
    if text and not text.endswith(b"\n"):
        os.truncate(file, text.rfind(b"\n") + 1)


def open_study(
    config: DictConfig,
    sampler: optuna.samplers.BaseSampler | None = None,
    pruner: optuna.pruners.BasePruner | None = None,
) -> optuna.Study:
    """Return Optuna's study of the search, begun or resumed.

    Raises:
        InputError: it was begun for other objectives.
    """
    import optuna

    file = Path(config.hydra.sweep.dir) / TRIALS_FILE
    names = _directions(config)
    file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=_storage(file),
        sampler=sampler,
        pruner=pruner or optuna.pruners.NopPruner(),
        study_name=str(config.name),
        directions=names,
        load_if_exists=True,
    )
    before = [direction.name.lower() for direction in study.directions]
    if before != names:
        raise InputError(
            f"{file}: was begun with hydra.sweeper.direction={before}, not {names}; choose another name="
        )
    return study


def load_trial(directory: Path, name: str, job: int, pruner: optuna.pruners.BasePruner) -> optuna.trial.Trial:
    """Return the running trial of a job, for the process that watches it.

    Raises:
        InputError: no trial runs in that job.
    """
    from optuna import load_study
    from optuna.samplers import RandomSampler
    from optuna.trial import Trial

    storage = _storage(directory / TRIALS_FILE)
    study = load_study(study_name=name, storage=storage, sampler=RandomSampler(), pruner=pruner)
    for trial in study.get_trials(deepcopy=False):
        if trial.state.name == "RUNNING" and trial.user_attrs.get(JOB) == job:
            return Trial(study, trial._trial_id)
    raise InputError(f"{directory / TRIALS_FILE}: has no running trial for job {job}; repeat the command")


def _directions(config: DictConfig) -> list[Any]:
    direction = config.hydra.sweeper.get("direction")
    return [str(direction)] if direction is None or isinstance(direction, str) else list(direction)


def complete(study: optuna.Study) -> bool:
    """Return whether a trial of the study has finished."""
    return any(trial.state.name == "COMPLETE" for trial in study.get_trials(deepcopy=False))


def has_best(config: DictConfig) -> bool:
    """Return whether a trial of the search has finished."""
    return count_trials(Path(config.hydra.sweep.dir))["COMPLETE"] > 0


def best(config: DictConfig) -> list[str]:
    """Return a line for the best trial so far; with several objectives, for each that none dominates."""
    file = Path(config.hydra.sweep.dir) / RESULTS_FILE
    if not file.is_file():
        return []
    found: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    trials = found.get("solutions") or [
        {"params": found.get("best_params", {}), "values": [found.get("best_value")]}
    ]
    names = objectives(config)
    lines = [
        ", ".join(f"{name} {value:.4g}" for name, value in zip(names, trial["values"], strict=False))
        + ": "
        + " ".join(f"{key}={value}" for key, value in trial["params"].items())
        for trial in sorted(trials, key=lambda trial: trial["values"][0])
    ]
    return list(dict.fromkeys(lines))  # a sampler may draw the same values twice


def outlook(config: DictConfig) -> str:
    """Return how many trials have finished, failed, and are to come."""
    directory = Path(config.hydra.sweep.dir)
    counts, left = count_trials(directory), int(config.sweep.trials) - trials_done(directory)
    pruned = f"{counts['PRUNED']} pruned, " if counts["PRUNED"] else ""
    return f"{counts['COMPLETE']} trials finished, {pruned}{counts['FAIL']} failed, {max(0, left)} to come"
