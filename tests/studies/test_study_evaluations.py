"""The section of a study's page on evaluations of its runs: the numbers of `deepmatte compare --on`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from simulated_evaluations import SETS, json_of, write_sweep

from deepmatte.compare.comparison import compare
from deepmatte.studies.evaluations import evaluations_of, evaluations_section

OPTIONS = {"metric": "sad", "reference": "alpha"}
WAYS = {"screening": False, "equal_within": 3.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("evaluated") / "sweep")


def test_each_set_and_all_together_are_those_of_compare(folder: Path) -> None:
    runs = compare([folder]).runs
    headline, _, table, _ = evaluations_section(runs, OPTIONS, WAYS)
    told = json_of(folder, "--baseline", "alpha", *(word for name in SETS for word in ("--on", name)))
    assert headline.endswith(f": {told['over_all']['verdict']['headline']}")
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in table.splitlines()[2:]}
    assert set(rows) == {"alpha", "dice"}
    for place, record in enumerate([*told["sets"].values(), told["over_all"]]):
        means = {item["setting"]: item["estimate"]["mean"] for item in record["metrics"]["sad"]["scores"]}
        for setting, cells in rows.items():
            found = float(re.match(r"[\d.]+", cells[place])[0])
            assert found == pytest.approx(means[setting], rel=1e-3)
        (item,) = record["metrics"]["sad"]["differences"]
        assert f"{item['percent']:+.0f} (" in rows["dice"][place]


def test_one_evaluation_is_a_section_without_a_verdict_over_all(folder: Path) -> None:
    runs = compare([folder]).runs
    for run in runs:
        (run.path / "evaluations" / "ppm100_test").rename(run.path / "evaluations" / "only_here")
        break
    try:
        assert evaluations_of(runs) == ["alphamatting_test"]
        headline, _, table, words = evaluations_section(runs, OPTIONS, WAYS)
    finally:
        (run.path / "evaluations" / "only_here").rename(run.path / "evaluations" / "ppm100_test")
    assert headline.startswith("## The same runs on alphamatting_test: ")
    assert "over all" not in table + words


def test_evaluations_that_cannot_be_joined_are_named_with_the_reason(folder: Path) -> None:
    runs = compare([folder]).runs
    file = runs[0].path / "evaluations" / "ppm100_test" / "result.json"
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | {"protocol": "alphamatting"}))
    try:
        (line,) = evaluations_section(runs, OPTIONS, WAYS)
    finally:
        file.write_text(before)
    assert line.startswith("The evaluations alphamatting_test, ppm100_test are not shown: ")
    assert "protocol" in line


def test_runs_that_were_not_evaluated_have_no_section(tmp_path: Path, folder: Path) -> None:
    runs = compare([folder]).runs[:0]
    assert evaluations_section(runs, OPTIONS, WAYS) == []
