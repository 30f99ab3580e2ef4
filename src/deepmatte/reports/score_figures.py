"""Figures of the scores and of the differences that are tested."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.axes import Axes

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.inference.difference import Difference
from deepmatte.compare.table import number, trivial_scores
from deepmatte.compare.words import axis_title
from deepmatte.reports.drawing import (
    GREY,
    INK,
    Drawing,
    colour_of,
    interval_rows,
    label_rows,
    rows_figure,
    shown_settings,
)

MOST_ROWS = 30
"""Settings with a row of their own at most; of more, the best and the worst are shown."""

LINE_STYLES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))


def draw_scores(comparison: Comparison, levels: Mapping[str, float] | None = None) -> Iterator[Drawing]:
    """Draw every setting's mean, its seeds, and the tested interval of its difference from the reference.

    ``levels`` are scores of methods to draw as lines, beside the trivial matte's where the records have it.
    """
    metric, reference = comparison.decisive, comparison.reference
    names = shown_settings(comparison, MOST_ROWS)
    figure, axis = rows_figure(len(names))
    shades = [colour_of(comparison, name) for name in names]
    items = [metric.between(name, reference) if name != reference else None for name in names]
    base = metric.score(reference).estimate.mean
    numbers = {item.name: position for position, item in enumerate(comparison.settings)}
    seeds = [metric.table.scores[numbers[name]].mean(axis=1) for name in names]
    counts = [len(item) for item in seeds]
    rows = np.repeat(np.arange(len(names)) + 0.24, counts)
    axis.scatter(np.concatenate(seeds), rows, s=6, c=np.repeat(shades, counts), alpha=0.6)
    interval_rows(
        axis,
        [metric.score(name).estimate.mean for name in names],
        [_interval(item, base) for item in items],
        shades,
        [item is None or item.distinguishable for item in items],
    )
    axis.axvline(base, color=INK, linewidth=0.8)
    trivial = trivial_scores(comparison).get(metric.name)
    _draw_levels(axis, ({} if trivial is None else {"trivial matte": trivial}) | dict(levels or {}))
    label_rows(axis, [f"{name} (reference)" if name == reference and items else name for name in names])
    _count_hidden(axis, len(comparison.settings) - len(names), len(names))
    axis.set_xlabel(axis_title(metric.name))
    caption = (
        f"Large dots: means; small dots: seeds. Bars: the tested 95 % interval of the difference from "
        f"{reference} (line), for new seeds and foregrounds, all at once. Filled: it leaves out 0; hollow: "
        "it does not."
    )
    if GREY in shades:
        caption += " Grey: settings that other figures leave out."
    yield Drawing("scores", "Scores", caption, figure)


def draw_differences(comparison: Comparison) -> Iterator[Drawing]:
    """Draw the differences from the reference in per cent, with the margin of equality."""
    metric, reference = comparison.decisive, comparison.reference
    names = [name for name in shown_settings(comparison, MOST_ROWS + 1) if name != reference]
    items = [item for item in (metric.between(name, reference) for name in names) if item is not None]
    if not items:
        return
    relative = all(math.isfinite(item.percent) for item in items)
    figure, axis = rows_figure(len(items))
    interval_rows(
        axis,
        [item.percent if relative else item.estimate.mean for item in items],
        [
            (item.percent_low, item.percent_high) if relative else (item.estimate.low, item.estimate.high)
            for item in items
        ],
        [colour_of(comparison, item.first) for item in items],
        [item.distinguishable for item in items],
    )
    axis.axvline(0, color=INK, linewidth=0.8)
    caption = (
        f"Differences from {reference} with 95 % intervals for new seeds and foregrounds, which hold all at "
        "once. Filled: the interval leaves out 0; hollow: it does not."
    )
    if relative:
        margin = comparison.equal_within
        axis.axvspan(-margin, margin, color=GREY, alpha=0.15, linewidth=0)
        caption += f" Grey: equal within {margin:g} %."
    label_rows(axis, [item.first for item in items])
    _count_hidden(axis, len(comparison.settings) - 1 - len(items), len(items))
    better = "←" if metric.table.sign > 0 else "→"
    unit = "per cent" if relative else metric.name.upper()
    axis.set_xlabel(f"difference in {metric.name.upper()}, {unit} ({better} better)")
    yield Drawing("differences", "Differences", caption, figure)


def _interval(item: Difference | None, base: float) -> tuple[float, float]:
    """Return the tested interval of a difference around the reference's mean; NaN for the reference."""
    if item is None:
        return math.nan, math.nan
    return base + item.estimate.low, base + item.estimate.high


def _draw_levels(axis: Axes, levels: Mapping[str, float]) -> None:
    """Draw the scores of methods as vertical lines; a far one is named, but doesn't stretch the axis."""
    low, high = axis.get_xlim()
    reach = high - low
    for (name, value), style in zip(levels.items(), LINE_STYLES * len(levels), strict=False):
        label = f"{name} {number(value)}"
        if low - reach <= value <= high + reach:
            axis.axvline(value, color=GREY, linestyle=style, linewidth=1.2, label=label)
        else:
            axis.plot([], [], color=GREY, linestyle=style, linewidth=1.2, label=f"{label} (off the axis)")
    if levels:
        columns = min(len(levels), 3)
        axis.figure.legend(loc="outside upper right", fontsize="small", ncols=columns)


def _count_hidden(axis: Axes, hidden: int, rows: int) -> None:
    """Say between the best and the worst rows how many settings are not shown."""
    if hidden:
        at = rows - rows // 2 - 0.5
        axis.axhline(at, color=GREY, linewidth=0.8, linestyle=(0, (1, 3)))
        axis.annotate(
            f"{hidden} more",
            (1, at),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize="small",
            color=GREY,
        )
