"""The statistics against other libraries, closed forms, and sweeps whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.multitest import multipletests

from deepmatte.compare.comparison import prior_of
from deepmatte.compare.moderation import Prior, moderated, typical
from deepmatte.compare.panel import pairs
from deepmatte.compare.power import smallest_visible
from deepmatte.compare.resampling import chance_to_be_best, effect_size, multiplicities, resample_means
from deepmatte.compare.statistics import Estimate, Spread, estimate, holm, spread, wilcoxon

COMPONENTS = {"seed": 0.5, "foreground": 0.6, "cell": 0.4, "image": 0.8}
"""Standard deviations of the null sweeps: of a run's mean, of a setting's liking for a foreground, of both, of an image."""


def two_way(rng: np.random.Generator, seeds: int, foregrounds: int) -> np.ndarray:
    rows, columns = rng.normal(0, 0.5, (seeds, 1)), rng.normal(0, 1, (1, foregrounds))
    return 1 + rows + columns + rng.normal(0, 0.7, (seeds, foregrounds))


def equal(num: int) -> np.ndarray:
    return np.full(num, 1 / num)


def test_standard_error_is_the_mixed_models_and_resampling_tends_to_it() -> None:
    cells = two_way(np.random.default_rng(0), 8, 15)
    part = spread(cells, equal(15))
    table = pd.DataFrame({"score": cells.ravel(), "seed": np.repeat(np.arange(8), 15), "foreground": np.tile(np.arange(15), 8)})
    parts = {"seed": "0 + C(seed)", "foreground": "0 + C(foreground)"}
    fit = MixedLM.from_formula("score ~ 1", table, groups=np.zeros(len(table)), vc_formula=parts).fit(reml=True)
    assert estimate(part).mean == pytest.approx(fit.params["Intercept"])
    assert estimate(part).error == pytest.approx(fit.bse["Intercept"], rel=1e-3)
    draws = resample_means([cells], [range(8)], equal(15), draws=20_000)
    # resampling seeds and foregrounds has this variance, up to the factors (R - 1) / R and (F - 1) / F of drawing from a sample
    expected = part.between_seeds * 7 / 8 + part.between_foregrounds * 14 / 15 + part.between_cells * 7 / 8 * 14 / 15
    assert draws.var() == pytest.approx(expected, rel=0.05)
    assert draws.std() >= 0.95 * fit.bse["Intercept"]


def test_one_foreground_is_the_paired_t_test_over_seeds() -> None:
    first, second = np.random.default_rng(1).normal(size=(2, 6))
    result = estimate(spread((first - second)[:, None], equal(1)))
    oracle = stats.ttest_rel(first, second)
    assert result.p == pytest.approx(oracle.pvalue)
    assert (result.low, result.high) == pytest.approx(tuple(oracle.confidence_interval()))


def test_without_variance_between_seeds_it_is_the_paired_t_test_over_foregrounds() -> None:
    row = np.random.default_rng(2).normal(0.3, 1, 9)
    result = estimate(spread(np.tile(row, (5, 1)), equal(9)))
    assert result.p == pytest.approx(stats.ttest_1samp(row, 0).pvalue)


def test_composites_of_one_foreground_do_not_count_as_independent_images() -> None:
    row = np.random.default_rng(3).normal(0, 1, 6)
    clustered = estimate(spread(np.tile(row, (5, 1)), equal(6)))
    naive = stats.ttest_1samp(np.repeat(row, 20), 0)
    assert clustered.high - clustered.low > 4 * np.ptp(naive.confidence_interval())


def test_one_seed_gives_an_interval_but_no_test() -> None:
    result = estimate(spread(np.array([[1.0, 2.0, 3.0]]), equal(3)))
    assert not result.generalises
    assert math.isnan(result.p)
    assert (result.low, result.high) == pytest.approx(stats.t.interval(0.95, 2, 2, 3**-0.5))


def test_one_seed_and_one_foreground_know_nothing() -> None:
    result = estimate(spread(np.array([[1.0]]), equal(1)))
    assert (result.low, result.high) == (-math.inf, math.inf)


def test_equal_runs_are_not_distinguishable_and_constant_difference_is() -> None:
    assert estimate(spread(np.zeros((5, 4)), equal(4))).p == 1
    assert estimate(spread(np.ones((5, 4)), equal(4))).p == 0


def test_weights_make_it_the_mean_over_images() -> None:
    cells = two_way(np.random.default_rng(4), 5, 3)
    counts = np.array([1, 2, 5])
    assert estimate(spread(cells, counts / 8)).mean == pytest.approx(np.repeat(cells, counts, axis=1).mean())


def test_holm_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(0).uniform(size=12) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([0.01, math.nan, 0.04, 0.03]) == pytest.approx([0.03, math.nan, 0.06, 0.06], nan_ok=True)


def test_wilcoxon_of_too_little_is_unknown_and_of_all_positive_is_exact() -> None:
    p = wilcoxon(np.array([np.zeros(8), np.arange(1.0, 9.0), np.random.default_rng(0).normal(size=8)]))
    assert math.isnan(p[0])
    assert p[1] == pytest.approx(2 / 2**8), "all signs alike: the two most extreme of 2^8 cases"
    assert p[2] == stats.wilcoxon(np.random.default_rng(0).normal(size=8)).pvalue
    assert np.isnan(wilcoxon(np.ones((2, 1)))).all()


def test_repetition_finds_the_smallest_visible_difference_four_times_out_of_five() -> None:
    """Over seeds alone, where it is exact; each sweep's own claim is planted in another sweep, scipy's t test looks for it."""
    first, second = np.random.default_rng(0).normal(0, 1, (2, 1500, 5))
    claims = [smallest_visible(spread(row[:, None], equal(1)), comparisons=3) for row in first]
    found = stats.ttest_1samp(second + np.array(claims)[:, None], 0, axis=1).pvalue < 0.05 / 3
    assert found.mean() == pytest.approx(0.8, abs=2 * math.sqrt(0.8 * 0.2 / 1500))


def test_one_seed_sees_nothing() -> None:
    assert math.isnan(smallest_visible(spread(np.ones((1, 4)), equal(4))))


def test_moderation_finds_the_prior_that_variances_were_drawn_from() -> None:
    rng = np.random.default_rng(0)
    for df in (2, 6):  # Smyth's model: true variances are df / chi-squared, estimates of 4 degrees of freedom
        true = df / rng.chisquare(df, 20_000)
        estimates = true * rng.chisquare(4, 20_000) / 4
        share, found = typical(estimates, [4] * 20_000)
        assert found == pytest.approx(df, rel=0.06)
        assert share * estimates.mean() == pytest.approx(stats.gmean(true), rel=0.03)


def test_moderation_pools_what_varies_alike_and_leaves_alone_what_does_not() -> None:
    alike, unlike = [1.0, 1.1, 0.9, 1.0, 1.05] * 8, 10.0 ** np.arange(-10, 10)
    assert typical(alike, [4] * 40)[1] == math.inf
    assert moderated(0.5, 5, Prior(2.0, math.inf, 76)) == (pytest.approx(2 / 5), 76)
    assert typical(unlike, [4] * 20)[1] < 0.5
    assert moderated(0.5, 5, Prior(2.0, 0.0, 76)) == (0.5, 4)
    assert typical([1.0], [4]) == (1, 0), "one setting says nothing of others"
    dead, without = typical([0.0, 1.0, 10.0, 49.0], [4] * 4), typical([1.0, 10.0, 49.0], [4] * 3)
    assert dead[1] == without[1] > 0, "a setting of equal runs tells nothing of the others"
    assert dead[0] * 60 / 4 == pytest.approx(without[0] * 60 / 3), "the typical variance itself"
    assert typical([0.0, 0.0], [1, 1])[0] == 1


def test_effect_size_is_cohens_d_and_its_interval_holds_it() -> None:
    cells = two_way(np.random.default_rng(5), 5, 30)
    d, low, high = effect_size(cells, equal(30), 0.05)
    columns = cells.mean(axis=0)
    assert d == pytest.approx(columns.mean() / columns.std())
    assert low < d < high


def test_effect_size_of_a_difference_that_never_varies_is_unknown_not_huge() -> None:
    assert np.isnan(effect_size(np.full((5, 30), 0.1), equal(30), 0.05)).all()


def test_effect_size_is_resampled_over_seeds_and_foregrounds_together() -> None:
    cells, weights = two_way(np.random.default_rng(8), 4, 9), np.arange(1, 10) / 45
    counts, runs = multiplicities(9, 1000, (0,)), multiplicities(4, 1000, (1,))
    sizes = []
    for count, run in zip(counts, runs, strict=True):  # one draw at a time, as the definition says
        share, column = count * weights / (count * weights).sum(), run @ cells
        mean = share @ column
        sizes.append(mean / np.sqrt(share @ (column - mean) ** 2))
    assert effect_size(cells, weights, 0.05)[1:] == pytest.approx(np.quantile(sizes, [0.025, 0.975]))


def test_chance_to_be_best_is_half_for_twins_and_one_for_a_clear_winner() -> None:
    rng = np.random.default_rng(6)
    cells = [two_way(rng, 5, 10) for _ in range(2)]
    seeds = [range(5)] * 3
    far = resample_means([cells[0], cells[0] + 9, cells[0] + 9], seeds, equal(10))
    assert chance_to_be_best(far, sign=1).tolist() == [1, 0, 0]
    assert chance_to_be_best(far, sign=-1)[0] == 0
    mirrored = resample_means([cells[1], -cells[1] + 2 * cells[1].mean()], seeds[:2], equal(10))
    assert chance_to_be_best(mirrored, sign=1) == pytest.approx([0.5, 0.5], abs=0.06)


def simulate(rng: np.random.Generator, effects: np.ndarray, seeds: int, foregrounds: int, noise: Sequence[float]) -> np.ndarray:
    """Return (settings, seeds, foregrounds): one sweep's cell means; ``noise`` (settings,) scales the variance between seeds."""
    shape = (len(effects), seeds, foregrounds)
    difficulty = rng.gamma(4, 1, foregrounds)
    common = rng.normal(0, COMPONENTS["seed"] / 2, (1, seeds, 1))  # what a seed does to every setting
    runs = rng.normal(0, COMPONENTS["seed"], (len(effects), seeds, 1)) * np.array(noise)[:, None, None]
    liking = rng.normal(0, COMPONENTS["foreground"], (len(effects), 1, foregrounds))
    rest = rng.normal(0, np.hypot(COMPONENTS["cell"], COMPONENTS["image"] / 2), shape)  # four images a foreground
    return effects[:, None, None] + difficulty + common + runs + liking + rest


def spreads_of(cells: np.ndarray) -> tuple[list[Spread], Prior]:
    """Return the differences of all pairs and what the sweep says of their variance between seeds, as `compare_metric` takes them."""
    weights = equal(cells.shape[2])
    spreads = [spread(cells[a] - cells[b], weights) for a, b in pairs(len(cells))]
    return spreads, prior_of(spreads, [spread(table, weights) for table in cells], (len(cells) - 1) * (cells.shape[1] - 1))


def decide_all(cells: np.ndarray) -> tuple[list[Estimate], list[float]]:
    spreads, prior = spreads_of(cells)
    estimates = [estimate(part, prior) for part in spreads]
    return estimates, holm([item.p for item in estimates])


REAL = np.array([0.06, 0.69, 0.08, 0.39, 0.08, 0.73, 0.22, 0.2, 0.01, 0.2, 0.19, 0.87, 0.04, 2.2, 2.4, 1.06, 3.1, 0.01, 1.26, 4.6])
"""Standard deviations between seeds of SAD in a sweep of twenty losses with 192 steps and two seeds: no two losses vary alike."""

NULL_SWEEPS = [
    pytest.param(5, 12, [1] * 2, id="2 settings"),
    pytest.param(10, 12, [1] * 2, id="2 settings, 10 seeds"),
    pytest.param(5, 12, [1] * 3, id="3 settings"),
    pytest.param(5, 50, [1] * 3, id="50 foregrounds"),
    pytest.param(10, 12, [1] * 3, id="10 seeds"),
    pytest.param(5, 12, [0.5, 1, 2], id="unequal variances"),
    pytest.param(5, 12, [1] * 5, id="5 settings"),
    pytest.param(5, 32, [1] * 20, id="20 settings"),
    pytest.param(5, 32, REAL, id="20 settings as unequal as real ones"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "foregrounds", "noise"), NULL_SWEEPS)
def test_null_sweeps_have_five_percent_false_positives_and_intervals_cover(seeds, foregrounds, noise) -> None:
    settings, count = len(noise), 1000
    rng = np.random.default_rng(settings + 10 * seeds + 1000 * foregrounds)
    found, covered = 0, 0.0
    for _ in range(count):
        estimates, corrected = decide_all(simulate(rng, np.zeros(settings), seeds, foregrounds, noise))
        found += min(corrected) < 0.05
        covered += np.mean([item.low <= 0 <= item.high for item in estimates])
    print(f"\n{settings} settings, {seeds} seeds, {foregrounds} foregrounds: {found / count:.3f} found, {covered / count:.3f} covered")
    assert found / count <= 0.065, "Holm's is a bound: comparisons that share a setting go wrong together"
    if settings == 2:
        assert found / count == pytest.approx(0.05, abs=0.015)
    if noise is REAL:
        assert covered / count >= 0.935
    else:
        assert covered / count == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 4])
@pytest.mark.parametrize(
    "noise", [[1] * 3, [0.5, 1, 2], [0.3] * 9 + [3], REAL], ids=["equal", "unequal", "one varies more", "as unequal as real ones"]
)
def test_few_seeds_err_on_the_safe_side(seeds, noise) -> None:
    rng = np.random.default_rng(seeds)
    sweeps = [simulate(rng, np.zeros(len(noise)), seeds, 12, noise) for _ in range(1000)]
    found = np.mean([min(decide_all(cells)[1]) < 0.05 for cells in sweeps])
    print(f"\n{len(noise)} settings, {seeds} seeds: false positives {found:.3f}")
    assert found <= 0.065


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "foregrounds", "noise"), [(5, 12, [1] * 2), (5, 12, [1] * 3), (3, 12, [1] * 3), (5, 50, [1] * 3), (5, 12, [0.5, 1, 2])]
)
def test_smallest_visible_difference_is_found_by_four_of_five_repetitions(seeds, foregrounds, noise) -> None:
    """The claim of one sweep is planted in another sweep of the same design."""
    rng = np.random.default_rng(9)
    settings, comparisons = len(noise), len(pairs(len(noise)))
    found, covered, claims, count = 0, 0, [], 2000
    for _ in range(count):
        spreads, prior = spreads_of(simulate(rng, np.zeros(settings), seeds, foregrounds, noise))
        claims.append(smallest_visible(spreads[0], prior, comparisons))
        estimates, _ = decide_all(simulate(rng, np.array([claims[-1], *[0] * (settings - 1)]), seeds, foregrounds, noise))
        found += estimates[0].p < 0.05 / comparisons
        covered += estimates[0].low <= claims[-1] <= estimates[0].high
    print(f"\n{settings} settings, {seeds} seeds: power {found / count:.3f} at {np.median(claims):.3f}; coverage {covered / count:.3f}")
    error = math.sqrt(0.8 * 0.2 / count)
    assert 0.8 - 2 * error <= found / count <= 0.9
    assert covered / count >= 0.935
