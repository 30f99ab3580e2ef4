"""Pruned trials: on known curves by known rules, across processes, recorded, and not run again."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.utils import JobStatus
from omegaconf import DictConfig, OmegaConf

from deepmatte.compare.records.reading import read_run
from deepmatte.errors import InputError
from deepmatte.runs.directory import PRUNED, RunDir
from deepmatte.sweeps import pruning, search, strategies, trials
from deepmatte.sweeps.search import count_trials, open_search, open_study, read_trials, trials_done
from deepmatte.sweeps.strategies import check_strategies, make_pruner

optuna = pytest.importorskip("optuna", minversion="4")

EPOCHS = 5


def config_of(directory: Path, number: int = 12, objective: str = "val/sad", **pruner: Any) -> DictConfig:
    """Return what a search with a pruner reads of a sweep's configuration."""
    sampler = {"name": "random", "seed": 3}
    return OmegaConf.create(
        {
            "name": "s",
            "objective": objective,
            "sweep": {"trials": number, "objectives": None},
            "hydra": {
                "sweep": {"dir": str(directory)},
                "sweeper": {"direction": "minimize", "n_jobs": 1, "sampler": sampler, "pruner": pruner},
            },
        }
    )


def curve(x: float) -> list[float]:
    """A known curve: it falls from x + 1, and the lower x, the later."""
    return [x + 1 / (1 + epoch * x) for epoch in range(EPOCHS)]


class Launcher:
    """Runs jobs here: writes the curve of each, a row an epoch, until its watch wants it to stop."""

    def __init__(self, config: DictConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.lengths: dict[float, int] = {}

    def launch(self, jobs: list[list[str]], initial_job_idx: int) -> list[SimpleNamespace]:
        ended = []
        for number, words in enumerate(jobs, start=initial_job_idx):
            x = float(words[0].removeprefix("x="))
            run = RunDir(self.folder / str(number))
            run.path.mkdir()
            hydra = OmegaConf.merge(self.config.hydra, {"job": {"num": number}})
            watched = pruning.watch(self.config, hydra, run)
            assert watched is not None
            rows, stop = ["epoch,step,train/loss,val/sad"], None
            for epoch, value in enumerate(curve(x)):
                rows += [f"{epoch},{epoch * 9},0.5,", f"{epoch},{epoch * 9 + 8},,{value!r}"]
                (run.path / "metrics.csv").write_text("\n".join(rows) + f"\n{epoch + 1},77,0.5,99")
                if (stop := watched()) is not None:
                    break
            self.lengths[x] = epoch + 1
            watched.end("finished" if stop is None else stop.status)
            value = min(curve(x)) if stop is None else None
            ended.append(SimpleNamespace(status=JobStatus.COMPLETED, return_value=value))
        return ended


def median_rule(xs: list[float], startup: int, warmup: int) -> dict[float, int]:
    """How many epochs each trial lives by the rule of the median, from its definition."""
    finished: list[list[float]] = []
    lengths = {}
    for x in xs:
        values, lengths[x] = curve(x), EPOCHS
        for epoch in range(warmup, EPOCHS):
            others = [other[epoch] for other in finished]
            if len(finished) >= startup and min(values[: epoch + 1]) > median(others):
                lengths[x] = epoch + 1
                break
        else:
            finished.append(values)
    return lengths


@pytest.mark.parametrize(("startup", "warmup"), [pytest.param(1, 0, marks=pytest.mark.slow), (3, 2)])
def test_the_median_rule_ends_the_trials_that_its_definition_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, startup: int, warmup: int
) -> None:
    monkeypatch.setattr(pruning, "EVERY_SECONDS", 0.0)
    config = config_of(tmp_path, name="median", n_startup_trials=startup, n_warmup_steps=warmup)
    launcher = Launcher(config, tmp_path)
    with open_search(config):
        trials.run_trials(config, launcher, None, ["x=interval(0.0,2.0)"])
    assert launcher.lengths == median_rule(list(launcher.lengths), startup, warmup)
    pruned = sum(length < EPOCHS for length in launcher.lengths.values())
    assert 0 < pruned < 12
    assert count_trials(tmp_path) == {"COMPLETE": 12 - pruned, "PRUNED": pruned}
    assert f"{12 - pruned} trials finished, {pruned} pruned, 0 failed, 0 to come" in search.outlook(config)
    for trial in read_trials(tmp_path):  # a row that is being written is not among them
        x = trial.params["x"]
        assert trial.intermediate_values == dict(enumerate(curve(x)[: launcher.lengths[x]]))
    again = Launcher(config, tmp_path / "again")
    with open_search(config):
        trials.run_trials(config, again, None, ["x=interval(0.0,2.0)"])
    assert again.lengths == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "pruner",
    [
        {"name": "hyperband", "max_resource": EPOCHS, "reduction_factor": 2},
        {"name": "halving", "reduction_factor": 2},
        {"name": "percentile", "percentile": 30.0, "n_startup_trials": 2},
        {"name": "threshold", "upper": 2.2},
    ],
    ids=lambda pruner: pruner["name"],
)
def test_other_pruners_end_what_they_end_within_optuna_s_own_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pruner: dict[str, Any]
) -> None:
    monkeypatch.setattr(pruning, "EVERY_SECONDS", 0.0)
    config, lengths = config_of(tmp_path, **pruner), {}
    launcher = Launcher(config, tmp_path)
    trials.run_trials(config, launcher, None, ["x=interval(0.0,2.0)"])

    def alone(trial: Any) -> float:
        x = trial.suggest_float("x", 0.0, 2.0)
        for epoch, value in enumerate(curve(x)):
            lengths[x] = epoch + 1
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return min(curve(x))

    sweeper = config.hydra.sweeper
    study = optuna.create_study(
        study_name="s", sampler=strategies.make_sampler(sweeper, 0), pruner=make_pruner(sweeper)
    )
    study.optimize(alone, n_trials=12)
    assert launcher.lengths == lengths
    assert len({*lengths.values()}) > 1
    assert OmegaConf.load(tmp_path / "optimization_results.yaml").best_params == study.best_params


def test_a_grid_and_a_search_without_a_pruner_have_no_watch(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    assert pruning.watch(config, config.hydra, RunDir(tmp_path)) is None
    grid = OmegaConf.create({"sweeper": {"_target_": "hydra._internal.BasicSweeper", "params": None}})
    assert pruning.watch(config, grid, RunDir(tmp_path)) is None
    config = config_of(tmp_path, name="median")
    open_study(config)
    with pytest.raises(InputError, match=r"trials\.log: has no running trial for job 77"):
        pruning.watch(config, OmegaConf.merge(config.hydra, {"job": {"num": 77}}), RunDir(tmp_path))


def _write(config: DictConfig, number: int) -> None:
    """Write 20 values of a trial into the record, from a process of its own."""
    job = search.load_trial(Path(config.hydra.sweep.dir), "s", number, make_pruner(config.hydra.sweeper))
    for step in range(20):
        job.report(float(step), step)


def test_watchers_in_other_processes_write_in_turn_and_mend_a_torn_line(tmp_path: Path) -> None:
    config = config_of(tmp_path, name="median")
    study = open_study(config)
    for number in range(3):
        study.ask().set_user_attr(search.JOB, number)
    with (tmp_path / "trials.log").open("a") as file:
        file.write('{"op_code": 6, "wor')
    processes = [
        multiprocessing.get_context("fork").Process(target=_write, args=(config, number))
        for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    values = {step: float(step) for step in range(20)}
    assert [trial.intermediate_values for trial in read_trials(tmp_path)] == [values] * 3


def test_pruners_that_cannot_work_are_refused_before_the_first_trial(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pruner\.name=medium: is no pruner; did you mean `median`"):
        check_strategies(config_of(tmp_path, name="medium"))
    with pytest.raises(InputError, match=r"hydra\.sweeper\.pruner: .*startups"):
        check_strategies(config_of(tmp_path, name="median", startups=3))
    with pytest.raises(InputError, match=r"judges one score of the validation, not test/sad"):
        check_strategies(config_of(tmp_path, name="median", objective="test/sad"))
    two = config_of(tmp_path, name="median")
    two.sweep.objectives = ["val/sad", "cost/seconds"]
    with pytest.raises(InputError, match="not val/sad, cost/seconds"):
        check_strategies(two)
    two.hydra.sweeper.pruner.name = "none"
    check_strategies(two)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_processes_of_pruned_trials_end_and_are_not_started_again(stubbed, launcher: str) -> None:
    """The stub's curve is flat at 1 / (1 + rate). One after another: the rule of the median holds exactly."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher") if launcher == "joblib" else None
    words = (
        *("hydra/sweeper=tpe", "hydra.sweeper.sampler.name=random", f"hydra/launcher={launcher}"),
        *("optimizer.lr=interval(0,3)", f"hydra.sweeper.n_jobs={1 + (launcher == 'joblib')}"),
        *("hydra.sweeper.pruner.name=median", "+hydra.sweeper.pruner.n_startup_trials=2"),
    )
    steps = {"STUB_STEPS": "40", "STUB_PAUSE": "0.1"}
    code, output = stubbed.run(*words, "sweep.trials=8", **steps)
    assert code == 0, output
    study = stubbed.home / "runs/s"
    counts = count_trials(study)
    assert counts["PRUNED"] > 0
    assert counts["COMPLETE"] + counts["PRUNED"] == trials_done(study) == 8
    found = {trial.params["optimizer.lr"]: trial.state.name for trial in read_trials(study)}
    if launcher == "basic":
        finished: list[float] = []
        for rate, state in found.items():
            behind = len(finished) >= 2 and 1 / (1 + rate) > median(finished)
            assert state == ("PRUNED" if behind else "COMPLETE")
            finished += [] if behind else [1 / (1 + rate)]
    for record in stubbed.records().values():
        rate = float(next(w for w in record["overrides"] if w.startswith("optimizer.lr=")).partition("=")[2])
        assert record["status"] == {"PRUNED": PRUNED, "COMPLETE": "finished"}[found[rate]]
    pruned = [RunDir(file.parent) for file in study.glob("*/result.json") if '"pruned"' in file.read_text()]
    for run in pruned:
        assert len((run.path / "steps.log").read_text().splitlines()) < 40
        excluded = read_run(run.path)
        assert excluded.status == PRUNED
        assert excluded.reason.startswith("pruned by hydra.sweeper.pruner.name=median: val/sad")
    code, output = stubbed.run(*words, "sweep.trials=9", **steps)
    assert output.count("start     ") == 1, output
    assert not stubbed.jobs()
