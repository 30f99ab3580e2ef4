"""Scores of all runs as one array a metric, over settings, seeds and foregrounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from deepmatte.compare.records.grouping import Setting
from deepmatte.compare.records.reading import Run
from deepmatte.errors import InputError
from deepmatte.metrics.names import higher_is_better

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreTable:
    """One metric of a sweep.

    ``scores[s]`` is (seeds of setting s, images); ``foreground`` gives every image the number of its
    foreground and ``weights`` (foregrounds,) is each one's share of the images, so that a weighted mean is
    the mean over the images.
    """

    metric: str
    settings: list[Setting]
    scores: list[Floats]
    foreground: NDArray[np.intp]
    weights: Floats

    @property
    def sign(self) -> int:
        """1 where less is better, -1 where more is: ``sign * difference < 0`` is an improvement."""
        return -1 if higher_is_better(self.metric) else 1

    @property
    def names(self) -> list[str]:
        """The names of the settings."""
        return [setting.name for setting in self.settings]

    @property
    def num_foregrounds(self) -> int:
        """How many foregrounds the test images have."""
        return len(self.weights)

    def cells(self, setting: int) -> Floats:
        """Return (seeds, foregrounds): the mean over the images of each foreground."""
        return np.stack([self.by_foreground(row) for row in self.scores[setting]])

    def by_foreground(self, row: Floats) -> Floats:
        """Return (foregrounds,): the mean of ``row`` (images,) over the images of each foreground."""
        sums = np.bincount(self.foreground, row, self.num_foregrounds)
        return sums / np.bincount(self.foreground, minlength=self.num_foregrounds)

    def means(self) -> Floats:
        """Return (settings,): the mean over seeds and images."""
        return np.array([scores.mean() for scores in self.scores])


def make_score_table(settings: Sequence[Setting], metric: str) -> ScoreTable:
    """Join the per-image scores of one metric; a run without the metric is an InputError."""
    for run in (run for setting in settings for run in setting.runs):
        if metric not in run.metrics:
            raise InputError(
                f"{run.path}/per_image.csv: no column '{metric}'; give one of {', '.join(run.metrics)}"
            )
    labels = settings[0].runs[0].images["foreground"]
    foreground = np.unique(labels.to_numpy(dtype=str), return_inverse=True)[1]
    weights = np.bincount(foreground) / len(foreground)
    scores = [
        np.stack([run.images[metric].to_numpy(dtype=float) for run in setting.runs]) for setting in settings
    ]
    return ScoreTable(metric, list(settings), scores, foreground, weights)


def shared_metrics(runs: Sequence[Run]) -> list[str]:
    """Return the metrics that every run has, in the order of the first run's columns."""
    return [metric for metric in runs[0].metrics if all(metric in run.metrics for run in runs)]


def wilcoxon(differences: Floats) -> Floats:
    """Return (pairs,) p-values of Wilcoxon's signed-rank test of ``differences`` (pairs, foregrounds).

    The differences are averaged over seeds. A check on shape and outliers only: it takes the trained networks
    as given and is blind to the variance between seeds. NaN where there are no two foregrounds or no
    difference.
    """
    p = np.full(len(differences), math.nan)
    vary = np.any(differences, axis=1)
    if differences.shape[1] > 1 and vary.any():
        p[vary] = stats.wilcoxon(differences[vary], axis=1).pvalue
    return p


def pairs(num: int, baseline: int | None = None) -> list[tuple[int, int]]:
    """Return the pairs of settings to compare: every pair, or every setting against the baseline.

    >>> pairs(3), pairs(3, baseline=1)
    ([(0, 1), (0, 2), (1, 2)], [(0, 1), (2, 1)])
    """
    if baseline is None:
        return list(combinations(range(num), 2))
    return [(setting, baseline) for setting in range(num) if setting != baseline]
