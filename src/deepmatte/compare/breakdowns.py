"""Where a setting wins: SAD split by what a pixel or an image is like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.records.grouping import Setting
from deepmatte.compare.records.reading import PART
from deepmatte.compare.score_table import Floats, ScoreTable
from deepmatte.compare.words import short_title

AXES = {
    "alpha": "true alpha",
    "border": "pixels from the known zone",
    "width": "width of the unknown zone in pixels",
}
"""What the pixels are split by, with the title of the axis."""


@dataclass(frozen=True)
class Breakdown:
    """``values[setting]`` has one number a bin; ``note`` says what the numbers are of."""

    name: str
    axis: str
    unit: str
    bins: list[str]
    values: dict[str, Floats]
    note: str


def breakdowns(comparison: Comparison) -> list[Breakdown]:
    """Return every breakdown that the records allow: alpha, border, width, category, dilation."""
    settings, table = comparison.settings, comparison.decisive.table
    return [*by_columns(settings), *by_category(table), *by_dilation(settings, comparison.main)]


def by_columns(settings: Sequence[Setting]) -> Iterator[Breakdown]:
    """Yield the parts of SAD that ``per_image.csv`` has, where every run has the same ones."""
    columns = [column for column in settings[0].runs[0].images.columns if PART.match(column)]
    if not all(set(columns) <= set(run.images.columns) for setting in settings for run in setting.runs):
        return
    means = {
        item.name: np.mean([run.images[columns].to_numpy().mean(axis=0) for run in item.runs], axis=0)
        for item in settings
    }
    for kind, axis in AXES.items():
        chosen = [number for number, column in enumerate(columns) if column.startswith(f"sad_{kind}_")]
        if chosen:
            values = {name: parts[chosen] for name, parts in means.items()}
            bins = [bin_label(*columns[number].split("_")[-2:]) for number in chosen]
            yield Breakdown(
                kind,
                axis,
                f"part of {short_title('sad')}",
                bins,
                values,
                "The mean over seeds and all test images; the parts add up to SAD.",
            )


def by_category(table: ScoreTable) -> Iterator[Breakdown]:
    """Yield the mean score of every category of test image, where there are at least two."""
    labels = table.settings[0].runs[0].images["category"].replace("", "none")
    if labels.nunique() < 2:
        return
    bins = sorted(labels.unique())
    means = {
        setting.name: pd.Series(scores.mean(axis=0)).groupby(labels).mean()[bins].to_numpy()
        for setting, scores in zip(table.settings, table.scores, strict=True)
    }
    counts = ", ".join(f"{name} {count}" for name, count in labels.value_counts().sort_index().items())
    yield Breakdown(
        "category",
        "category",
        short_title(table.metric),
        bins,
        means,
        f"The mean over seeds and images; images: {counts}.",
    )


def by_dilation(settings: Sequence[Setting], metric: str) -> Iterator[Breakdown]:
    """Yield the score against dilation of the trimap, where every setting has a run with ``robustness.csv``.

    The file (columns ``radius`` in pixels and metrics) is in the run directory or in one of its
    ``evaluations/``.
    """
    curves = {
        setting.name: [curve for run in setting.runs for curve in robustness(run.path, metric)]
        for setting in settings
    }
    if not all(curves.values()):
        return
    means = {name: pd.concat(items).groupby(level=0).mean() for name, items in curves.items()}
    radii = sorted(set.intersection(*(set(mean.index) for mean in means.values())))
    if len(radii) > 1:
        values = {name: mean[radii].to_numpy() for name, mean in means.items()}
        note = "Scores over the widened zone; the mean over seeds and images."
        yield Breakdown(
            "dilation",
            "dilation of the trimap in pixels",
            short_title(metric),
            [f"{radius:g}" for radius in radii],
            values,
            note,
        )


def robustness(run: Path, metric: str) -> list[pd.Series]:
    """Return the curves of a run as series over ``radius``; other files are ignored."""
    curves = []
    for file in (run / "robustness.csv", *sorted(run.glob("evaluations/*/robustness.csv"))):
        try:
            table = pd.read_csv(file)
            curves.append(table.groupby("radius")[metric].mean())
        except (OSError, ValueError, KeyError):
            continue
    return curves


def bin_label(low: str, high: str) -> str:
    """Return the label of a bin.

    >>> bin_label("0.05", "0.1"), bin_label("32", "inf")
    ('0.05-0.1', '32+')
    """
    return f"{low}+" if high == "inf" else f"{low}-{high}"
