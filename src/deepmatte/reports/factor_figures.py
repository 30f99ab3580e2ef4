"""Figures of the swept factors: their effects, and the means over every pair of factors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.factors import Effect, factor_levels
from deepmatte.compare.inference.infer import LEVEL
from deepmatte.compare.score_table import ScoreTable
from deepmatte.compare.words import axis_title, short_title
from deepmatte.reports.drawing import COLOURS, INK, Drawing, interval_rows, label_rows, rows_figure, shortened

MOST_EFFECTS = 27
MOST_PAIRS = 6


def draw_factors(comparison: Comparison, effects: Sequence[Effect]) -> Iterator[Drawing]:
    """Draw effects with their intervals, and the means over pairs of factors; nothing without effects."""
    if effects:
        yield draw_effects(comparison, effects)
        yield draw_pairs(comparison)


def draw_effects(comparison: Comparison, effects: Sequence[Effect]) -> Drawing:
    """Draw the main effects, the largest first, then the interactions."""
    shown = sorted(effects, key=lambda item: (item.given is not None, -abs(item.estimate.mean)))
    shown = shown[:MOST_EFFECTS]
    figure, axis = rows_figure(len(shown))
    interval_rows(
        axis,
        [item.estimate.mean for item in shown],
        [(item.estimate.low, item.estimate.high) for item in shown],
        [mpl.colors.to_hex(COLOURS[0 if item.given is None else 1]) for item in shown],
        [item.p_adjusted < LEVEL for item in shown],
    )
    axis.axvline(0, color=INK, linewidth=0.8)
    label_rows(axis, [item.name for item in shown])
    better = "←" if comparison.decisive.table.sign > 0 else "→"
    axis.set_xlabel(f"change of {axis_title(comparison.main).split(' (')[0]} ({better} better)")
    caption = (
        "Blue: main effects, averaged over the other factors. Orange: interactions, how much an effect "
        "changes with the other factor. Intervals are simultaneous; filled: the interval leaves out 0."
    )
    if len(effects) > len(shown):
        caption += f" {len(effects) - len(shown)} smaller ones are in the table."
    return Drawing("effects", "Effects of the factors", caption, figure)


def draw_pairs(comparison: Comparison) -> Drawing:
    """Draw the means over every pair of factors, one panel a pair."""
    table = comparison.decisive.table
    factors = factor_levels([setting.levels for setting in table.settings])
    pairs = list(combinations(factors.items(), 2))
    shown = pairs[:MOST_PAIRS]
    columns = min(len(shown), 2)
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(7.2, 3.0 * rows))
    for number, ((one, levels), (two, givens)) in enumerate(shown):
        axis = figure.add_subplot(rows, columns, number + 1)
        _draw_pair(axis, table, (one, levels), (two, givens))
        axis.set_ylabel(short_title(comparison.main))
    caption = (
        "Parallel lines: the factors act independently. Lines that converge or cross: one matters given the "
        "other. More than two levels without an order are not joined."
    )
    if len(pairs) > len(shown):
        caption += f" {len(pairs) - len(shown)} more pairs are not shown."
    return Drawing("interactions", "Means over pairs of factors", caption, figure)


def _draw_pair(
    axis: Axes, table: ScoreTable, first: tuple[str, list[str]], second: tuple[str, list[str]]
) -> None:
    """Draw the means at the levels of the first factor, one colour a level of the second."""
    (one, levels), (two, givens) = first, second
    joined = len(levels) == 2 or all(map(_is_number, levels))
    for number, (colour, given) in enumerate(zip(COLOURS * len(givens), givens, strict=False)):
        means = [cell_mean(table, {one: level, two: given}) for level in levels]
        shift = 0.0 if joined else 0.24 * (number / max(len(givens) - 1, 1) - 0.5)
        style = "o-" if joined else "o"
        axis.plot(
            np.arange(len(levels)) + shift,
            means,
            style,
            color=colour,
            label=shortened(given, 20),
            markersize=4,
        )
    axis.set_xticks(
        range(len(levels)),
        [shortened(level, 14) for level in levels],
        rotation=90 if len(levels) > 6 else 0,
    )
    axis.margins(x=0.1)
    axis.set_xlabel(shortened(one))
    # Beside the axes, where no line runs.
    axis.legend(
        title=shortened(two, 20),
        fontsize="small",
        title_fontsize="small",
        loc="upper left",
        bbox_to_anchor=(1, 1),
        borderaxespad=0,
    )


def _is_number(level: str) -> bool:
    try:
        float(level)
    except ValueError:
        return False
    return True


def cell_mean(table: ScoreTable, levels: dict[str, str]) -> float:
    """Return the mean over the settings that have these levels, NaN where there is none."""
    means = [
        mean
        for setting, mean in zip(table.settings, table.means(), strict=True)
        if levels.items() <= setting.levels.items()
    ]
    return float(np.mean(means)) if means else np.nan
