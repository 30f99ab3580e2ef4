"""The look of every figure, and its rendering as PNG, or as SVG in the colours and font of its page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.records.naming import last_words

INK = "#010203"
"""The colour of text and axes while drawing; in SVG it becomes the page's own text colour."""

GREY = "#8c8c8c"
STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "font.size": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "deepmatte",
    **dict.fromkeys(
        (
            "text.color",
            "axes.edgecolor",
            "axes.labelcolor",
            "xtick.color",
            "ytick.color",
            "legend.labelcolor",
        ),
        INK,
    ),
}
COLOURS = [
    *("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple"),
    *("tab:brown", "tab:pink", "#e3b505", "#97d83a", "tab:cyan"),
]
"""Those of matplotlib, but for the grey of what has no colour, and for olive, which is too near to yellow."""

POINTS: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 5}
LINES: dict[str, Any] = {"marker": "none", "linestyle": "-", "linewidth": 1.2}
BOTH: dict[str, Any] = {"marker": "o", "linestyle": "-", "markersize": 4, "linewidth": 1}
"""How the settings' values are drawn, in the figure and in its legend."""

LEGEND_LINE = 0.17
"""Inches of a line of a legend."""

WIDTH, HANDLE = 120, 8
"""Characters that a legend has room for in a line, and what a sample of a line takes of them."""

MOST = len(COLOURS)
"""Settings that have a colour of their own: all, or half of them the best and half the worst ones."""


@dataclass(frozen=True)
class Drawing:
    """A figure with its name (part of a file name), its title and the sentence that says how to read it."""

    name: str
    title: str
    caption: str
    figure: Figure


def rows_figure(rows: int) -> tuple[Figure, Axes]:
    """Return a figure with room for ``rows`` lines of text, the first on top."""
    figure = Figure(figsize=(7.2, 0.9 + 0.3 * rows))
    axis = figure.add_subplot()
    axis.set_ylim(rows - 0.5, -0.5)
    return figure, axis


def interval_rows(
    axis: Axes,
    means: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    shades: Sequence[str],
    solid: Sequence[bool],
) -> None:
    """Draw means and their intervals, one a row.

    An unbounded interval leaves the mean alone; a mean that is not ``solid`` is hollow.
    """
    rows = np.arange(len(means))
    low, high = np.array(intervals, dtype=float).reshape(-1, 2).T
    known = np.isfinite(low) & np.isfinite(high)
    axis.hlines(rows[known], low[known], high[known], colors=list(compress(shades, known)), linewidth=1.6)
    faces = [shade if full else "none" for shade, full in zip(shades, solid, strict=True)]
    axis.scatter(means, rows, s=36, facecolors=faces, edgecolors=shades, zorder=3)


def label_rows(axis: Axes, names: Sequence[str]) -> None:
    """Name the rows; where a name takes two lines, all are in small letters."""
    labels = short_labels(names)
    size = "small" if any("\n" in label for label in labels) else "medium"
    axis.set_yticks(range(len(labels)), labels, fontsize=size, linespacing=1)
    axis.grid(axis="x", color=GREY, alpha=0.3, linewidth=0.6)


def short_labels(names: Sequence[str], most: int = 48) -> list[str]:
    """Return names as labels of one figure: where one is too long, all have the last words of their keys.

    >>> short_labels(["model.norm=batch, step=1", "model.norm=none"], 20)
    ['norm=batch, step=1', 'norm=none']
    """
    if max(map(len, names), default=0) > most and len({last_words(name) for name in names}) == len(
        set(names)
    ):
        names = [last_words(name) for name in names]
    return [shortened(name, most) for name in names]


def shortened(name: str, most: int = 48) -> str:
    r"""Return ``name`` as a label: if longer than ``most``, with the last words of its keys and in two lines.

    Longer ones lose their middle. A dollar sign starts no formula.

    >>> shortened("model.norm=batch, composition.augment=0", 24)
    'norm=batch, augment=0'
    >>> shortened("step: a to b, at composition.augment 0.5 against 0", 24)
    'step: a to b, at augment\n0.5 against 0'
    """
    text = name if len(name) <= most else last_words(name)
    room = 2 * most - most // 6  # lines are broken between words, where that can be
    text = text if len(text) <= room else f"{text[: room // 2 - 1]}…{text[-(room // 2) :]}"
    return "\n".join(wrap(text, most, break_on_hyphens=False)).replace("$", r"\$")


def legend(figure: Figure, comparison: Comparison, style: Mapping[str, Any]) -> None:
    """Put a legend of the settings that have a colour below all axes; it counts those that have none.

    ``style`` is that of the lines.
    """
    shown = colours(comparison)
    handles = [Line2D([], [], color=colour, **style) for colour in shown.values()]
    labels = short_labels(list(shown))
    hidden = len(comparison.settings) - len(shown)
    if hidden:
        handles.append(Line2D([], [], linestyle="none"))
        labels.append(f"{hidden} more in between: see the table")
    columns = min(3, WIDTH // (HANDLE + max(len(line) for label in labels for line in label.splitlines())))
    lines = sum(1 + label.count("\n") for label in labels) / max(columns, 1)
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * lines)  # the axes keep their height
    figure.legend(handles, labels, loc="outside lower center", ncols=max(columns, 1), fontsize="small")


def shown_settings(comparison: Comparison, most: int = MOST) -> list[str]:
    """Return the settings by rank; of more than ``most``, half are the best, half the worst."""
    names = [score.setting for score in comparison.decisive.scores]
    return names if len(names) <= most else names[: most - most // 2] + names[-(most // 2) :]


def colours(comparison: Comparison) -> dict[str, str]:
    """Return the shown settings with the colour that each has in every figure."""
    return {
        name: mpl.colors.to_hex(colour)
        for name, colour in zip(shown_settings(comparison), COLOURS, strict=False)
    }


def colour_of(comparison: Comparison, setting: str) -> str:
    """Return a setting's colour, grey for those between the best and the worst."""
    return colours(comparison).get(setting, GREY)


def to_png(drawing: Drawing) -> bytes:
    """Return the figure as a PNG on white, 1,080 pixels wide."""
    figure, buffer = drawing.figure, io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    figure.set(dpi=150, facecolor="white")
    with mpl.rc_context(STYLE):
        canvas.draw()  # not savefig, which draws everything twice
    figure.set(
        facecolor="none", layout_engine="none"
    )  # what is placed stays where it is; placing takes half of the time
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def to_svg(drawing: Drawing) -> str:
    """Return the figure as an SVG element that uses the text colour and the font of the page around it."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        FigureCanvasSVG(drawing.figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{drawing.name}-", text)
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
