"""Races on records that are written instead of trained: dropping, stopping, hours, resuming, the grid."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from simulated_race import Sweep

from deepmatte.cli.race import main
from deepmatte.compare.racing import Plan
from deepmatte.compare.records.races import RACE_FILE
from deepmatte.errors import InputError
from deepmatte.studies.race import Limits, run_race
from deepmatte.studies.race_grid import blocks, grid_of
from deepmatte.studies.study import Study, find_study

EXPERIMENT = """# @package _global_
# Claim under test: none.

name: small
hydra:
  mode: MULTIRUN
  sweeper: {params: {loss: "alpha,dice,bce", seed: "${seeds}"}}
"""

PLAN = Plan(most=6)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """An experiment of three losses in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "small.yaml").write_text(EXPERIMENT)
    return find_study("small")


def record_of(study: Study) -> dict:
    """Return ``race.json``."""
    return json.loads((study.sweep / RACE_FILE).read_text())


def test_what_is_far_behind_is_dropped_and_gets_no_more_seeds(study: Study, capsys) -> None:
    sweep = Sweep({"alpha": 10, "dice": 10.0, "bce": 30})
    assert run_race(study, PLAN, Limits(hours=100), run=sweep) == 0
    assert sweep.calls[0] == ("loss=alpha,dice,bce", "seed=0,1")
    dropped = next(
        number for number, item in enumerate(record_of(study)["rounds"]) if "bce" not in item["survivors"]
    )
    after = sweep.calls[dropped + 1 :]
    assert after
    assert all("bce" not in word for call in after for word in call)
    assert [call[-1] for call in sweep.calls] == ["seed=0,1", "seed=2,3", "seed=4,5"]
    out = capsys.readouterr().out
    assert sum(line.startswith("dropped   bce: ") for line in out.splitlines()) == 1
    assert "round 1 of 3, 2 seeds: " in out
    assert "all 6 seeds of the plan have run: " in out
    assert f"{len(sweep.trained)} runs instead of 18" in out
    assert len(sweep.trained) < 18
    assert sorted(re.search("^left      loss=(.+)$", out, re.M)[1].split(",")) == ["alpha", "dice"]


def test_one_survivor_ends_the_race(study: Study, capsys) -> None:
    sweep = Sweep({"alpha": 10, "dice": 40, "bce": 90}, noise=0.02)
    assert run_race(study, PLAN, Limits(hours=100), run=sweep) == 0
    assert len(sweep.calls) == 1
    assert "decided: alpha is the best of 3 settings" in capsys.readouterr().out
    assert record_of(study)["ended"] == "decided: alpha is the best of 3 settings"


def test_equal_settings_end_the_race(study: Study, capsys) -> None:
    sweep = Sweep({"alpha": 10, "dice": 10, "bce": 10}, noise=1e-4)
    assert run_race(study, PLAN, Limits(hours=100), run=sweep) == 0
    assert len(sweep.calls) == 1
    assert "are equal within 3 %" in capsys.readouterr().out


def test_the_wanted_difference_ends_the_race(study: Study, capsys) -> None:
    sweep = Sweep({"alpha": 10, "dice": 10, "bce": 10})
    assert run_race(study, PLAN, Limits(detect=900.0), run=sweep) == 0
    assert len(sweep.calls) == 1
    assert "900 % would be detected: " in capsys.readouterr().out


def test_no_round_starts_that_would_exceed_the_hours_and_more_hours_resume_the_race(
    study: Study, capsys
) -> None:
    """Runs of seeds 0, 1, 2, ... take 60, 61, 62, ... s, two at a time: the first round takes 181.5 s."""
    sweep = Sweep({"alpha": 10, "dice": 10, "bce": 10})
    assert run_race(study, PLAN, Limits(hours=362 / 3600), run=sweep) == 0
    assert len(sweep.calls) == 1
    assert "the hours are spent (3 min of 0.100556 h" in capsys.readouterr().out
    assert run_race(study, PLAN, Limits(hours=364 / 3600), run=sweep) == 0
    assert [call[-1] for call in sweep.calls] == ["seed=0,1", "seed=2,3"]
    assert "resuming after round 1 with " in capsys.readouterr().out


def test_an_interrupted_race_ends_as_one_that_was_not(study: Study) -> None:
    means = {"alpha": 10, "dice": 10.1, "bce": 30}
    whole, broken = Sweep(means), Sweep(means)
    assert run_race(study, PLAN, Limits(hours=100), run=whole) == 0
    expected = record_of(study)
    study.sweep.rename(study.sweep.with_name("whole"))
    for broken.stop_after in (4, 8):
        with pytest.raises(KeyboardInterrupt):
            run_race(study, PLAN, Limits(hours=100), run=broken)
    broken.stop_after = 1000
    assert run_race(study, PLAN, Limits(hours=100), run=broken) == 0
    assert record_of(study) == expected
    assert sorted(broken.trained) == sorted(whole.trained)  # nothing was trained twice


def test_a_setting_that_fails_leaves_the_race(study: Study, capsys) -> None:
    sweep = Sweep({"alpha": 10, "dice": 10, "bce": 10})
    sweep.failing = {"bce"}
    assert run_race(study, PLAN, Limits(hours=100), run=sweep) == 0
    assert sorted(sweep.calls[1][0].removeprefix("loss=").split(",")) == ["alpha", "dice"]
    assert "failed    bce: fewer than 2 finished runs" in capsys.readouterr().out


def test_a_refused_sweep_ends_the_race_with_its_code_and_records_nothing(study: Study) -> None:
    assert run_race(study, PLAN, Limits(hours=1), run=lambda _: 2) == 2
    assert not (study.sweep / RACE_FILE).exists()
    with pytest.raises(InputError, match="lacks jobs of alpha, dice and bce"):
        run_race(study, PLAN, Limits(hours=1), run=lambda _: 1)


def test_a_race_is_not_resumed_with_another_plan(study: Study) -> None:
    sweep = Sweep({"alpha": 10, "dice": 10, "bce": 10})
    assert run_race(study, PLAN, Limits(hours=0.01), run=sweep) == 0
    with pytest.raises(InputError, match=r"race\.json: is of a race with other most \(6, now 8\)"):
        run_race(study, Plan(most=8), Limits(hours=0.01), run=sweep)
    with pytest.raises(InputError, match="with other overrides"):
        run_race(find_study("small", ["budget=full"]), PLAN, Limits(hours=0.01), run=sweep)
    assert run_race(find_study("small", ["hydra/launcher=basic"]), PLAN, Limits(hours=0.01), run=sweep) == 0
    (study.sweep / RACE_FILE).write_text("{")
    with pytest.raises(InputError, match="not readable as a race"):
        run_race(study, PLAN, Limits(hours=0.01), run=sweep)


def test_blocks_hold_each_point_once() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        points = [point for point in itertools.product("abc", "12", "xyz") if rng.random() < 0.5] or [
            ("a", "1", "x")
        ]
        held = [point for block in blocks(points) for point in itertools.product(*block)]
        assert sorted(held) == sorted(points)


def test_survivors_of_several_keys_are_run_as_blocks_of_the_grid(study: Study) -> None:
    both = find_study("small", ["optimizer.lr=0.1,0.2", "budget=laptop"])
    grid = grid_of(both)
    assert grid.keys == ("loss", "optimizer.lr")
    assert len(grid.settings) == 6
    names = [name for name, point in grid.settings.items() if point != ("bce", "0.1")]
    assert [sweep.overrides for sweep in grid.sweeps(both, names, [2, 3])] == [
        ("budget=laptop", "loss=alpha,dice", "optimizer.lr=0.1,0.2", "seed=2,3"),
        ("budget=laptop", "loss=bce", "optimizer.lr=0.2", "seed=2,3"),
    ]
    assert grid.setting_of(["budget=laptop", "optimizer.lr=0.2", "loss=bce", "seed=3"]) == names[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --hours, --detect, or both"),
        (["--hours", "0"], "--hours 0: give a number above 0"),
        (["--hours", "1", "--first", "1"], "the first round needs 2 seeds or more"),
        (["--hours", "1", "seed=1,2"], "seed=1,2: a race chooses its seeds"),
        (["--hours", "1", "loss=dice"], "has only one setting"),
    ],
)
def test_what_cannot_be_raced_is_refused_in_one_line(study: Study, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        main(["small", *words])


def test_the_command_races_with_the_margin_and_metric_of_the_experiment(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list = []
    pages: list = []
    monkeypatch.setattr("deepmatte.studies.race.run_race", lambda *found: seen.append(found) or 0)
    monkeypatch.setattr("deepmatte.studies.publish.publish", lambda *found: pages.append(found))
    assert main(["small", "--detect", "5%", "--most", "8", "budget=laptop"]) == 0
    (found,) = seen
    assert found[1:] == (Plan(2, 2, 8, 3.0), Limits(None, 5.0), "sad")
    assert found[0].overrides == ("budget=laptop",)
    assert pages == [(found[0], None)]
