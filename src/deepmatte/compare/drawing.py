"""How every figure looks, and how it becomes a PNG or an SVG that takes the colours and the font of the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.statistics import Estimate

MOST = 10
"""Settings that have a colour of their own: the best ones; the others are grey or left to the table."""

INK = "#010203"
"""The colour of text and axes while drawing; in SVG it becomes the page's own text colour."""

GREY = "#8c8c8c"
STYLE = {
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
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "legend.labelcolor"), INK),
}
COLOURS = mpl.color_sequences["tab10"]


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


def interval_line(axis: Axes, row: int, estimate: Estimate, colour: str, *, hollow: bool = False) -> None:
    """Draw a mean and its interval; an unbounded interval is a mean alone."""
    if np.isfinite(estimate.low):
        axis.plot([estimate.low, estimate.high], [row, row], "-", color=colour, linewidth=1.6)
    axis.plot(estimate.mean, row, "o", color=colour, markerfacecolor="none" if hollow else colour, markersize=6)


def label_rows(axis: Axes, names: Sequence[str]) -> None:
    """Name the rows, long names shortened in the middle."""
    axis.set_yticks(range(len(names)), [shortened(name) for name in names])
    axis.grid(axis="x", color=GREY, alpha=0.3, linewidth=0.6)


def shortened(name: str, most: int = 48) -> str:
    """Return ``name`` with its middle left out where it is too long for an axis; a dollar sign is no formula here."""
    text = name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}"
    return text.replace("$", r"\$")


def legend(figure: Figure, comparison: Comparison) -> None:
    """Put one legend below all axes of the figure."""
    handles = {label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    shown = [name for name in colours(comparison) if name in handles]
    figure.legend(
        [handles[name] for name in shown], [shortened(name) for name in shown], loc="outside lower center", ncols=3, fontsize="small"
    )


def colours(comparison: Comparison) -> dict[str, str]:
    """Return the best settings with the colour that each has in every figure."""
    return {score.setting: mpl.colors.to_hex(colour) for score, colour in zip(comparison.decisive.scores[:MOST], COLOURS, strict=False)}


def colour_of(comparison: Comparison, setting: str) -> str:
    """Return a setting's colour, grey beyond the best ones."""
    return colours(comparison).get(setting, GREY)


def to_svg(drawing: Drawing) -> str:
    """Return the figure as an SVG element that uses the text colour and the font of the page around it."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        drawing.figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        drawing.figure.set_layout_engine("none")  # what is placed stays where it is; placing takes half of the time
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{drawing.name}-", text)
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def to_png(drawing: Drawing) -> bytes:
    """Return the figure as a PNG on white, 1,080 pixels wide."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        drawing.figure.savefig(buffer, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
