"""The trials of a search: what Optuna is asked, what becomes jobs, and what it is told of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from deepmatte.files import write_text
from deepmatte.sweeps import search
from deepmatte.sweeps.strategies import make_pruner, make_sampler

if TYPE_CHECKING:
    import optuna


def run_trials(
    config: DictConfig, launcher: Launcher, loader: ConfigLoader | None, words: Sequence[str]
) -> None:
    """Run trials until ``sweep.trials`` have ended, earlier calls' included, and write the best ones.

    Args:
        config: of the sweep, with Hydra's own.
        launcher: runs the jobs, ``hydra.sweeper.n_jobs`` at once.
        loader: finds the choices that ``glob(…)`` stands for.
        words: overrides; each that has several values is searched.

    Raises:
        InputError: a sampler, a pruner or an option of one is unknown.
    """
    directory, options = Path(config.hydra.sweep.dir), config.hydra.sweeper
    space, fixed = read_space(words, loader)
    sampler = make_sampler(options, search.num_trials(directory))
    study = search.open_study(config, sampler, make_pruner(options))
    directory.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, directory / "multirun.yaml")
    while (left := int(config.sweep.trials) - search.trials_done(directory)) > 0:
        trials = [study.ask(space) for _ in range(min(int(options.n_jobs), left))]
        for number, trial in enumerate(trials, start=trials[0].number):
            trial.set_user_attr(search.JOB, number)
        chosen = [[f"{key}={value}" for key, value in trial.params.items()] for trial in trials]
        jobs = launcher.launch([[*own, *fixed] for own in chosen], initial_job_idx=trials[0].number)
        for trial, job in zip(trials, jobs, strict=True):
            tell(study, trial, job)
        write_best(study, directory / search.RESULTS_FILE)


def read_space(
    words: Sequence[str], loader: ConfigLoader | None = None
) -> tuple[dict[str, optuna.distributions.BaseDistribution], list[str]]:
    """Split overrides into those that are searched, by key, and those that are the same in all trials.

    A key that is given twice counts as it was given last.
    """
    space: dict[str, optuna.distributions.BaseDistribution] = {}
    fixed: dict[str, str] = {}
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(words)):
        key = override.get_key_element()
        space.pop(key, None)
        fixed.pop(key, None)
        if override.is_sweep_override():
            space[key] = distribution(override)
        else:
            fixed[key] = str(override.input_line)
    return space, list(fixed.values())


def distribution(override: Override) -> optuna.distributions.BaseDistribution:
    """Return from what Optuna draws the values of an override.

    ``interval(a,b)`` has both ends and, as ``int(interval(a,b))``, whole numbers alone; ``range(a,b,step)``
    ends before b, as elsewhere in Hydra; with the tag ``log`` an interval is drawn by its logarithm. All else
    is a choice without an order.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if isinstance(value, IntervalSweep):
        low, high, log = value.start, value.end, "log" in value.tags
        assert low is not None
        assert high is not None
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=log)
        return FloatDistribution(float(low), float(high), log=log)
    values: list[Any] = list(override.sweep_iterator(transformer=Transformer.encode))
    if not isinstance(value, RangeSweep) or value.shuffle:
        return CategoricalDistribution(values)
    values.sort()
    step: Any = abs(value.step)
    if all(isinstance(number, int) for number in values):
        return IntDistribution(values[0], values[-1], step=int(step))
    return FloatDistribution(float(values[0]), float(values[-1]), step=float(step))


def tell(study: optuna.Study, trial: optuna.Trial, job: JobReturn) -> None:
    """Tell Optuna what became of a trial: its objectives, or that it has none, which it counts as failed.

    Of one that was pruned, its watcher has told that (`deepmatte.sweeps.pruning`).
    """
    from optuna.trial import TrialState

    value = job.return_value if job.status == JobStatus.COMPLETED else None
    values: list[Any] = list(value) if isinstance(value, Sequence) else [value]
    if all(isinstance(number, int | float) and math.isfinite(number) for number in values):
        study.tell(trial, values, skip_if_finished=True)
    else:
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


def write_best(study: optuna.Study, file: Path) -> None:
    """Write the best trial; with several objectives, those that no other beats in all."""
    if not search.complete(study):
        return
    best: dict[str, Any] = {"name": "optuna"}
    if len(study.directions) == 1:
        best |= {"best_params": dict(study.best_params), "best_value": study.best_value}
    else:
        best["solutions"] = [
            {"params": dict(trial.params), "values": list(trial.values)} for trial in study.best_trials
        ]
    write_text(file, OmegaConf.to_yaml(OmegaConf.create(best)))
