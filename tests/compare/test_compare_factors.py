"""Effects of factors against least squares, and fronts against brute force."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from simulated_runs import write_run
from statsmodels.formula.api import ols

from deepmatte.compare.comparison import compare
from deepmatte.compare.factors import effects, factor_levels
from deepmatte.compare.pareto import axes, front
from deepmatte.compare.record import as_record
from deepmatte.compare.table import print_comparison


def grid(
    directory: Path,
    dice: Sequence[str],
    laplacian: Sequence[str],
    seeds: int = 5,
    skip: tuple = (),
    together: float = 0.0,
) -> Path:
    """Dice lowers SAD by 2 where its weight is not 0, Laplacian by 4, both together by ``together`` less."""
    rng = np.random.default_rng(3)
    difficulty = np.repeat(rng.gamma(4, 1, 8), 4)
    for number, (one, two) in enumerate(product(dice, laplacian)):
        if (one, two) in skip:
            continue
        use = (float(one) > 0, float(two) > 0)
        mean = 20 - 2 * use[0] - 4 * use[1] + together * (use[0] and use[1])
        for seed in range(seeds):
            scores = mean + difficulty + rng.normal(0, 0.2) + rng.normal(0, 0.3, len(difficulty))
            write_run(
                directory / f"{number}-{seed}",
                [f"loss.dice.weight={one}", f"loss.laplacian.weight={two}"],
                seed,
                scores,
            )
    return directory


def test_effects_of_a_full_grid_are_those_of_least_squares(tmp_path: Path) -> None:
    comparison = compare([grid(tmp_path, "01", "01", together=3.0)])
    table = comparison.decisive.table
    found = effects(table)
    rows = [
        (*setting.levels.values(), mean) for setting, mean in zip(table.settings, table.means(), strict=True)
    ]
    table = pd.DataFrame(rows, columns=["dice", "laplacian", "sad"]).astype(float)
    fit = ols(
        "sad ~ dice * laplacian", table - np.array([0.5, 0.5, 0])
    ).fit()  # centred: coefficients are averages over the other factor
    assert [item.estimate.mean for item in found] == pytest.approx(
        [fit.params[key] for key in ("dice", "laplacian", "dice:laplacian")]
    )
    dice, laplacian, both = found
    assert dice.estimate.mean == pytest.approx(-2 + 1.5, abs=0.4)
    assert laplacian.p_adjusted < 0.01
    assert both.estimate.low < 3 < both.estimate.high
    assert both.name == "loss.dice.weight: 0 to 1, at loss.laplacian.weight 1 against 0"


def test_interaction_says_what_dice_does_without_laplacian_and_with_it(tmp_path: Path) -> None:
    """Two factors of two levels: the changes at both levels are plain differences of two settings."""
    table = compare([grid(tmp_path, "01", "01", together=3.0)]).decisive.table
    means = {
        tuple(setting.levels.values()): mean
        for setting, mean in zip(table.settings, table.means(), strict=True)
    }
    *main, both = effects(table)
    assert [item.at for item in main] == [None, None]
    without, with_it = both.at
    assert without.mean == pytest.approx(means["1", "0"] - means["0", "0"])
    assert with_it.mean == pytest.approx(means["1", "1"] - means["0", "1"])
    assert without.high < 0 < with_it.low, "planted: Dice alone helps by 2, beside Laplacian it harms by 1"


def test_effects_stand_in_the_terminal_and_in_the_record(tmp_path: Path) -> None:
    comparison = compare([grid(tmp_path, "01", "01")])
    console = Console(width=160, record=True, file=StringIO())
    print_comparison(comparison, console)
    assert "dice: 0 to 1, at laplacian 1 against 0" in console.export_text()
    record = as_record(comparison)["effects"]
    assert [item["factor"] for item in record] == [
        "loss.dice.weight",
        "loss.laplacian.weight",
        "loss.dice.weight",
    ]
    assert record[2]["estimate"]["mean"] == pytest.approx(
        record[2]["at"][1]["mean"] - record[2]["at"][0]["mean"]
    )


def test_interaction_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    *_, both = effects(compare([grid(tmp_path, "01", "01")]).decisive.table)
    assert both.estimate.low < 0 < both.estimate.high


def test_incomplete_grid_compares_like_with_like(tmp_path: Path) -> None:
    found = effects(compare([grid(tmp_path, ("0", "0.5", "1"), "01", skip=(("1", "1"),))]).decisive.table)
    assert {(item.factor, item.level, item.given is not None): item.num for item in found} == {
        ("loss.dice.weight", "0.5", False): 2,
        ("loss.dice.weight", "1", False): 1,
        ("loss.laplacian.weight", "1", False): 2,
        ("loss.dice.weight", "0.5", True): 1,
    }
    assert next(item for item in found if item.level == "1").estimate.mean == pytest.approx(-2, abs=0.5)


def test_one_factor_has_no_effects_beyond_its_differences(tmp_path: Path) -> None:
    assert effects(compare([grid(tmp_path, "01", "0")]).decisive.table) == []


def test_numbers_come_in_their_order_and_default_before_words() -> None:
    assert factor_levels([{"a": "10"}, {"a": "9"}, {"a": "0.5"}])["a"] == ["0.5", "9", "10"]
    assert factor_levels([{"a": "dim"}, {"a": "default"}])["a"] == ["default", "dim"]


def test_front_equals_brute_force_and_turns_metrics_that_grow() -> None:
    values = np.random.default_rng(0).integers(0, 6, (40, 2)).astype(float)
    slow = [
        i
        for i, a in enumerate(values)
        if not any(b[0] <= a[0] and b[1] >= a[1] and tuple(b) != tuple(a) for b in values)
    ]
    assert front(("sad", values[:, 0]), ("miou", values[:, 1])) == slow


def test_unknown_costs_are_no_axis(tmp_path: Path) -> None:
    for name, cost in (("alpha", {"seconds": 3.0}), ("dice", {"seconds": 5.0})):
        write_run(tmp_path / name, [f"loss={name}"], 0, np.arange(8.0), {"cost": cost})
    found = axes(compare([tmp_path]))
    assert "peak_memory_mb" not in found
    assert found["seconds"].tolist() == [3, 5]
