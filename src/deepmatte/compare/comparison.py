"""One metric of a sweep compared: every mean and every difference, each with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special

from deepmatte.compare.inference.best import chance_to_be_best, effect_sizes
from deepmatte.compare.inference.difference import Difference, Estimate, Score, Statement
from deepmatte.compare.inference.infer import LEVEL, Result, contrast_errors, difference_matrix, infer
from deepmatte.compare.inference.planning import components_of, detectable
from deepmatte.compare.inference.variance import Variances, variances
from deepmatte.compare.records.grouping import Setting, find_setting, group_settings
from deepmatte.compare.records.reading import Excluded, Run, read_records
from deepmatte.compare.score_table import (
    Floats,
    ScoreTable,
    make_score_table,
    pairs,
    shared_metrics,
    wilcoxon,
)
from deepmatte.errors import InputError


@dataclass(frozen=True)
class Metric:
    """The comparison of one metric; ``scores`` are in the order of rank."""

    table: ScoreTable
    variances: Variances
    scores: list[Score]
    differences: list[Difference]
    screening: bool = False

    @property
    def name(self) -> str:
        """The name of the metric."""
        return self.table.metric

    def score(self, setting: str) -> Score:
        """Return the score of a setting."""
        return next(score for score in self.scores if score.setting == setting)

    def between(self, first: str, second: str) -> Difference | None:
        """Return the difference of these two settings, in the order in which it was taken."""
        return next((item for item in self.differences if {item.first, item.second} == {first, second}), None)


@dataclass(frozen=True)
class Comparison:
    """Everything that was found out; ``main`` is the primary metric, which alone decides.

    ``equal_within`` is the margin in per cent within which settings count as equal.
    """

    main: str
    settings: list[Setting]
    metrics: dict[str, Metric]
    excluded: list[Excluded]
    baseline: str | None
    screening: bool = False
    equal_within: float = 3.0

    @property
    def reference(self) -> str:
        """The setting beside which the others are judged: the baseline, or the best one."""
        return self.baseline or self.decisive.scores[0].setting

    @property
    def decisive(self) -> Metric:
        """The comparison of the primary metric."""
        return self.metrics[self.main]

    def setting(self, name: str) -> Setting:
        """Return the setting of this name."""
        return next(setting for setting in self.settings if setting.name == name)

    @property
    def runs(self) -> list[Run]:
        """All runs that take part."""
        return [run for setting in self.settings for run in setting.runs]

    @property
    def fewest_seeds(self) -> int:
        """The smallest number of seeds of a setting that is trained; 0 where none is."""
        return min((len(setting.runs) for setting in self.settings if not setting.deterministic), default=0)


def compare(
    paths: Sequence[Path | str],
    metric: str = "sad",
    baseline: str | None = None,
    *,
    screening: bool = False,
    equal_within: float = 3.0,
) -> Comparison:
    """Read run or sweep directories and compare their settings; see `compare_settings`.

    InputError where no run finished.
    """
    records = read_records(paths)
    if not records.runs:
        reasons = ", ".join(f"{item.path} ({item.status}: {item.reason})" for item in records.excluded[:3])
        raise InputError(
            f"no finished run among {len(records.excluded)}: {reasons}; finish or repeat them first"
        )
    settings = group_settings(records.runs)
    return compare_settings(
        settings,
        metric,
        baseline,
        excluded=records.excluded,
        screening=screening,
        equal_within=equal_within,
    )


def compare_settings(
    settings: list[Setting],
    metric: str = "sad",
    baseline: str | None = None,
    *,
    excluded: Sequence[Excluded] = (),
    screening: bool = False,
    equal_within: float = 3.0,
) -> Comparison:
    """Compare settings in all metrics that their runs share.

    ``metric`` is the primary one. ``baseline`` names a setting that the others are compared with, instead of
    every one with every other. ``screening`` controls the false discovery rate instead of the chance of any
    false positive; ``equal_within`` is the margin of equality in per cent. InputError where the metric or
    baseline is unknown; a single setting gives scores without differences.
    """
    names = [setting.name for setting in settings]
    chosen = None if baseline is None else find_setting(settings, baseline)
    if baseline is not None and chosen is None:
        raise InputError(f"--baseline {baseline}: no such setting; give one of {', '.join(names)}")
    known = shared_metrics([run for setting in settings for run in setting.runs])
    if metric not in known:
        raise InputError(f"--metric {metric}: not in every per_image.csv; give one of {', '.join(known)}")
    index = None if chosen is None else names.index(chosen.name)
    metrics = {
        name: compare_metric(make_score_table(settings, name), index, screening=screening) for name in known
    }
    name = None if chosen is None else chosen.name
    return Comparison(metric, settings, metrics, list(excluded), name, screening, equal_within)


def compare_metric(table: ScoreTable, baseline: int | None = None, *, screening: bool = False) -> Metric:
    """Compare every pair of settings, the worse minus the better, or every setting minus the baseline."""
    parts = variances_of(table)
    scores = rank_settings(table, parts)
    order = [table.names.index(score.setting) for score in scores]
    if baseline is None:
        couples = [(order[worse], order[better]) for better, worse in pairs(len(order))]
    else:
        couples = [(number, baseline) for number in order if number != baseline]
    return Metric(table, parts, scores, differences_of(table, parts, couples, screening=screening), screening)


def variances_of(table: ScoreTable) -> Variances:
    """Return where the variance of a table comes from."""
    cells = [table.cells(number) for number in range(len(table.settings))]
    return variances(
        cells,
        [item.seeds for item in table.settings],
        table.weights,
        [item.deterministic for item in table.settings],
    )


def differences_of(
    table: ScoreTable, parts: Variances, couples: list[tuple[int, int]], *, screening: bool = False
) -> list[Difference]:
    """Return the first minus the second of each of the ``couples`` of settings; they are one family."""
    if not couples:
        return []
    matrix = difference_matrix(len(table.settings), couples)
    known = ~np.isnan(contrast_errors(parts, matrix, fixed_foregrounds=True).variance)
    trained = parts if known.all() else parts.as_trained()
    result = infer(trained, matrix, screening=screening)
    fixed = infer(parts, matrix, fixed_foregrounds=True, screening=screening)
    effects = effect_sizes(trained, matrix, result.low, result.high)
    rows = np.stack([table.scores[a].mean(axis=0) - table.scores[b].mean(axis=0) for a, b in couples])
    checks = wilcoxon(np.stack([table.by_foreground(row) for row in rows]))
    family = _Family(parts, result, fixed, bool(known.all()), rows, checks, effects)
    visible = _detectable(table, parts, len(couples))
    return [_difference(table, family, number, couple, visible) for number, couple in enumerate(couples)]


@dataclass(frozen=True)
class _Family:
    """What was computed of all comparisons of a family, a row each."""

    parts: Variances
    result: Result
    fixed: Result
    generalises: bool
    rows: Floats
    checks: Floats
    effects: Floats


def _difference(
    table: ScoreTable, family: _Family, number: int, couple: tuple[int, int], visible: float
) -> Difference:
    """Return the comparison in row ``number`` of a family."""
    a, b = couple
    parts, result, fixed = family.parts, family.result, family.fixed
    base = float(parts.means[b])
    share = 100 / abs(base) if base else math.nan
    mean = float(parts.means[a] - parts.means[b])
    low, high, bottom, top = (
        _on_scale(parts, base, float(bound[number]))
        for bound in (result.low, result.high, fixed.low, fixed.high)
    )
    value, width = float(result.values[number]), float(result.inner[number])
    inner = max(abs(_on_scale(parts, base, value + sign * width)) for sign in (-1, 1))
    error = float(result.errors[number]) * (base if parts.relative else 1)
    p, adjusted = float(result.p[number]), float(result.adjusted[number])
    if not family.generalises:
        p = adjusted = math.nan
    wins = table.sign * family.rows[number]
    d, d_low, d_high = family.effects[number].tolist()
    first, second = table.settings[a], table.settings[b]
    return Difference(
        first=first.name,
        second=second.name,
        estimate=Estimate(mean, error, float(result.df[number]), low, high, p, family.generalises),
        percent=share * mean,
        percent_low=share * low,
        percent_high=share * high,
        p_adjusted=adjusted,
        on_test_set=Statement(share * bottom, share * top, float(fixed.adjusted[number])),
        equal_within=abs(share * inner) if family.generalises else math.inf,
        p_wilcoxon=float(family.checks[number]),
        wins=float(np.mean((wins < 0) + 0.5 * (wins == 0))),
        effect=(d, d_low, d_high),
        detectable=visible,
        pairs_of_seeds=len(set(first.seeds) & set(second.seeds)),
    )


def _on_scale(parts: Variances, base: float, value: float) -> float:
    """Return a contrast of `Variances.values` as a difference from ``base`` on the metric's scale."""
    if not parts.relative:
        return value
    return base * math.expm1(value) if value < 500 else math.inf


def _detectable(table: ScoreTable, parts: Variances, comparisons: int) -> float:
    """Return the per cent that a repetition of this sweep finds with 80 % power; NaN if unknown."""
    found = components_of(parts)
    if found is None:
        return math.nan
    seeds = int(np.median([len(setting.runs) for setting in table.settings if not setting.deterministic]))
    return detectable(found, seeds, table.num_foregrounds, len(table.settings), comparisons)


def rank_settings(table: ScoreTable, parts: Variances) -> list[Score]:
    """Return the settings from best to worst; equal means share a rank."""
    chances = chance_to_be_best(parts, table.sign)
    values = table.sign * parts.means
    generalises = not np.isnan(parts.own).any()
    known = parts if generalises else parts.as_trained()
    errors = contrast_errors(known, np.eye(len(values)))
    scores = [
        Score(
            setting=setting.name,
            rank=1 + int(np.sum(values < values[number])),
            estimate=_mean(
                known, number, float(errors.variance[number]), float(errors.df[number]), generalises
            ),
            sd=float(table.scores[number].mean(axis=1).std(ddof=1)) if len(setting.runs) > 1 else math.nan,
            seeds=len(setting.runs),
            chance=float(chances[number]),
        )
        for number, setting in enumerate(table.settings)
    ]
    return sorted(scores, key=lambda score: score.rank)


def _mean(parts: Variances, number: int, variance: float, df: float, generalises: bool) -> Estimate:
    """Return a setting's mean with its interval, which on a relative scale stays above 0."""
    mean = float(parts.means[number])
    if math.isnan(variance) or (variance == 0 and parts.foregrounds_df < 1):
        return Estimate(mean, math.nan, df, -math.inf, math.inf, math.nan, generalises)
    error = math.sqrt(variance)
    half = float(special.stdtrit(df, 1 - LEVEL / 2)) * error
    low, high = (mean + _on_scale(parts, mean, sign * half) for sign in (-1, 1))
    return Estimate(mean, error * (mean if parts.relative else 1), df, low, high, math.nan, generalises)
