"""Searches: stopped and continued, failures counted and survived, several objectives."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.utils import JobStatus
from omegaconf import DictConfig, OmegaConf

from deepmatte.errors import InputError
from deepmatte.sweeps import search, strategies, trials
from deepmatte.sweeps.search import count_trials, num_trials, open_search, open_study, trials_done

optuna = pytest.importorskip("optuna", minversion="4")


def config_of(directory: Path, **sweeper: Any) -> DictConfig:
    """Return what a search reads of a sweep's configuration."""
    return OmegaConf.create(
        {
            "name": "s",
            "objective": "val/sad",
            "sweep": {"trials": 5, "objectives": None},
            "hydra": {
                "sweep": {"dir": str(directory)},
                "sweeper": {"direction": "minimize", "n_jobs": 2, "sampler": {"name": "random"}, **sweeper},
            },
        }
    )


class Launcher:
    """Runs jobs here: those whose x is above 0.8 have no objective, those of a limit are killed."""

    def __init__(self, most: int = 99) -> None:
        self.most, self.launched = most, []

    def launch(self, jobs: list[list[str]], initial_job_idx: int) -> list[SimpleNamespace]:
        self.launched += jobs
        if len(self.launched) > self.most:
            raise KeyboardInterrupt
        values = [float(words[0].removeprefix("x=")) for words in jobs]
        objectives = [None if value > 0.8 else (value - 0.3) ** 2 for value in values]
        return [SimpleNamespace(status=JobStatus.COMPLETED, return_value=value) for value in objectives]


def test_a_search_that_is_killed_runs_its_open_trials_again_and_counts_them_once(tmp_path: Path) -> None:
    """Two trials at once, of which a kill ends the second pair; five in all, whatever their numbers are."""
    config, words = config_of(tmp_path), ["x=interval(0.0,1.0)", "loss=dice"]
    killed, second = Launcher(most=2), Launcher()
    with open_search(config), pytest.raises(KeyboardInterrupt):
        trials.run_trials(config, killed, None, words)
    assert count_trials(tmp_path)["RUNNING"] == 2
    assert trials_done(tmp_path) == 2
    with (tmp_path / "trials.log").open("a") as file:
        file.write('{"op_code": 6, "wor')  # all that a full disk took
    assert trials_done(tmp_path) == 2
    with open_search(config):
        counts = count_trials(tmp_path)
        assert (counts["RUNNING"], counts["WAITING"]) == (0, 2)
        trials.run_trials(config, second, None, words)
    assert second.launched[:2] == killed.launched[2:]
    assert all(job[1:] == ["loss=dice"] for job in second.launched)
    assert trials_done(tmp_path) == num_trials(tmp_path) == 5
    everything = [*killed.launched[:2], *second.launched]
    values = [float(job[0][2:]) for job in everything]
    assert len({*values}) == 5  # the sampler doesn't repeat its first draws
    assert count_trials(tmp_path)["FAIL"] == sum(value > 0.8 for value in values)
    best = OmegaConf.load(tmp_path / "optimization_results.yaml")
    expected = min((value for value in values if value <= 0.8), key=lambda value: (value - 0.3) ** 2)
    assert best.best_params == {"x": expected}
    assert search.outlook(config).endswith("0 to come")


def test_a_search_without_a_finished_trial_has_no_best(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    trials.run_trials(config, Launcher(), None, ["x=interval(0.9,1.0)"])
    assert count_trials(tmp_path) == {"FAIL": 5}
    assert not search.has_best(config)
    assert search.best(config) == []


@pytest.mark.parametrize(
    ("word", "drawn"),
    [
        ("x=int(interval(1,8))", optuna.distributions.IntDistribution(1, 8)),
        ("x=interval(1,8)", optuna.distributions.FloatDistribution(1, 8)),
        ("x=tag(log,interval(1e-4,1))", optuna.distributions.FloatDistribution(1e-4, 1, log=True)),
        ("x=range(1,8,2)", optuna.distributions.IntDistribution(1, 7, step=2)),
        ("x=range(8,1,-2)", optuna.distributions.IntDistribution(2, 8, step=2)),
        ("x=range(0,0.5,0.25)", optuna.distributions.FloatDistribution(0, 0.25, step=0.25)),
        ("x=range(16,65,16)", optuna.distributions.IntDistribution(16, 64, step=16)),
        ("x=shuffle(range(1,3))", {1, 2}),
        ("x=a,null,1.5,true", {"a", "null", 1.5, True}),
        ("x=[1,2],[3]", {"[1,2]", "[3]"}),
    ],
)
def test_what_optuna_draws_from_is_what_hydra_means(word: str, drawn: Any) -> None:
    (found,) = trials.read_space([word])[0].values()
    if isinstance(drawn, set):
        assert {*found.choices} == drawn
    else:
        assert found == drawn


def test_the_last_word_on_a_key_counts_and_single_values_are_not_searched() -> None:
    space, fixed = trials.read_space(["x=1,2", "+y=3", "~z", "x=interval(0,1)", "seed=1,2", "seed=4"])
    assert list(space) == ["x"]
    assert fixed == ["+y=3", "~z", "seed=4"]


def test_bad_searches_end_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sampler\.name=tep: is no sampler; did you mean `tpe`"):
        strategies.make_sampler(OmegaConf.create({"sampler": {"name": "tep"}}), 0)
    with pytest.raises(InputError, match=r"hydra\.sweeper\.sampler: .*startups"):
        strategies.make_sampler(OmegaConf.create({"sampler": {"name": "tpe", "startups": 3}}), 0)
    open_study(config_of(tmp_path))
    with pytest.raises(InputError, match=r"was begun with hydra\.sweeper\.direction="):
        open_study(config_of(tmp_path, direction=["minimize", "minimize"]))
    (tmp_path / "trials.log").write_text("no record\nof Optuna\n")
    with pytest.raises(InputError, match=r"trials\.log: not a record of Optuna"):
        count_trials(tmp_path)
    (tmp_path / "trials.log").rename(tmp_path / "study.db")
    with pytest.raises(InputError, match=r"study\.db: is of a search by an older deepmatte"):
        open_search(config_of(tmp_path))


@pytest.mark.slow
def test_a_search_that_is_killed_is_continued_to_its_number_of_trials(stubbed) -> None:
    """The stub's score grows with a lower rate; 1e30 fails, so some trials do. 6 trials over two calls."""
    words = (
        "hydra/sweeper=tpe",
        "optimizer.lr=choice(1e30,1e-3,1e-2,1e-1)",
        "seed=choice(0,1)",
        "sweep.trials=6",
    )
    study = stubbed.home / "runs/s"
    first = stubbed.start(*words, STUB_PAUSE="0.5")
    stubbed.wait_for(lambda: sum(count_trials(study).values()) >= 3)
    first.kill()
    before = count_trials(study)
    assert before["RUNNING"] == 1
    code, output = stubbed.run(*words)
    counts = count_trials(study)
    assert sum(counts.values()) == counts.get("COMPLETE", 0) + counts.get("FAIL", 0) == 6, output
    assert max(stubbed.steps().values()) == 1
    assert code == (1 if counts.get("FAIL") else 0)
    assert "trials finished" in output
    assert (stubbed.home / "runs/s/optimization_results.yaml").is_file()
    code, output = stubbed.run(*words)  # nothing is left to do
    assert "start     " not in output
    assert "best      val/sad" in output


@pytest.mark.slow
def test_a_search_of_failures_ends_in_words(stubbed) -> None:
    """Optuna itself ends in a traceback where it is asked for the best of no trials."""
    code, output = stubbed.run("hydra/sweeper=tpe", "optimizer.lr=1e30", "seed=choice(0,1)", "sweep.trials=2")
    assert code == 1
    assert "Traceback" not in output
    assert output.strip().splitlines()[-1].startswith("deepmatte: no trial of the search has finished")
    assert output.count("failed    [") == 2
    assert "float-castable" not in output


def test_a_lost_job_of_a_queue_closes_the_sweep_in_words_and_a_defect_is_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepmatte.sweeps.ending import SweepGuard, given_up

    lost = type("UncompletedJobError", (RuntimeError,), {"__module__": "submitit.core.utils"})(
        "Job 7_0\nhas not produced any output"
    )
    assert given_up(lost) is None  # no sweep is at work
    grid = OmegaConf.create(
        {"hydra": {"sweep": {"dir": str(tmp_path)}, "sweeper": {"_target_": "hydra.BasicSweeper"}}}
    )
    closed: list[object] = []
    monkeypatch.setattr(SweepGuard, "on_multirun_end", lambda self, config, **kwargs: closed.append(config))
    monkeypatch.setattr(SweepGuard, "active", (SweepGuard(), grid))
    assert given_up(ValueError("a defect")) is None
    assert closed == []
    assert given_up(lost).startswith("the queue lost a job (Job 7_0 has not produced any output")
    assert closed == [grid]


@pytest.mark.slow
def test_two_objectives_give_a_front(stubbed) -> None:
    words = ("experiments=sad_against_seconds", "sweep.trials=3", "name=s")
    code, output = stubbed.run(*words)
    assert code == 0, output
    front = OmegaConf.load(stubbed.home / "runs/s/optimization_results.yaml")
    assert front.solutions
    assert all(len(solution["values"]) == 2 for solution in front.solutions)
