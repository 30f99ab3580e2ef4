"""The inference against other libraries and closed forms; `test_compare_simulations` has sweeps whose truth
is known.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from simulated_sweeps import Design, parts_of, simulate
from statsmodels.stats.multitest import multipletests

from deepmatte.compare.inference.best import chance_to_be_best, effect_sizes
from deepmatte.compare.inference.infer import against, difference_matrix, false_discovery, infer
from deepmatte.compare.inference.simultaneous import from_score, to_score
from deepmatte.compare.inference.variance import PRIOR_DF, Variances, variances, worth_of_prior
from deepmatte.compare.score_table import pairs, wilcoxon


def equal(num: int) -> np.ndarray:
    return np.full(num, 1 / num)


def sweep(
    settings: int = 4, seeds: int = 3, foregrounds: int = 12, seed: int = 0, **words: float
) -> np.ndarray:
    return simulate(
        np.random.default_rng(seed), Design(seeds, settings, foregrounds, difficulty=0.2, **words)
    )


def test_one_foreground_and_two_settings_are_the_paired_t_test_over_seeds_of_relative_scores() -> None:
    cells = sweep(2, 6, 1)
    result = infer(parts_of(cells), against(2, 0))
    relative = cells[:, :, 0] / cells[:, :, 0].mean(axis=1, keepdims=True)
    error = (relative[1] - relative[0]).std(ddof=1) / math.sqrt(6)
    ratio = math.log(cells[1].mean() / cells[0].mean())
    assert result.values[0] == pytest.approx(ratio)
    assert (result.low[0], result.high[0]) == pytest.approx(stats.t.interval(0.95, 5, ratio, error))
    assert result.p[0] == pytest.approx(2 * stats.t.sf(abs(ratio) / error, 5))
    assert result.adjusted[0] == result.p[0], "one comparison needs no adjustment"


def test_methods_without_seeds_are_compared_by_the_t_test_over_foregrounds() -> None:
    first, second = sweep(2, 1, 15)[:, :1]
    parts = variances([first, second], [[0], [0]], equal(15), fixed=[True, True])
    result = infer(parts, against(2, 0))
    deviations = second[0] / second.mean() - first[0] / first.mean()
    assert result.errors[0] == pytest.approx(stats.sem(deviations))
    assert result.df[0] == pytest.approx(14)
    assert infer(parts, against(2, 0), fixed_foregrounds=True).errors[0] == 0, (
        "on this test set nothing is random"
    )


def test_one_foreground_says_nothing_of_methods_on_others() -> None:
    first, second = sweep(2, 1, 1)[:, :1]
    parts = variances([first, second], [[0], [0]], equal(1), fixed=[True, True])
    assert np.isnan(infer(parts, against(2, 0)).adjusted[0])
    assert infer(parts, against(2, 0), fixed_foregrounds=True).errors[0] == 0


def test_a_network_beside_a_method_keeps_what_a_seed_does_to_all_networks() -> None:
    cells = sweep(4, 6, 30, common=0.3)
    method = cells[:1, :1].mean(axis=0)
    parts = variances([*cells, method], [range(6)] * 4 + [[0]], equal(30), fixed=[False] * 4 + [True])
    result = infer(parts, difference_matrix(5, [(1, 0), (1, 4)]), fixed_foregrounds=True)
    assert result.errors[0] < 0.05, "the common seed cancels between networks"
    assert result.errors[1] == pytest.approx(
        cells[1].mean(axis=1).std(ddof=1) / cells[1].mean() / math.sqrt(6), rel=0.3
    )


def test_common_seed_effects_change_no_comparison() -> None:
    """Every seed changes the scores of all settings by the same share of their means, and by nothing on
    average.
    """
    cells = sweep()
    shifted = cells + cells.mean(axis=(1, 2), keepdims=True) * np.array([0.5, -0.3, -0.2])[:, None]
    plain, moved = (infer(parts_of(item), against(4, 0)) for item in (cells, shifted))
    assert moved.values == pytest.approx(plain.values)
    assert moved.errors == pytest.approx(plain.errors)


def test_unit_of_the_scores_changes_nothing_but_the_means() -> None:
    one, other = (infer(parts_of(scale * sweep()), against(4, 0)) for scale in (1, 1000))
    assert other.adjusted == pytest.approx(one.adjusted)
    assert other.low == pytest.approx(one.low)


def test_seeds_that_are_missing_leave_the_rest_in_use() -> None:
    cells = sweep(3, 4, 12)
    full = variances(list(cells), [range(4)] * 3, equal(12))
    less = variances([cells[0], cells[1], cells[2][:3]], [range(4), range(4), range(3)], equal(12))
    assert less.residual_df == full.residual_df - 1
    assert less.seeds.tolist() == [4, 4, 3]
    errors = [infer(item, against(3, 0)).errors for item in (full, less)]
    assert errors[1][0] == pytest.approx(errors[0][0], rel=0.3)
    assert errors[1][1] > 0.9 * errors[0][1]


def test_settings_that_share_no_seed_are_compared_with_their_whole_variance() -> None:
    cells = sweep(2, 4, 1, common=0.3)
    parts = variances([cells[0], cells[1]], [range(4), range(4, 8)], equal(1))
    relative = [item[:, 0] / item.mean() for item in cells]
    assert infer(parts, against(2, 0)).errors[0] == pytest.approx(
        math.sqrt(sum(item.var(ddof=1) for item in relative) / 4)
    )


def test_networks_that_have_died_tell_nothing_of_the_variance_of_others() -> None:
    cells = sweep(4, 3, 12)
    dead = np.broadcast_to(cells[:1, :1], (1, 3, 12))
    with_it, without = parts_of(np.concatenate([cells, dead])), parts_of(cells)
    assert with_it.own[:4] == pytest.approx(without.own)
    assert with_it.own[4] == 0


def test_moderation_weighs_the_prior_by_its_degrees_of_freedom() -> None:
    rows = np.random.default_rng(1).normal(10, 1, (5, 4, 1))
    parts = parts_of(rows)
    relative = rows[..., 0] / rows[..., 0].mean(axis=1, keepdims=True)
    rest = relative - relative.mean(axis=0) - relative.mean(axis=1, keepdims=True) + relative.mean()
    single = (rest**2).sum(axis=1) / (3 * 4 / 5)
    prior = float(worth_of_prior(single, 12))
    assert parts.own == pytest.approx((prior * single.mean() + 3 * single) / (prior + 3) / 4)
    assert parts.own_df == pytest.approx(np.full(5, prior + 3))


def test_prior_is_worth_less_where_settings_vary_unlike() -> None:
    assert worth_of_prior(np.ones(20), 20) == PRIOR_DF
    assert worth_of_prior(np.array([1.0] * 19 + [1000.0]), 20) < 0.2
    assert worth_of_prior(np.zeros(3), 3) == PRIOR_DF


def test_largest_of_equal_comparisons_with_one_baseline_is_dunnetts() -> None:
    """Many foregrounds, no seeds: numerators have the correlation 1/2 of Dunnett's test; scipy's is the
    oracle.
    """
    rng = np.random.default_rng(3)
    rows = 10 + rng.normal(0, 1, (5, 1, 500))
    parts = variances(list(rows), [[0]] * 5, equal(500), fixed=[True] * 5)
    result = infer(parts, against(5, 0), draws=40_000)
    oracle = stats.dunnett(*rows[1:, 0], control=rows[0, 0])
    assert result.adjusted == pytest.approx(oracle.pvalue, abs=0.02)
    interval = oracle.confidence_interval()
    # Dunnett's test pools the variances of all groups, here each comparison has its own.
    assert (result.high - result.low).mean() * 10 == pytest.approx(
        (interval.high - interval.low).mean(), rel=0.03
    )


@pytest.mark.parametrize("screening", [False, True])
@pytest.mark.parametrize("fixed", [False, True])
def test_p_and_interval_never_contradict_each_other(screening: bool, fixed: bool) -> None:
    for seed in range(60):
        parts = parts_of(sweep(6, 2 + seed % 3, 4 + seed % 9, seed=seed, effect=0.2 + seed / 200))
        result = infer(
            parts, difference_matrix(6, pairs(6)), screening=screening, fixed_foregrounds=fixed, draws=2000
        )
        assert ((result.adjusted < 0.05) == ((result.low > 0) | (result.high < 0))).all()
        assert (result.adjusted >= result.p - 1e-12).all()


def test_adjusted_p_falls_with_distance_into_the_far_tail() -> None:
    adjusted = []
    for effect in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2):
        adjusted.append(infer(parts_of(sweep(5, 5, 30, effect=effect)), against(5, 0)).adjusted[-1])
    assert adjusted == sorted(adjusted, reverse=True)
    assert 0 < adjusted[-1] < 1e-6


def test_scores_of_t_are_normal_and_can_be_turned_round() -> None:
    t, df = np.array([0.3, 2.0, 4.0, -6.0]), np.array([3.0, 8.0, 31.0, 400.0])
    assert from_score(to_score(t, df), df) == pytest.approx(t)
    assert stats.norm.sf(to_score(t[:3], df[:3])) == pytest.approx(stats.t.sf(t[:3], df[:3]), rel=0.02)


def test_one_seed_has_no_test_of_settings_but_an_interval_of_its_networks() -> None:
    cells = sweep(3, 1, 12)
    parts = variances(list(cells), [[0]] * 3, equal(12))
    assert np.isnan(infer(parts, against(3, 0)).p).all()
    trained = infer(parts.as_trained(), against(3, 0))
    assert np.isfinite(trained.low).all()
    assert trained.df == pytest.approx([11, 11])


def test_equal_runs_are_not_distinguishable_and_a_constant_ratio_is() -> None:
    same = np.ones((2, 3, 4))
    assert infer(parts_of(same), against(2, 0)).adjusted.tolist() == [1]
    assert infer(parts_of(same * np.array([1, 2])[:, None, None]), against(2, 0)).adjusted.tolist() == [0]


def test_scores_that_are_not_above_zero_are_compared_as_they_are() -> None:
    cells = sweep(2, 4, 1) - 10
    result = infer(parts_of(cells), against(2, 0))
    oracle = stats.ttest_rel(cells[1, :, 0], cells[0, :, 0])
    assert result.values[0] == pytest.approx(cells[1].mean() - cells[0].mean())
    assert result.p[0] == pytest.approx(oracle.pvalue)


def test_absolute_contrasts_are_differences_of_means() -> None:
    cells = sweep(2, 4, 1)
    result = infer(parts_of(cells), against(2, 0), absolute=True)
    difference = cells[1, :, 0] - cells[0, :, 0]
    assert result.values[0] == pytest.approx(difference.mean())
    assert result.errors[0] == pytest.approx(stats.sem(difference), rel=0.1), (
        "means of two settings that hardly differ"
    )


def test_false_discovery_rate_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(0).uniform(size=12) ** 3
    assert false_discovery(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])


def test_wilcoxon_of_too_little_is_unknown_and_of_all_positive_is_exact() -> None:
    p = wilcoxon(np.array([np.zeros(8), np.arange(1.0, 9.0), np.random.default_rng(0).normal(size=8)]))
    assert math.isnan(p[0])
    assert p[1] == pytest.approx(2 / 2**8), "all signs alike: the two most extreme of 2^8 cases"
    assert p[2] == stats.wilcoxon(np.random.default_rng(0).normal(size=8)).pvalue
    assert np.isnan(wilcoxon(np.ones((2, 1)))).all()


def test_chance_of_two_settings_is_the_one_sided_p() -> None:
    parts = parts_of(sweep(2, 5, 20, effect=0.03))
    result = infer(parts, against(2, 0))
    assert chance_to_be_best(parts, 1, draws=40_000)[1] == pytest.approx(
        stats.t.cdf(-result.values[0] / result.errors[0], result.df[0]), abs=0.01
    )


def test_chance_to_be_best_turns_with_the_metric_and_twins_share_it() -> None:
    cells = sweep(2, 3, 10)
    parts = parts_of(np.concatenate([cells[:1], cells[:1], cells[1:] * 3]))
    assert chance_to_be_best(parts, 1)[2] == 0
    assert chance_to_be_best(parts, -1)[2] == 1
    twins = variances([cells[0], cells[0]], [[0, 1, 2]] * 2, equal(10), fixed=[True] * 2)
    assert chance_to_be_best(twins, 1) == pytest.approx([0.5, 0.5], abs=0.02)


def test_effect_size_is_cohens_d_and_its_interval_takes_the_side_of_the_difference() -> None:
    for effect in (0.0, 0.3):
        cells = sweep(2, 5, 30, effect=effect)
        parts, matrix = parts_of(cells), against(2, 0)
        result = infer(parts, matrix)
        (row,) = effect_sizes(parts, matrix, result.low, result.high)
        relative = cells.mean(axis=1) / cells.mean(axis=(1, 2))[:, None]
        assert row[0] == pytest.approx(result.values[0] / (relative[1] - relative[0]).std(ddof=1))
        assert row[1] < row[0] < row[2]
        assert (row[1] > 0) == (result.low[0] > 0)


def test_effect_size_of_a_difference_that_never_varies_is_unknown_not_huge() -> None:
    parts: Variances = parts_of(np.ones((2, 3, 10)) * np.array([1, 2])[:, None, None])
    assert np.isnan(effect_sizes(parts, against(2, 0), np.ones(1), np.ones(1))).all()


def test_equality_is_shown_by_two_one_sided_tests() -> None:
    """With one comparison the inner interval is that of TOST: confidence 1 - 2 alpha."""
    parts = parts_of(sweep(2, 5, 20))
    result = infer(parts, against(2, 0))
    assert result.inner[0] == pytest.approx(stats.t.ppf(0.95, result.df[0]) * result.errors[0])
