"""`deepmatte plan`: its table, its pilot, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulated_sweeps import Design, compare_with_first, parts_of, simulate

from deepmatte.cli.plan import main
from deepmatte.compare.comparison import compare
from deepmatte.compare.inference.infer import LEVEL
from deepmatte.compare.inference.planning import (
    Components,
    components_of,
    design_line,
    design_of_jobs,
    detectable,
    recorded,
    seeds_for,
)
from deepmatte.errors import InputError

Sweep = Callable[..., Path]


def test_recorded_plan_says_seeds_for_each_number_of_foregrounds(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            [
                "--detect",
                "8%",
                "--seeds",
                "2",
                "12",
                "--foregrounds",
                "32",
                "100",
                "--settings",
                "5",
                "--minutes",
                "2",
            ]
        )
        == 0
    )
    text = " ".join(capsys.readouterr().out.split())
    assert "common seed 9.0%, own seed 4.5%" in text
    assert "8 % on 100 test foregrounds: about " in text
    assert f"{detectable(recorded(), 12, 100, 5):.1f} %" in text


def test_a_pilot_gives_its_variances_minutes_and_foregrounds(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = sweep({"alpha": 10, "dice": 11, "focal": 12}, seeds=3)
    assert main([str(directory), "--detect", "10", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    found = components_of(compare([directory]).decisive.variances)
    assert found is not None
    assert record["components"]["own"] == pytest.approx(found.own)
    assert record["settings"] == 3
    row = next(item for item in record["designs"] if (item["seeds"], item["foregrounds"]) == (3, 12))
    assert row["percent"] == pytest.approx(detectable(found, 3, 12, 3))
    assert row["minutes"] == pytest.approx(3 * 3 * 61 / 60), "runs take 60, 61 and 62 seconds"


def test_a_pilot_of_one_seed_is_refused(sweep: Sweep) -> None:
    with pytest.raises(InputError, match="give a pilot of 2 settings x 2 seeds or more"):
        main([str(sweep({"alpha": 10, "dice": 11}, seeds=1))])


def test_a_sweep_says_before_it_starts_what_it_can_detect() -> None:
    line = design_line(10, 3, 32)
    size = f"{detectable(recorded(), 3, 32, 10):.2g} %"
    assert f"10 settings x 3 seeds on 32 test foregrounds detect differences of {size}" in line
    assert "10 % takes about " in line
    assert "(assumed)" in design_line(10, 3)
    assert design_line(1, 5, 32) == "", "seeds of one setting are no comparison"


def test_a_design_that_detects_nothing_is_warned_of() -> None:
    assert design_line(5, 1, 32).startswith("Warning: 5 settings x 1 seed can't show any difference")
    wild = Components(common=0.0, own=2.0, setting_by_foreground=0.5, cell=0.5)
    assert "more than the reference's own score" in design_line(5, 2, 8, wild)
    assert design_line(5, 2, 8, wild).startswith("Warning")


def test_the_design_of_a_grid_counts_settings_and_seeds() -> None:
    jobs = [[f"loss={loss}", f"seed={seed}"] for loss in ("alpha", "dice", "focal") for seed in (0, 1)]
    assert design_of_jobs(jobs, 32) == design_line(3, 2, 32)
    assert design_of_jobs([["seed=0"], ["seed=1"]]) == ""


FLAGSHIP = Design(2, 27, 200)
"""The pilot of two seeds: the first round of experiments/which_loss.yaml."""


def test_a_pilot_of_two_seeds_plans_as_many_as_the_truth_does() -> None:
    """The seeds that tell 10 % apart, by what two seeds show and by the components that were simulated."""
    rng = np.random.default_rng(3)
    truth = seeds_for(recorded(), 10, FLAGSHIP.foregrounds, FLAGSHIP.settings)
    planned = []
    for _ in range(5):
        found = components_of(parts_of(simulate(rng, FLAGSHIP)))
        assert found is not None
        planned.append(seeds_for(found, 10, FLAGSHIP.foregrounds, FLAGSHIP.settings))
    assert truth is not None
    assert all(truth / 2 < seeds < 2 * truth for seeds in planned), planned
    assert abs(float(np.median(planned)) / truth - 1) < 0.2, planned


@pytest.mark.slow
def test_as_many_seeds_as_a_pilot_of_two_plans_find_the_difference() -> None:
    """80 % is the power of every plan; pilots differ, so their sweeps find it in 80 % on average."""
    rng, found = np.random.default_rng(4), []
    for _ in range(60):
        parts = components_of(parts_of(simulate(rng, FLAGSHIP)))
        assert parts is not None
        seeds = seeds_for(parts, 10, FLAGSHIP.foregrounds, FLAGSHIP.settings)
        assert seeds is not None
        cells = simulate(rng, replace(FLAGSHIP, seeds=seeds, effect=0.1))
        found.append(compare_with_first(cells, draws=1000).adjusted[-1] < LEVEL)
    assert 0.65 < np.mean(found) < 0.93
