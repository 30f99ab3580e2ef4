"""Tests planned beside a comparison: chosen pairs of settings, and the best setting against other methods.

Each is a family of its own, so its correction is over the chosen comparisons alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deepmatte.compare.comparison import Comparison, differences_of, variances_of
from deepmatte.compare.inference.difference import Difference
from deepmatte.compare.records.grouping import Setting, find_setting
from deepmatte.compare.records.reading import Run
from deepmatte.compare.score_table import make_score_table
from deepmatte.compare.table import trivial_scores

SAME = 1e-4
"""Share of a setting's mean by which scores of a dead network's seeds may differ."""


def compare_pairs(comparison: Comparison, pairs: Mapping[str, str]) -> list[Difference]:
    """Return the first minus the second of the pairs whose settings are both there, as one family."""
    metric = comparison.decisive
    settings = metric.table.settings
    found = [
        (find_setting(settings, first), find_setting(settings, second)) for first, second in pairs.items()
    ]
    couples = [(settings.index(a), settings.index(b)) for a, b in found if a is not None and b is not None]
    return differences_of(metric.table, metric.variances, couples)


def compare_with_methods(comparison: Comparison, methods: Sequence[Run], metric: str) -> list[Difference]:
    """Return the best setting's differences from each method, which has no seeds, as one family.

    A method that was scored on other images, or without ``metric``, takes no part.
    """
    table = comparison.metrics[metric].table
    images = table.settings[0].runs[0].images["image"]
    known = [run for run in methods if metric in run.metrics and run.images["image"].equals(images)]
    if not known:
        return []
    others = [Setting(str(run.result["method"]), {}, [run]) for run in known]
    both = make_score_table([*table.settings, *others], metric)
    best = table.names.index(comparison.decisive.scores[0].setting)
    couples = [(best, len(table.settings) + number) for number in range(len(others))]
    return differences_of(both, variances_of(both), couples)


def not_better_than_trivial(comparison: Comparison) -> list[str]:
    """Return the settings whose mean is no better than the trivial matte's, by rank."""
    table = comparison.decisive.table
    trivial = trivial_scores(comparison).get(table.metric)
    if trivial is None:
        return []
    scores = comparison.decisive.scores
    return [score.setting for score in scores if table.sign * (score.estimate.mean - trivial) >= 0]


def unaffected_by_seeds(comparison: Comparison) -> list[str]:
    """Return the settings whose seeds all have the same score on every foreground: their networks are dead.

    The same within `SAME` of the setting's mean: sigmoids that are stuck at 0 differ in their last digits.
    """
    table = comparison.decisive.table
    return [
        setting.name
        for setting, rows in zip(table.settings, table.scores, strict=True)
        if len(rows) > 1 and np.ptp(rows, axis=0).max() <= SAME * np.abs(rows).mean()
    ]
