"""Runs compared by their evaluations on other data sets: one set, and several with a verdict over all."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from simulated_evaluations import RNG, SETS, json_of, write_sweep
from simulated_runs import PER_FOREGROUND, write_run

from deepmatte.cli.compare import main
from deepmatte.compare.evaluations import SeveralSets, compare_evaluations, read_evaluations
from deepmatte.errors import InputError


def test_evaluations_take_the_place_of_the_runs_own_scores(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "sweep")
    own, other = (json_of(folder, *words) for words in ((), ("--on", "alphamatting_test")))
    assert [item["setting"] for item in own["settings"]] == ["alpha", "dice"]
    assert [item["setting"] for item in other["settings"]] == ["alpha", "dice"]
    assert [item["seeds"] for item in other["settings"]] == [[0, 1, 2], [0, 1, 2]]
    assert own["metrics"]["sad"]["scores"][0]["setting"] == "dice"
    assert other["metrics"]["sad"]["scores"][0]["setting"] == "alpha"
    assert other["dataset"]["name"] == "alphamatting"


def test_the_verdict_over_all_is_the_mean_of_log_ratios(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "sweep")
    found = compare_evaluations([folder], list(SETS), "sad", None)
    assert isinstance(found, SeveralSets)
    ratios = []
    for name in SETS:
        (item,) = found.sets[name].decisive.differences
        ratios.append(math.log(1 + item.percent / 100))
    (item,) = found.over_all.decisive.differences
    assert (item.first, item.second) == ("dice", "alpha")
    assert math.log(1 + item.percent / 100) == pytest.approx(np.mean(ratios))
    assert item.distinguishable
    scores = {score.setting: score.estimate.mean for score in found.over_all.decisive.scores}
    means = [
        np.mean([run.images["sad"].mean() for run in found.sets[name].setting("alpha").runs]) for name in SETS
    ]
    assert scores["alpha"] == pytest.approx(stats.gmean(means))


def test_scores_over_all_sets_are_not_those_of_a_race(tmp_path: Path) -> None:
    """A race is decided by the runs' own scores; what comes from evaluations has its own verdict."""
    found = compare_evaluations([write_sweep(tmp_path / "sweep")], list(SETS), "sad", None)
    assert isinstance(found, SeveralSets)
    for comparison in (found.over_all, *found.sets.values()):
        assert {run.evaluation.parent.parent for run in comparison.runs} == {
            run.path for run in comparison.runs
        }


def test_methods_without_seeds_give_the_delta_method_over_all_foregrounds(tmp_path: Path) -> None:
    """The oracle weighs the relative deviations of each set's foregrounds by hand."""
    count, scores = 20, {}
    for method in ("knn", "closed_form"):
        for name, scale in (("a_test", 1.0), ("b_test", 50.0)):
            scores[method, name] = scale * RNG.gamma(9, 1, count)
            images = np.repeat(scores[method, name], 4)  # four images of each foreground
            who = {"method": method, "run": None, "dataset": {"name": name, "digest": name}}
            write_run(tmp_path / method / name, [f"method={method}"], 0, images, who)
    paths = [tmp_path / "knn", tmp_path / "closed_form"]
    found = compare_evaluations(paths, ["a_test", "b_test"], "sad", None)
    (item,) = found.over_all.decisive.differences
    first, second = (
        {name: scores[method, name] for name in ("a_test", "b_test")} for method in (item.first, item.second)
    )
    ratio = np.mean([math.log(first[name].mean() / second[name].mean()) for name in first])
    deviations = np.concatenate(
        [first[name] / first[name].mean() - second[name] / second[name].mean() for name in first]
    )
    error = deviations.std(ddof=1) / math.sqrt(len(deviations))
    assert math.log(1 + item.percent / 100) == pytest.approx(ratio)
    assert item.p_adjusted == pytest.approx(2 * stats.t.sf(ratio / error, 2 * count - 1))


def test_one_data_set_under_two_trimaps_has_its_foregrounds_once(tmp_path: Path) -> None:
    for method in ("knn", "closed_form"):
        for name in ("a_test", "a_test_loose"):
            who = {"method": method, "run": None, "dataset": {"name": "a", "digest": name}}
            write_run(tmp_path / method / name, [f"method={method}"], 0, RNG.gamma(9, 1, 24), who)
    paths = [tmp_path / "knn", tmp_path / "closed_form"]
    found = compare_evaluations(paths, ["a_test", "a_test_loose"], "sad", None)
    assert found.over_all.decisive.table.num_foregrounds == 24 / PER_FOREGROUND


def test_runs_without_the_evaluation_are_excluded_and_a_wrong_name_is_refused(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "sweep")
    (folder / "alpha0" / "evaluations" / "ppm100_test").rename(tmp_path / "gone")
    (folder / "dice1" / "evaluations" / "ppm100_test" / "result.json").write_text("{")
    records = read_evaluations([folder], "ppm100_test")
    assert [(item.path.name, item.status) for item in records.excluded] == [
        ("alpha0", "not evaluated"),
        ("dice1", "damaged"),
    ]
    found = compare_evaluations([folder], list(SETS), "sad", None)
    assert {item.name: item.seeds for item in found.over_all.settings} == {"alpha": [1, 2], "dice": [0, 2]}
    with pytest.raises(
        InputError, match=r"--on ppm: no finished run.*there are alphamatting_test, ppm100_test"
    ):
        read_evaluations([folder], "ppm")


def test_each_set_has_a_row_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_sweep(tmp_path / "sweep")
    words = [word for name in SETS for word in ("--on", name)]
    assert main([str(folder), *words, "--out", str(tmp_path / "pages")]) == 0
    text = capsys.readouterr().out
    assert "each data set by itself" in text
    assert "geometric mean" in text
    for place in ("", *SETS):
        assert (tmp_path / "pages" / place / "comparison.html").is_file()
    with pytest.raises(SystemExit):
        main(["--csv", "a.csv", "--on", "ppm100_test"])
