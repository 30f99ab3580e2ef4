"""Tuning before a race, on written records: one budget, by validation alone, then the race at what won."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulated_race import Sweep

from deepmatte.cli.study import main as study_main
from deepmatte.compare.comparison import compare
from deepmatte.compare.race_view import race_of
from deepmatte.compare.racing import Plan
from deepmatte.compare.records.grouping import TUNING_FILE
from deepmatte.errors import InputError
from deepmatte.studies.page import write_page
from deepmatte.studies.race import Limits, run_race
from deepmatte.studies.study import Study, find_study, tables

EXPERIMENT = """# @package _global_
# Claim under test: none.

name: small
study:
  tune: {key: optimizer.lr, values: [0.002, 0.005, 0.0125], seeds: [100, 101]}
hydra:
  mode: MULTIRUN
  sweeper: {params: {loss: "alpha,dice,bce", seed: "${seeds}"}}
"""

BEST = {"alpha": "0.005", "dice": "0.0125", "bce": "0.002"}
PLAN = Plan(most=4)


class Tuned(Sweep):
    """A sweep whose losses have planted best rates; every other one costs 3 % in validation, at least."""

    def __call__(self, study: Study) -> int:
        code = super().__call__(study)
        for file in study.sweep.glob("*/result.json"):
            result = json.loads(file.read_text())
            words = dict(word.split("=") for word in result["overrides"])
            if "optimizer.lr" in words and result["scores"]:
                off = abs(float(words["optimizer.lr"]) - float(BEST[words["loss"]]))
                result["scores"]["val/sad"] = 10 * (1 + 10 * off) + 0.001 * int(words["seed"])
                file.write_text(json.dumps(result))
        return code


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """An experiment of three losses that tunes their rates, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "small.yaml").write_text(EXPERIMENT)
    return find_study("small")


def test_each_setting_is_raced_at_its_best_rate_after_one_budget(study: Study, tmp_path: Path) -> None:
    sweep = Tuned({"alpha": 10, "dice": 10.1, "bce": 30})
    assert run_race(study, PLAN, Limits(hours=100), run=sweep) == 0
    first, *others = sweep.calls
    assert first == ("name=small_tuning", "optimizer.lr=0.002,0.005,0.0125", "seed=100,101")
    assert len(list(Path("runs/small_tuning").glob("*/result.json"))) == 3 * 3 * 2
    raced = {(word[0], word[1]) for call in others for word in [call]}
    assert {(f"loss={loss}", f"optimizer.lr={rate}") for loss, rate in BEST.items()} == {
        pair for pair in raced if pair[0].count(",") == 0
    }
    record = json.loads((study.sweep / TUNING_FILE).read_text())
    assert record["chosen"] == BEST
    assert record["runs"] == 18
    comparison = compare([study.sweep])
    assert {item.name for item in comparison.settings} == set(BEST), "the rate is no factor"
    assert race_of(comparison) is not None
    (runs,) = tables(study)
    text = write_page(study, [(runs, [])], tmp_path).read_text()
    assert (
        "Tuned for each setting with one budget: optimizer.lr by val/sad, 2 seeds of each value, 18 runs"
        in text
    )
    assert "| val/sad at optimizer.lr | 0.002 | 0.005 | 0.0125 |" in text
    assert "| bce | **10.1** |" in text
    assert sum("**" in row for row in text.splitlines() if row.startswith(("| alpha |", "| dice |"))) >= 2
    assert run_race(study, PLAN, Limits(hours=100), run=sweep) == 0, "it resumes, and nothing is tuned again"
    with pytest.raises(InputError, match="is of a race with other"):
        run_race(find_study("small", ["study.tune=null"]), PLAN, Limits(hours=100), run=sweep)


def test_without_tuning_the_page_names_the_one_rate(study: Study, tmp_path: Path) -> None:
    plain = find_study("small", ["study.tune=null"])
    sweep = Sweep({"alpha": 10, "dice": 10.1, "bce": 30})
    assert run_race(plain, PLAN, Limits(hours=100), run=sweep) == 0
    (runs,) = tables(plain)
    text = write_page(plain, [(runs, [])], tmp_path).read_text()
    assert "All settings train at one learning rate, 0.001 (optimizer.lr): none was tuned" in text


def test_a_tuning_that_is_stopped_or_failed_ends_the_race(study: Study) -> None:
    assert run_race(study, PLAN, Limits(hours=1), run=lambda _: 3) == 3
    failing = Tuned({"alpha": 10, "dice": 10.1, "bce": 30})
    failing.failing = {"bce"}
    with pytest.raises(
        InputError, match="runs/small_tuning: no finished run of bce; see `deepmatte sweep status"
    ):
        run_race(study, PLAN, Limits(hours=1), run=failing)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.lr=0.1"], "optimizer.lr=0.1: this experiment tunes it; study.tune=null sets it for all"),
        (["study.tune.seeds=[1,100]"], "study.tune.seeds: 1 will be raced"),
        (["study.tune.values=[0.1]"], "study.tune: .*give a key, 2 values or more and whole seeds"),
        (["study.tune=5"], "study.tune: give key, values and seeds"),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_one_line(study: Study, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_race(find_study("small", words), PLAN, Limits(hours=1), run=lambda _: 0)


def test_a_study_that_tunes_is_a_race(study: Study) -> None:
    with pytest.raises(
        InputError, match="small: tunes its settings first, as races do: deepmatte race small"
    ):
        study_main(["small"])
