"""The figures of a comparison, by matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from deepmatte.compare.breakdowns import Breakdown
from deepmatte.compare.comparison import Comparison, Metric
from deepmatte.compare.factors import Effect, factor_levels
from deepmatte.compare.inference import LEVEL
from deepmatte.compare.pareto import axes as trade_offs
from deepmatte.compare.pareto import front
from deepmatte.compare.score_table import ScoreTable
from deepmatte.reports.curves import mean_curves
from deepmatte.reports.drawing import (
    BOTH,
    COLOURS,
    GREY,
    INK,
    LINES,
    MOST,
    POINTS,
    STYLE,
    Drawing,
    colour_of,
    colours,
    interval_rows,
    label_rows,
    legend,
    rows_figure,
    shortened,
)

WORDS = {
    "scores": (
        "Scores",
        "Mean with 95 % interval for new seeds and foregrounds; small dots are seeds. How difficult the foregrounds "
        "are widens all intervals alike and cancels in differences, so the figure of differences decides.",
    ),
    "differences": (
        "Differences",
        "Differences from {reference} with 95 % intervals for new seeds and foregrounds, which hold all at once. "
        "Filled: the interval leaves out 0; hollow: it does not.",
    ),
    "effects": (
        "Effects of the factors",
        "Blue: main effects, averaged over the other factors. Orange: interactions, how much an effect changes with the other "
        "factor. Intervals are simultaneous; filled: the interval leaves out 0.",
    ),
    "interactions": (
        "Means over pairs of factors",
        "Parallel lines: the factors act independently. Lines that converge or cross: one matters given the other.",
    ),
    "fronts": (
        "What it costs",
        "{metric} against other scores and costs; the line joins the settings that no other beats in both.",
    ),
    "curves": (
        "Training curves",
        "Means over the seeds of each setting. Losses of different settings have different units; the validation score has one.",
    ),
}
"""Title and caption of every kind of figure."""


def draw_all(comparison: Comparison, effects: Sequence[Effect], parts: Sequence[Breakdown]) -> list[Drawing]:
    """Draw every figure for which there is something to show."""
    with mpl.rc_context(STYLE):
        drawings = [*draw_scores(comparison), *draw_forest(comparison), *draw_factors(comparison, effects)]
        return [*drawings, *draw_fronts(comparison), *draw_curves(comparison), *draw_parts(comparison, parts)]


def draw_scores(comparison: Comparison) -> Iterator[Drawing]:
    """Every setting's mean with its interval, and a dot a seed."""
    metric = comparison.decisive
    scores = metric.scores[: 3 * MOST]
    figure, axis = rows_figure(len(scores))
    shades = [colour_of(comparison, score.setting) for score in scores]
    numbers = {item.name: number for number, item in enumerate(comparison.settings)}
    means = [metric.table.scores[numbers[score.setting]].mean(axis=1) for score in scores]
    counts = [len(item) for item in means]
    rows = np.repeat(np.arange(len(scores)) + 0.22, counts)
    axis.scatter(np.concatenate(means), rows, s=6, c=np.repeat(shades, counts), alpha=0.6)
    interval_rows(axis, [score.estimate for score in scores], shades, [True] * len(scores))
    label_rows(axis, [score.setting for score in scores])
    axis.set_xlabel(f"{metric.name.upper()} on the test split ({better(metric)})")
    yield titled("scores", figure)


def draw_forest(comparison: Comparison) -> Iterator[Drawing]:
    """Differences from the best setting or the baseline."""
    metric = comparison.decisive
    reference = comparison.baseline or metric.scores[0].setting
    couples = [
        metric.between(score.setting, reference) for score in metric.scores if score.setting != reference
    ]
    items = [item for item in couples if item is not None][: 3 * MOST]
    if not items:
        return
    figure, axis = rows_figure(len(items))
    names = [item.first for item in items]
    interval_rows(
        axis,
        [item.estimate for item in items],
        [colour_of(comparison, name) for name in names],
        [item.distinguishable for item in items],
    )
    axis.axvline(0, color=INK, linewidth=0.8)
    label_rows(axis, names)
    axis.set_xlabel(f"{metric.name.upper()} minus that of {shortened(reference)}")
    yield titled("differences", figure, reference=reference)


def draw_factors(comparison: Comparison, effects: Sequence[Effect]) -> Iterator[Drawing]:
    """Effects with intervals, and the means over every pair of factors."""
    if not effects:
        return
    shown = sorted(effects, key=lambda item: (item.given is not None, -abs(item.estimate.mean)))[: 3 * MOST]
    figure, axis = rows_figure(len(shown))
    shades = [mpl.colors.to_hex(COLOURS[0 if item.given is None else 1]) for item in shown]
    interval_rows(
        axis, [item.estimate for item in shown], shades, [item.p_adjusted < LEVEL for item in shown]
    )
    axis.axvline(0, color=INK, linewidth=0.8)
    label_rows(axis, [item.name for item in shown])
    axis.set_xlabel(f"change of {comparison.main.upper()}")
    yield titled("effects", figure)
    table = comparison.decisive.table
    pairs = list(combinations(factor_levels([setting.levels for setting in table.settings]).items(), 2))[:6]
    figure = Figure(figsize=(7.2, 2.6 * -(-len(pairs) // 2)))
    for number, ((one, levels), (two, givens)) in enumerate(pairs):
        axis = figure.add_subplot(-(-len(pairs) // 2), min(len(pairs), 2), number + 1)
        for colour, given in zip(COLOURS * len(givens), givens, strict=False):
            means = [cell_mean(table, {one: level, two: given}) for level in levels]
            axis.plot(
                [shortened(level) for level in levels],
                means,
                "o-",
                color=colour,
                label=shortened(f"{two} {given}"),
                markersize=4,
            )
        axis.set_xlabel(shortened(one))
        axis.set_ylabel(comparison.main.upper())
        axis.legend(fontsize="small")
    yield titled("interactions", figure)


def draw_fronts(comparison: Comparison) -> Iterator[Drawing]:
    """The main metric against every other metric and cost; the settings that nothing beats in both are joined."""
    others = trade_offs(comparison)
    if not others or len(comparison.settings) < 2:
        return
    main, count = comparison.decisive.table.means(), len(others)
    figure = Figure(figsize=(7.2, 2.7 * -(-count // 2)))
    shades = [colour_of(comparison, setting.name) for setting in comparison.settings]
    last = sorted(
        range(len(shades)), key=lambda item: shades[item] != GREY
    )  # those with a colour lie on top of the grey ones
    for number, (name, values) in enumerate(others.items()):
        axis = figure.add_subplot(-(-count // 2), 2, number + 1)
        axis.scatter(values[last], main[last], s=POINTS["markersize"] ** 2, c=[shades[item] for item in last])
        best = sorted(front((comparison.main, main), (name, values)), key=lambda item: values[item])
        axis.plot(values[best], main[best], "-", color=INK, linewidth=0.8, zorder=0)
        axis.set_xlabel(name)
        axis.set_ylabel(comparison.main.upper())
    legend(figure, comparison, POINTS)
    yield titled("fronts", figure, metric=comparison.main.upper())


def draw_curves(comparison: Comparison) -> Iterator[Drawing]:
    """Training loss and validation score over the steps, the mean of the seeds of each setting."""
    columns = {
        "train/loss": "training loss",
        f"val/{comparison.main}": f"validation {comparison.main.upper()}",
    }
    curves = {name: mean_curves(comparison.setting(name), list(columns)) for name in colours(comparison)}
    drawn = [column for column in columns if any(column in items for items in curves.values())]
    if not drawn:
        return
    figure = Figure(figsize=(7.2, 3))
    for number, column in enumerate(drawn):
        axis = figure.add_subplot(1, len(drawn), number + 1)
        for name, items in curves.items():
            if column in items:
                style = LINES if len(items[column]) > 1 else POINTS  # a line through one point can't be seen
                axis.plot(
                    items[column].index, items[column].to_numpy(), color=colour_of(comparison, name), **style
                )
        axis.set_xlabel("step")
        axis.set_title(columns[column])
    legend(figure, comparison, LINES)
    yield titled("curves", figure)


def draw_parts(comparison: Comparison, parts: Sequence[Breakdown]) -> Iterator[Drawing]:
    """One figure a breakdown."""
    for part in parts:
        figure = Figure(figsize=(7.2, 3))
        axis = figure.add_subplot()
        style = POINTS if part.name == "category" else BOTH
        for name, colour in colours(comparison).items():
            axis.plot(range(len(part.bins)), part.values[name], color=colour, **style)
        axis.set_xticks(
            range(len(part.bins)),
            [shortened(label) for label in part.bins],
            rotation=90 if len(part.bins) > 8 else 0,
        )
        axis.set_xlabel(part.axis)
        axis.set_ylabel(part.unit)
        legend(figure, comparison, style)
        yield Drawing(f"by_{part.name}", f"By {part.axis}", part.note, figure)


def titled(name: str, figure: Figure, **words: str) -> Drawing:
    """Return the figure with its title and caption, in which ``words`` are filled in."""
    title, caption = WORDS[name]
    return Drawing(name, title, caption.format(**words), figure)


def cell_mean(table: ScoreTable, levels: dict[str, str]) -> float:
    """Return the mean over the settings that have these levels, NaN where there is none."""
    means = [
        mean
        for setting, mean in zip(table.settings, table.means(), strict=True)
        if levels.items() <= setting.levels.items()
    ]
    return float(np.mean(means)) if means else np.nan


def better(metric: Metric) -> str:
    """Say which direction is better."""
    return "lower is better" if metric.table.sign > 0 else "higher is better"
