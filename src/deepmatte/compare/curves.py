"""Training curves from ``metrics.csv``, as Lightning's CSV logger writes it: sparse rows over step and epoch."""

from __future__ import annotations

import pandas as pd

from deepmatte.compare.records import Run
from deepmatte.compare.settings import Setting

MOST_POINTS = 200
"""Points of a drawn curve at most; longer ones are thinned evenly, their last point kept."""


def curve(run: Run, column: str) -> pd.Series:
    """Return a logged value over the step; empty where the run has none (or its file is damaged)."""
    try:
        table = pd.read_csv(run.path / "metrics.csv", usecols=["step", column]).dropna()
        series = table.astype(float).groupby("step")[column].last()
    except (OSError, ValueError):
        return pd.Series(dtype=float)
    stride = -(-len(series) // MOST_POINTS)
    return series if stride < 2 else series.iloc[::-1].iloc[::stride].iloc[::-1]


def mean_curve(setting: Setting, column: str) -> pd.Series:
    """Return the mean over the seeds at the steps that all of them logged."""
    curves = [series for series in (curve(run, column) for run in setting.runs) if len(series)]
    return pd.concat(curves, axis=1, join="inner").mean(axis=1) if curves else pd.Series(dtype=float)
