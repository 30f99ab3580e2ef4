"""All figures of a comparison, by matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepmatte.compare.breakdowns import Breakdown
from deepmatte.compare.comparison import Comparison
from deepmatte.compare.factors import Effect
from deepmatte.compare.pareto import COSTS, front
from deepmatte.compare.pareto import axes as trade_offs
from deepmatte.compare.race_view import RaceView
from deepmatte.compare.words import axis_title, short_title
from deepmatte.reports.curves import mean_curves
from deepmatte.reports.drawing import (
    BOTH,
    GREY,
    INK,
    LINES,
    POINTS,
    STYLE,
    Drawing,
    colour_of,
    colours,
    legend,
    shortened,
)
from deepmatte.reports.factor_figures import draw_factors
from deepmatte.reports.race_section import draw_race
from deepmatte.reports.score_figures import draw_differences, draw_scores

COST_TITLES = {"seconds": "seconds of training", "peak_memory_mb": "peak memory, MB"}


def draw_all(
    comparison: Comparison,
    effects: Sequence[Effect],
    parts: Sequence[Breakdown],
    levels: Mapping[str, float] | None = None,
    race: RaceView | None = None,
) -> list[Drawing]:
    """Draw every figure for which there is something to show; ``levels`` are scores of methods."""
    with mpl.rc_context(STYLE):
        return [
            *([] if race is None else [draw_race(race)]),
            *draw_scores(comparison, levels),
            *draw_differences(comparison),
            *draw_factors(comparison, effects),
            *draw_fronts(comparison),
            *draw_curves(comparison),
            *draw_parts(comparison, parts),
        ]


def draw_fronts(comparison: Comparison) -> Iterator[Drawing]:
    """Draw the main metric against every cost; the settings that nothing beats in both are joined."""
    costs = {name: values for name, values in trade_offs(comparison).items() if name in COSTS}
    if not costs or len(comparison.settings) < 2:
        return
    main, count = comparison.decisive.table.means(), len(costs)
    figure = Figure(figsize=(7.2, 3.2))
    shades = [colour_of(comparison, setting.name) for setting in comparison.settings]
    last = sorted(range(len(shades)), key=lambda item: shades[item] != GREY)  # colours on top of grey
    for number, (name, values) in enumerate(costs.items()):
        axis = figure.add_subplot(1, count, number + 1)
        axis.scatter(values[last], main[last], s=POINTS["markersize"] ** 2, c=[shades[item] for item in last])
        best = sorted(front((comparison.main, main), (name, values)), key=lambda item: values[item])
        axis.plot(values[best], main[best], "-", color=INK, linewidth=0.8, zorder=0)
        axis.xaxis.set_major_locator(MaxNLocator(4))  # costs that hardly differ have long numbers
        axis.set_xlabel(COST_TITLES[name])
        axis.set_ylabel(short_title(comparison.main))
    legend(figure, comparison, POINTS)
    caption = (
        f"{comparison.main.upper()} against costs, means of the seeds; the line joins the settings that no "
        "other beats in both."
    )
    yield Drawing("fronts", "What it costs", caption, figure)


def draw_curves(comparison: Comparison) -> Iterator[Drawing]:
    """Draw training loss and validation score over the steps, the mean of the seeds of each setting.

    A panel whose curves have a single point is left out, as it shows no course.
    """
    validation = f"val/{comparison.main}"
    titles = {
        "train/loss": "training loss, relative to its first value",
        validation: f"validation {axis_title(comparison.main)}",
    }
    found = {name: mean_curves(comparison.setting(name), list(titles)) for name in colours(comparison)}
    curves = {
        column: {name: items[column] for name, items in found.items() if column in items} for column in titles
    }
    curves["train/loss"] = {
        name: series / series.iloc[0] for name, series in curves["train/loss"].items() if series.iloc[0] > 0
    }
    drawn = [column for column, items in curves.items() if items and min(map(len, items.values())) > 1]
    if not drawn:
        return
    figure = Figure(figsize=(7.2, 3.2))
    for number, column in enumerate(drawn):
        axis = figure.add_subplot(1, len(drawn), number + 1)
        for name, series in curves[column].items():
            _plot(axis, series, colour_of(comparison, name))
        axis.set_xlabel("step")
        axis.set_title(titles[column])
    legend(figure, comparison, LINES)
    caption = (
        "Means over the seeds of each setting. Losses have different units, so each is divided by its first "
        "value: compare their course, not their height."
    )
    if "train/loss" not in drawn:
        caption = "Means over the seeds of each setting."
    yield Drawing("curves", "Training curves", caption, figure)


def _plot(axis: mpl.axes.Axes, series: pd.Series, colour: str) -> None:
    style = {**LINES, "marker": "o", "markersize": 3} if len(series) <= 10 else LINES
    axis.plot(series.index, series.to_numpy(), color=colour, **style)


def draw_parts(comparison: Comparison, parts: Sequence[Breakdown]) -> Iterator[Drawing]:
    """Draw one figure a breakdown."""
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
