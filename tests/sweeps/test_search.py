"""Searches: stopped and continued, failures counted and survived, several objectives."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deepmatte.sweeps.search import count_trials, sampler_seed, trials_left


def make_study(file: Path, states: list[str]) -> None:
    """Write the table of a study, as far as it is read."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE trials (trial_id INTEGER PRIMARY KEY, state VARCHAR(8))")
        database.executemany("INSERT INTO trials (state) VALUES (?)", [(state,) for state in states])


def test_failed_trials_count_and_broken_ones_are_still_to_come(tmp_path: Path) -> None:
    assert trials_left(10, str(tmp_path)) == 10
    with closing(sqlite3.connect(tmp_path / "study.db")) as database:  # a launcher begins to write its tables
        database.execute("CREATE TABLE studies (study_id INTEGER PRIMARY KEY)")
    assert count_trials(tmp_path / "study.db") == {}
    make_study(tmp_path / "study.db", ["COMPLETE"] * 3 + ["FAIL"] * 2 + ["RUNNING", "WAITING"])
    assert count_trials(tmp_path / "study.db") == {"COMPLETE": 3, "FAIL": 2, "RUNNING": 1, "WAITING": 1}
    assert trials_left(10, str(tmp_path)) == 5
    assert trials_left(4, str(tmp_path)) == 0
    assert sampler_seed(3, str(tmp_path)) == 10


@pytest.mark.slow
def test_a_search_that_is_killed_is_continued_to_its_number_of_trials(stubbed) -> None:
    """The stub's score grows with a lower rate; 1e30 fails, so some trials do. 6 trials over two calls."""
    words = (
        "hydra/sweeper=tpe",
        "optimizer.lr=choice(1e30,1e-3,1e-2,1e-1)",
        "seed=choice(0,1)",
        "sweep.trials=6",
    )
    study = stubbed.home / "runs/s/study.db"
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
    from omegaconf import OmegaConf

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
    from omegaconf import OmegaConf

    words = ("experiments=sad_against_seconds", "sweep.trials=3", "name=s")
    code, output = stubbed.run(*words)
    assert code == 0, output
    front = OmegaConf.load(stubbed.home / "runs/s/optimization_results.yaml")
    assert front.solutions
    assert all(len(solution["values"]) == 2 for solution in front.solutions)
