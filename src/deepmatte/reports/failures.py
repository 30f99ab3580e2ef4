"""Where each setting fails: its error by category, and the places where the settings err most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from deepmatte.compare.breakdowns import by_category
from deepmatte.compare.comparison import Comparison
from deepmatte.compare.table import number
from deepmatte.metrics.names import heading
from deepmatte.reports.drawing import short_labels, shown_settings
from deepmatte.reports.page import cell
from deepmatte.reports.pictures import picture_names, read_picture

CROP = 192
"""Side of the places that are shown, in pixels of the test pictures."""

METRIC = "sad"


def category_table(comparison: Comparison) -> str:
    """Return the mean SAD of each setting by category as Markdown; empty for a single category.

    The best of each category is bold. The last column has the category on which a setting is furthest behind
    the best one, and by which factor.
    """
    breakdown = next(by_category(comparison.metrics[METRIC].table), None)
    if breakdown is None:
        return ""
    order = [score.setting for score in comparison.metrics[METRIC].scores]
    values = np.stack([breakdown.values[name] for name in order])
    best = values.min(0)
    lines = [
        f"| {heading(METRIC)} by category | {' | '.join(breakdown.bins)} | furthest behind on |",
        "|---|" + "---:|" * values.shape[1] + "---|",
    ]
    for name, row in zip(order, values, strict=True):
        cells = [
            f"**{number(value)}**" if value == least else number(value)
            for value, least in zip(row, best, strict=True)
        ]
        behind = row / np.maximum(best, np.finfo(float).tiny)
        worst = int(behind.argmax())
        where = (
            f"{breakdown.bins[worst]}: {behind[worst]:.2f} x {order[int(values[:, worst].argmin())]}"
            if behind[worst] > 1
            else "none"
        )
        lines.append(f"| {cell(name)} | {' | '.join(cells)} | {cell(where)} |")
    return "\n".join(["### Where each one fails", "", breakdown.note, "", *lines])


def failures(comparison: Comparison, kinds: Mapping[str, str]) -> Figure | None:
    """Return, for each of ``kinds`` (category -> title), the place where the settings err most.

    Of a category's test pictures that every run keeps, the one with the largest mean SAD is taken. The first
    row has picture and truth, the others each setting's matte and absolute error, best setting first. None
    where no such picture is kept.
    """
    names = shown_settings(comparison)
    runs = {name: comparison.setting(name).runs[0].scored for name in names}
    chosen = hardest_pictures(comparison, kinds, picture_names(list(runs.values())))
    if not chosen:
        return None
    size = (1.1 * (2 * len(chosen) + 1.4), 1.15 * (len(runs) + 1) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(runs) + 1, 2 * len(chosen), squeeze=False)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for column, (kind, name) in enumerate(chosen.items()):
        _draw_kind(axes[:, 2 * column : 2 * column + 2], list(runs.values()), name, kinds[kind])
    for axis, label in zip(axes[1:, 0], short_labels(names, 24), strict=True):
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    return figure


def hardest_pictures(comparison: Comparison, kinds: Mapping[str, str], kept: Sequence[str]) -> dict[str, str]:
    """Return, by category, the picture among ``kept`` with the largest mean SAD over all settings."""
    table = comparison.metrics[METRIC].table
    images = table.settings[0].runs[0].images
    means = np.mean([scores.mean(axis=0) for scores in table.scores], axis=0)
    error = dict(zip(images["image"], means, strict=True))
    chosen = {}
    for kind in kinds:
        names = [name for name in images["image"][images["category"] == kind] if name in kept]
        if names:
            chosen[kind] = max(names, key=error.__getitem__)
    return chosen


def _draw_kind(axes: np.ndarray, runs: Sequence[Path], name: str, title: str) -> None:
    """Draw two columns: picture and truth, then every run's matte and error at the worst place."""
    truth = read_picture(runs[0], name, "alpha")
    mattes = [read_picture(run, name, "matte") for run in runs]
    errors = [np.abs(matte.astype(np.float32) - truth) for matte in mattes]
    place = worst_place(np.mean(errors, axis=0))
    axes[0, 0].imshow(read_picture(runs[0], name, "image")[place][..., ::-1])  # OpenCV's BGR
    axes[0, 0].set_title(title, fontsize=8, loc="left")
    axes[0, 1].imshow(truth[place], cmap="gray", vmin=0, vmax=255)
    axes[0, 1].set_title("truth", fontsize=7)
    axes[1, 0].set_title("matte", fontsize=7)
    axes[1, 1].set_title("error", fontsize=7)
    for (left, right), matte, error in zip(axes[1:], mattes, errors, strict=True):
        left.imshow(matte[place], cmap="gray", vmin=0, vmax=255)
        right.imshow(error[place], cmap=mpl.colormaps["inferno"], vmin=0, vmax=255)


def worst_place(error: np.ndarray, side: int = CROP) -> tuple[slice, slice]:
    """Return the square of ``side`` pixels, or what fits, with the largest sum of an error map (H, W).

    >>> worst_place(np.eye(4)[[3, 2, 1, 0]] * [[9], [1], [1], [1]], 2)
    (slice(0, 2, None), slice(2, 4, None))
    """
    height, width = (min(side, length) for length in error.shape)
    sums = cv2.integral(error.astype(np.float64))
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = (int(at) for at in np.unravel_index(inside.argmax(), inside.shape))
    return slice(top, top + height), slice(left, left + width)
