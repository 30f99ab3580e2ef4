"""Races: one error rate over all rounds, dropping, equality, from simulated sweeps whose truth is known."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats
from simulated_sweeps import Design, simulate

from deepmatte.compare.inference.planning import MOST_SEEDS, components_of, detectable
from deepmatte.compare.inference.variance import variances
from deepmatte.compare.racing import Decision, Plan, Scores, decide, outlook

WEIGHTS = np.full(32, 1 / 32)


@dataclass(frozen=True)
class Raced:
    """Shares of races that drop one of the best, and that drop the last one; runs beside the fixed design."""

    false: float
    found: float
    runs: float


def scores_of(cells: np.ndarray, left: list[int], seeds: int) -> Scores:
    """Return the first seeds of the settings that are left."""
    return Scores(
        [str(item) for item in left],
        [cells[item, :seeds] for item in left],
        [range(seeds)] * len(left),
        WEIGHTS,
    )


def race(cells: np.ndarray, plan: Plan) -> tuple[list[Decision], int]:
    """Return the decisions of a race over a whole sweep (settings, seeds, foregrounds), and its runs."""
    left, runs, decisions = list(range(len(cells))), 0, []
    for number in range(1, plan.rounds + 1):
        runs += len(left) * (plan.seeds(number) - plan.seeds(number - 1))
        decisions.append(decide(scores_of(cells, left, plan.seeds(number)), plan, number, draws=1000))
        left = [int(name) for name in decisions[-1].survivors]
        if len(left) == 1 or decisions[-1].equal:
            break
    return decisions, runs


def raced(design: Design, count: int) -> Raced:
    """Run ``count`` races of sweeps in which the last setting is worse by the design's effect."""
    rng, plan = np.random.default_rng(7), Plan(most=design.seeds)
    last, sums = design.settings - 1, np.zeros(3)
    for _ in range(count):
        decisions, runs = race(simulate(rng, design), plan)
        out = {int(drop.setting) for decision in decisions for drop in decision.dropped}
        best = out - {last} if design.effect else out
        sums += (bool(best), last in out, runs / design.settings / design.seeds)
    return Raced(*(sums / count))


def most(count: int, rate: float = 0.05) -> float:
    """Return the share that ``count`` races of this rate exceed once in a thousand times."""
    return float(stats.binom.ppf(0.999, count, rate)) / count


def test_the_levels_of_all_rounds_add_up_to_five_per_cent() -> None:
    for plan in (Plan(), Plan(most=7), Plan(first=3, step=1, most=20), Plan(most=2)):
        levels = [plan.level(number) for number in range(1, plan.rounds + 1)]
        assert sum(levels) == pytest.approx(0.05)
        assert min(levels) > 0
    # Kim and DeMets (1987), power 3/2: half of the information spends 0.05 / sqrt(8) = 0.0177.
    assert Plan(first=6, step=6).level(1) == pytest.approx(0.0177, abs=5e-5)


def test_null_races_drop_a_setting_in_five_per_cent_at_most() -> None:
    assert raced(Design(seeds=6, settings=6), 200).false <= most(200)


def test_a_clearly_worse_setting_is_dropped_after_the_first_round_and_named_with_its_distance() -> None:
    cells = simulate(np.random.default_rng(3), Design(seeds=6, settings=4, effect=1.04))
    decisions, runs = race(cells, Plan(most=6))
    (drop,) = decisions[0].dropped
    assert drop.setting == "3"
    assert drop.better == decisions[0].ranking[0]
    means = cells[:, :2].mean(axis=(1, 2))
    assert drop.percent == pytest.approx(100 * (means[3] / means[int(drop.better)] - 1))
    assert decisions[0].survivors == [str(item) for item in np.argsort(means)[:3]]
    assert runs <= 4 * 2 + 3 * 4


def test_the_higher_score_wins_where_more_is_better() -> None:
    cells = simulate(np.random.default_rng(3), Design(seeds=4, settings=3, effect=1.04))
    scores = scores_of(cells, [0, 1, 2], 4)
    decision = decide(Scores(scores.names, scores.tables, scores.seeds, WEIGHTS, sign=-1), Plan(most=4), 2)
    assert decision.ranking[0] == "2"
    assert {drop.setting for drop in decision.dropped} == {"0", "1"}


def test_settings_that_hardly_differ_are_equal_and_end_the_race() -> None:
    quiet = Design(seeds=4, settings=3, common=0.01, own=0.001, liking=0.001, cell=0.001)
    decision = decide(scores_of(simulate(np.random.default_rng(0), quiet), [0, 1, 2], 4), Plan(), 2)
    assert decision.equal
    loud = Design(seeds=4, settings=3)
    assert not decide(scores_of(simulate(np.random.default_rng(0), loud), [0, 1, 2], 4), Plan(), 2).equal


def test_settings_that_differ_by_more_than_the_margin_are_not_called_equal() -> None:
    quiet = Design(seeds=6, settings=3, common=0.02, own=0.008, liking=0.01, cell=0.02, effect=0.031)
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(100):
        last = race(simulate(rng, quiet), Plan(most=6))[0][-1]
        wrong += last.equal and "2" in last.survivors
    assert wrong / 100 <= most(100)


def test_a_setting_that_lacks_a_seed_takes_part() -> None:
    cells = simulate(np.random.default_rng(3), Design(seeds=4, settings=3, effect=1.04))
    tables = [cells[0], cells[1, [0, 1, 3]], cells[2]]
    scores = Scores(["a", "b", "c"], tables, [range(4), (0, 1, 3), range(4)], WEIGHTS)
    assert scores.fewest == 3
    assert [drop.setting for drop in decide(scores, Plan(), 2).dropped] == ["c"]


def test_more_seeds_detect_less() -> None:
    cells = simulate(np.random.default_rng(5), Design(seeds=8, settings=4))
    found = []
    for number in (1, 4):
        scores = scores_of(cells, [0, 1, 2, 3], Plan().seeds(number))
        found.append(outlook(scores, decide(scores, Plan(), number), wanted=20.0))
    assert found[0].detects > found[1].detects > 0
    assert found[1].seeds is not None
    assert outlook(scores, Decision(0.01, ["a"], [], equal=False)).detects is None


def test_what_seeds_alone_do_not_detect_takes_more_foregrounds_and_that_design_detects_it() -> None:
    """Settings that like foregrounds differently: on 32 of them no number of seeds tells 5 per cent."""
    design = Design(seeds=4, settings=3, common=0.02, own=0.02, liking=0.2, cell=0.05)
    scores = scores_of(simulate(np.random.default_rng(4), design), [0, 1, 2], 4)
    decision = decide(scores, Plan(most=4), 2)
    found = outlook(scores, decision, wanted=5.0)
    assert found.seeds is not None
    assert found.foregrounds > 32
    parts = components_of(variances(scores.tables, scores.seeds, scores.weights))
    sizes = [
        detectable(parts, seeds, count, 3, 3, level=decision.level)
        for seeds, count in ((MOST_SEEDS, 32), (found.seeds, found.foregrounds))
    ]
    assert sizes[0] > 5 >= sizes[1]


NULLS = [
    Design(seeds=seeds, settings=settings, **more)
    for more in ({}, {"unequal": 0.5}, {"heavy": True})
    for seeds in (6, 12)
    for settings in (2, 6, 12)
]
"""Designs without a difference."""

counted = functools.lru_cache(raced)


@pytest.mark.slow
@pytest.mark.parametrize("design", NULLS, ids=str)
def test_null_races_of_many_designs_keep_five_per_cent(design: Design) -> None:
    assert counted(design, 250).false <= most(250)


@pytest.mark.slow
def test_null_races_of_all_designs_together_keep_five_per_cent() -> None:
    """A bar near 6 %, which that of 250 races is not."""
    assert np.mean([counted(design, 250).false for design in NULLS]) <= most(250 * len(NULLS)) < 0.062


@pytest.mark.slow
def test_a_race_finds_ten_per_cent_nearly_as_often_as_the_fixed_design() -> None:
    """The figures of docs/statistics.md: 85 % of races, 92 % of sweeps of 12 seeds each."""
    design, count, found = Design(seeds=12, settings=6, effect=0.1), 300, 0
    rng, fixed = np.random.default_rng(7), Plan(first=12, most=12)
    for _ in range(count):
        decision = decide(scores_of(simulate(rng, design), list(range(6)), 12), fixed, 1, draws=1000)
        found += "5" in {drop.setting for drop in decision.dropped}
    share = raced(design, count)
    print(f"race {share.found:.3f} of {share.runs:.2f} of the runs, fixed design {found / count:.3f}")
    assert share.found == pytest.approx(0.85, abs=0.06)
    assert found / count == pytest.approx(0.92, abs=0.05)
    assert share.runs < 1


@pytest.mark.slow
def test_races_find_what_differs_with_fewer_runs_than_the_fixed_design() -> None:
    """With twenty settings of which half are far behind, a race of 12 seeds runs less than two thirds."""
    small = raced(Design(seeds=12, settings=6, effect=0.2), 200)
    assert small.found >= 0.95
    assert small.false <= most(200)
    rng, plan, runs, kept = np.random.default_rng(11), Plan(), [], 0
    for _ in range(60):
        cells = simulate(rng, Design(seeds=12, settings=20))
        cells[10:] *= np.linspace(1.2, 2.0, 10)[:, None, None]
        decisions, count = race(cells, plan)
        runs.append(count / 240)
        out = {int(drop.setting) for decision in decisions for drop in decision.dropped}
        kept += not out & set(range(10))
        assert len(out & set(range(12, 20))) == 8
    assert np.mean(runs) < 2 / 3
    assert kept >= 60 * (1 - most(60))
