"""Training curves from ``metrics.csv`` of Lightning's CSV logger: sparse rows over step and epoch."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from deepmatte.compare.records.grouping import Setting
from deepmatte.compare.records.reading import Run

MOST_POINTS = 200
"""Points of a drawn curve at most; longer ones are thinned evenly, their last point kept."""


def read_curves(run: Run, columns: Sequence[str]) -> dict[str, pd.Series]:
    """Return logged values over the step, by column, for the columns that the run logged.

    A damaged file has none.
    """
    try:
        table = pd.read_csv(
            run.path / "metrics.csv", usecols=lambda name: name == "step" or name in columns
        ).astype(float)
        found = {
            column: table.dropna(subset=column).groupby("step")[column].last()
            for column in columns
            if column in table
        }
    except (OSError, ValueError, KeyError):
        return {}
    return {column: thinned(series) for column, series in found.items() if len(series)}


def thinned(series: pd.Series) -> pd.Series:
    """Return at most `MOST_POINTS` values, evenly spread, the last one among them."""
    stride = -(-len(series) // MOST_POINTS)
    return series if stride < 2 else series.iloc[::-1].iloc[::stride].iloc[::-1]


def mean_curves(setting: Setting, columns: Sequence[str]) -> dict[str, pd.Series]:
    """Return each column's mean over the seeds at the steps that all of them logged."""
    runs = [read_curves(run, columns) for run in setting.runs]
    series = {column: [curves[column] for curves in runs if column in curves] for column in columns}
    return {
        column: pd.concat(items, axis=1, join="inner").mean(axis=1)
        for column, items in series.items()
        if items
    }
