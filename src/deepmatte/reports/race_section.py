"""The race of a sweep on its page: a figure of the intervals that decided, and a table of the rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepmatte.compare.race_view import RaceView, cell_words
from deepmatte.reports.drawing import COLOURS, GREY, INK, STYLE, Drawing, label_rows

TICKS = (-50, -30, -20, -10, -5, 0, 5, 10, 20, 30, 50, 100, 200, 400, 900)
"""Per cent that the axis may name; it is logarithmic in the ratio."""

LEFT = COLOURS[0]
"""Colour of the settings that are left; those of a round have the following ones."""


@dataclass(frozen=True)
class RaceRow:
    """A setting in the table: its seeds, what each round showed of it, and where it ended."""

    setting: str
    seeds: int
    cells: list[str]
    end: str


def race_rows(view: RaceView) -> list[RaceRow]:
    """Return a row for each setting, those that are left first."""
    return [
        RaceRow(
            name,
            view.seeds(name),
            [_cell(view, number, name) for number in range(1, view.race.number + 1)],
            _end(view, name),
        )
        for name in view.order
    ]


def _cell(view: RaceView, number: int, name: str) -> str:
    """Return what a round showed of a setting: the leader, its distance from it, or nothing."""
    item = view.race.rounds[number - 1]
    if name in item.failed:
        return "failed"
    gap = view.rounds[number - 1].get(name)
    if gap is not None:
        return cell_words(gap)
    return "leads" if item.decision.ranking[:1] == [name] else ""


def _end(view: RaceView, name: str) -> str:
    """Return where a setting ended, with rival and interval where it was not the leader that dropped it."""
    number = view.out(name)
    if number is None:
        return "left" if name in view.race.survivors else "failed"
    drop = next(item for item in view.race.rounds[number - 1].decision.dropped if item.setting == name)
    if drop.better == view.race.rounds[number - 1].decision.ranking[0]:
        return f"out in round {number}"
    gap = view.deciding(name)
    words = "" if gap is None else f" {cell_words(gap)}"
    return f"out in round {number}: beside {drop.better}{words}"


def draw_race(view: RaceView) -> Drawing:
    """Draw the rounds that each setting ran in, and its distance from the leader of the last of them."""
    rows, number = view.order, view.race.number
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 1.1 + 0.24 * len(rows)))
        grid = figure.add_gridspec(1, 2, width_ratios=[max(0.35 * number, 1.2), 6])
        squares, axis = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
        for each in (squares, axis):
            each.set_ylim(len(rows) - 0.5, -0.5)
        _draw_rounds(squares, view)
        _draw_gaps(axis, view)
        axis.set_yticks([])
        label_rows(squares, rows)
        squares.grid(visible=False)
    equal = view.race.plan.equal_within
    caption = (
        "Left: the rounds in which a setting ran, with a cross in the one that dropped it. Right: beside the "
        "leader of its last round, with the simultaneous interval of that round; the intervals of all rounds "
        f"hold together with 95 %. Blue: left. Grey band: equal within {equal:g} %."
    )
    return Drawing("race", "The race", caption, figure)


def shade(view: RaceView, name: str) -> str:
    """Return the colour of a setting: of those that are left, or of the round that dropped it."""
    number = view.out(name)
    colour = LEFT if number is None else COLOURS[1 + (number - 1) % (len(COLOURS) - 1)]
    return mpl.colors.to_hex(colour if number or name in view.race.survivors else GREY)


def _draw_rounds(axis: Axes, view: RaceView) -> None:
    """Draw a square for each round in which a setting ran, and a cross where it was dropped."""
    for row, name in enumerate(view.order):
        ran = [number for number, item in enumerate(view.race.rounds, 1) if name in item.runs]
        axis.scatter(ran, [row] * len(ran), marker="s", s=34, color=shade(view, name), alpha=0.35)
        out = view.out(name)
        if out is not None:
            axis.scatter([out], [row], marker="x", s=26, color=shade(view, name), linewidths=1.6)
    rounds = range(1, view.race.number + 1)
    axis.set_xlim(0.4, view.race.number + 0.6)
    axis.set_xticks(list(rounds), [str(view.race.plan.seeds(number)) for number in rounds])
    axis.set_xlabel("seeds so far")


def _draw_gaps(axis: Axes, view: RaceView) -> None:
    """Draw each setting's distance from the leader of its last round, on a scale of ratios."""
    found = [view.last(name) for name in view.order]
    known = [gap for gap in found if gap is not None]
    scale = _ratio if all(gap.percent > -100 and gap.low > -100 for gap in known) else float
    for row, (name, gap) in enumerate(zip(view.order, found, strict=True)):
        colour = shade(view, name)
        if gap is None:
            if name == view.race.survivors[0]:
                axis.scatter([0], [row], s=36, color=colour, zorder=3)
            continue
        if math.isfinite(gap.high):
            axis.hlines(row, scale(gap.low), scale(gap.high), colors=colour, linewidth=1.6)
        clear = view.out(name) is not None
        face = colour if clear else "none"
        axis.scatter([scale(gap.percent)], [row], s=36, facecolors=face, edgecolors=colour, zorder=3)
    margin = view.race.plan.equal_within
    axis.axvspan(scale(-margin), scale(margin), color=GREY, alpha=0.15, linewidth=0)
    axis.axvline(0, color=INK, linewidth=0.8)
    if scale is _ratio:
        _ticks(axis)
    sign = next((item.scores.sign for item in view.tested if item is not None), 1)
    axis.set_xlabel(f"{view.metric} beside the leader, per cent ({'←' if sign > 0 else '→'} better)")
    axis.grid(axis="x", color=GREY, alpha=0.3, linewidth=0.6)


def _ratio(percent: float) -> float:
    """Return the logarithm of a ratio that is given in per cent."""
    return math.log1p(percent / 100)


def _ticks(axis: Axes) -> None:
    """Name round per cents on an axis of logarithms, as many as there is room for."""
    low, high = axis.get_xlim()
    shown: list[int] = []
    for tick in sorted((item for item in TICKS if low <= _ratio(item) <= high), key=abs):
        if all(abs(_ratio(tick) - _ratio(other)) > 0.07 * (high - low) for other in shown):
            shown.append(tick)
    axis.set_xticks([_ratio(item) for item in shown], [f"{item:+d}" if item else "0" for item in shown])
    axis.set_xlim(low, high)
    axis.tick_params(axis="x", which="minor", bottom=False)
