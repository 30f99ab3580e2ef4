"""Planned tests: chosen pairs, the best setting against methods, and settings that failed to train."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from study_records import write_record

from deepmatte.compare.comparison import Comparison, compare
from deepmatte.compare.planned_tests import compare_pairs, compare_with_methods
from deepmatte.compare.records.reading import Run, read_run
from deepmatte.reports.planned_tests_section import failed_settings, methods_section, pairs_section, remarks
from deepmatte.reports.study_figures import loss_figure

SEEDS = (0.0, 0.3, 0.1)
"""What a seed adds to the score of each picture."""


def record(folder: Path, sad: float, **more: object) -> Path:
    """A record with two metrics only, which are compared sooner than five."""
    write_record(folder, sad, **more)
    table = pd.read_csv(folder / "per_image.csv")
    table[["image", "foreground", "category", "sad", "miou"]].to_csv(folder / "per_image.csv", index=False)
    return folder


def sweep(folder: Path, **scores: float) -> Comparison:
    """Settings of three seeds; SAD is the setting's, plus a seed's, plus a tenth of the picture's number."""
    for loss, sad in scores.items():
        for seed, share in enumerate(SEEDS):
            record(folder / f"{loss}{seed}", sad + share, overrides=(f"loss={loss}",), seed=seed)
    return compare([folder])


def method(folder: Path, sad: float, name: str = "kmeans") -> Run:
    run = read_run(record(folder, sad, method=name, mode="trimap given"))
    assert isinstance(run, Run)
    return run


def test_pairs_come_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    comparison = sweep(tmp_path, a=9.0, b=7.0, c=7.0)
    found = {
        (item.first, item.second): item
        for item in compare_pairs(comparison, {"a": "b", "b": "a", "b ": "none", "c": "b"})
    }
    assert list(found) == [("a", "b"), ("b", "a"), ("c", "b")]
    assert found["a", "b"].estimate.mean == pytest.approx(2)
    assert found["b", "a"].estimate.mean == pytest.approx(-2)
    one, other = found["a", "b"], found["b", "a"]
    assert (1 + one.percent_low / 100) * (1 + other.percent_high / 100) == pytest.approx(1, rel=1e-3), (
        "the ratio turned round"
    )
    assert (found["a", "b"].wins, found["b", "a"].wins, found["c", "b"].wins) == (0, 1, 0.5)
    text = "\n".join(pairs_section(comparison, {"a": "b", "c": "b"}))
    assert re.search(
        r"In SAD worse \((very )?strong evidence\): a than b; not shown to differ: c from b\.", text
    )
    assert "- a minus b: +2 (+27 %, 95 % interval +" in text
    assert pairs_section(comparison, {}) == pairs_section(comparison, {"x": "y"}) == []


def test_the_correction_is_over_the_chosen_pairs_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for loss in "abcd":
        for seed in range(3):
            record(tmp_path / f"{loss}{seed}", 9 + rng.normal(), overrides=(f"loss={loss}",), seed=seed)
    comparison = compare([tmp_path])
    (one,) = compare_pairs(comparison, {"a": "b"})
    assert one.p_adjusted == pytest.approx(one.estimate.p)
    two = compare_pairs(comparison, {"a": "b", "c": "d"})
    smallest = min(two, key=lambda item: item.estimate.p)
    assert smallest.estimate.p < smallest.p_adjusted <= min(1, 2.1 * smallest.estimate.p)


def test_against_a_method_the_seeds_are_the_sample(tmp_path: Path) -> None:
    """Seeds differ by the same in all pictures, so Student's test of the seeds is the oracle."""
    comparison = sweep(tmp_path / "runs", dice=7.0)
    (item,) = compare_with_methods(comparison, [method(tmp_path / "kmeans", 7.5)], "sad")
    mean = 7.25 + np.mean(SEEDS)
    ratio, error = mean / 7.75, np.std(SEEDS, ddof=1) / math.sqrt(3) / mean
    assert item.second == "kmeans"
    assert item.estimate.mean == pytest.approx(mean - 7.75)
    assert item.on_test_set.p_adjusted == pytest.approx(2 * stats.t.sf(abs(math.log(ratio)) / error, 2))
    bounds = 100 * np.expm1(stats.t.interval(0.95, 2, math.log(ratio), error))
    assert (item.on_test_set.low, item.on_test_set.high) == pytest.approx(tuple(bounds))
    assert item.wins == 1


def test_the_best_setting_is_judged_beside_each_method(tmp_path: Path) -> None:
    comparison = sweep(tmp_path / "runs", alpha=9.0, dice=7.0)
    homes = [
        method(tmp_path / name, sad, name).path
        for name, sad in (("bad", 20.0), ("good", 1.0), ("alike", 7.13))
    ]
    text = "\n".join(methods_section(comparison, homes))
    assert "The best setting, dice, is in SAD better (" in text
    assert ") than bad; worse (" in text
    assert ") than good; not shown to differ from alike." in text
    assert "- dice minus good: +6.133 (+" in text
    assert methods_section(comparison, []) == []
    # In the records mIoU is the same number as SAD, but the larger one is the better.
    text = "\n".join(methods_section(compare([tmp_path / "runs"], "miou"), homes))
    assert "alpha, is in MIOU better (" in text
    assert ") than good and alike; worse (" in text
    assert "It is in SAD better (" in text
    assert ") than bad; worse (" in text


def test_a_method_that_was_scored_on_other_pictures_is_excluded(tmp_path: Path) -> None:
    comparison, other = sweep(tmp_path / "runs", dice=7.0), method(tmp_path / "other", 7.5)
    table = other.images.assign(image=[f"x{name}" for name in other.images["image"]])
    assert compare_with_methods(comparison, [Run(other.path, other.result, table)], "sad") == []


def test_settings_that_failed_to_train_are_named(tmp_path: Path) -> None:
    """Each record says that the trivial matte scores as its run; the first one's, 9.25, counts."""
    comparison = sweep(tmp_path / "a", alpha=9.0, dice=7.0)
    assert failed_settings(comparison) == ["On average no better than the trivial matte (9.25): alpha."]
    for seed in (0, 1):  # whose sigmoids differ in their last digits
        record(tmp_path / f"a/dead{seed}", 30.0 + 1e-3 * seed, overrides=("loss=dead",), seed=seed)
    lines = failed_settings(compare([tmp_path / "a"]))
    assert lines[0].endswith(": alpha and dead.")
    assert lines[1].endswith("as networks that died: dead.")


def test_remarks_are_counted() -> None:
    assert (
        remarks({"a": {"1": "x", "2": "x", "3": "y"}, "b": {}})
        == "Notes. a: x (2 pictures); a: y (1 picture)."
    )
    assert remarks({"b": {}}) == ""


def test_a_line_of_one_epoch_is_not_drawn(tmp_path: Path) -> None:
    comparison = sweep(tmp_path, alpha=9.0, dice=7.0)
    assert loss_figure(comparison) is not None
    for run in comparison.runs:
        (run.path / "metrics.csv").write_text("epoch,step,train/loss,val/loss\n0,0,4,\n0,1,,5\n")
    assert loss_figure(comparison) is None
