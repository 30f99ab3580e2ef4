"""Where each setting fails: its error by kind of object, and the places of some kinds where the settings err most."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from deepmatte.compare.breakdowns import by_category
from deepmatte.compare.comparison import Comparison
from deepmatte.compare.table import number
from deepmatte.reports.page import cell
from deepmatte.reports.pictures import picture_names, read_picture

CROP = 192
"""Side of the places that are shown, in pixels of the test pictures."""

METRIC = "sad"


def kinds_table(comparison: Comparison) -> str:
    """Return the mean SAD of each setting by kind of test picture as Markdown, the best of each kind in bold; empty for one kind.

    The last column says on which kind a setting is furthest behind the best one, and by which factor.
    """
    breakdown = next(by_category(comparison.metrics[METRIC].table), None)
    if breakdown is None:
        return ""
    order = [score.setting for score in comparison.metrics[METRIC].scores]
    values = np.stack([breakdown.values[name] for name in order])
    best = values.min(0)
    lines = [
        f"| {METRIC} by kind | {' | '.join(breakdown.bins)} | furthest behind on |",
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
    """Return, for each of ``kinds`` (category -> title), the place where the settings err most: truth, then mattes and their errors.

    Of the test pictures of a kind that every run keeps, the one with the largest mean SAD is taken. Settings
    are rows, best first. None where no such picture is kept.
    """
    metric = comparison.metrics[METRIC]
    runs = {score.setting: comparison.setting(score.setting).runs[0].path for score in metric.scores}
    images = metric.table.settings[0].runs[0].images
    mean = dict(
        zip(
            images["image"],
            np.mean([scores.mean(axis=0) for scores in metric.table.scores], axis=0),
            strict=True,
        )
    )
    kept = set(picture_names(list(runs.values())))
    chosen = {}
    for kind in kinds:
        names = [name for name in images["image"][images["category"] == kind] if name in kept]
        if names:
            chosen[kind] = max(names, key=mean.__getitem__)
    if not chosen:
        return None
    figure = Figure(
        figsize=(1.1 * (2 * len(chosen) + 1.4), 1.1 * (len(runs) + 1) + 0.3), layout="constrained"
    )
    axes = figure.subplots(len(runs) + 1, 2 * len(chosen), squeeze=False)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    first = next(iter(runs.values()))
    for column, (kind, name) in zip(range(0, axes.shape[1], 2), chosen.items(), strict=True):
        truth = read_picture(first, name, "alpha")
        mattes = [read_picture(run, name, "matte") for run in runs.values()]
        errors = [np.abs(matte.astype(np.float32) - truth) for matte in mattes]
        place = worst_place(np.mean(errors, axis=0))
        axes[0, column].imshow(read_picture(first, name, "image")[place][..., ::-1])  # OpenCV's BGR
        axes[0, column].set_title(kinds[kind], fontsize=8, loc="left")
        axes[0, column + 1].imshow(truth[place], cmap="gray", vmin=0, vmax=255)
        axes[0, column + 1].set_title("truth", fontsize=7)
        for row, (matte, error) in enumerate(zip(mattes, errors, strict=True), 1):
            axes[row, column].imshow(matte[place], cmap="gray", vmin=0, vmax=255)
            axes[row, column + 1].imshow(error[place], cmap=mpl.colormaps["inferno"], vmin=0, vmax=255)
    for axis, name in zip(axes[1:, 0], runs, strict=True):
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    return figure


def worst_place(error: np.ndarray, side: int = CROP) -> tuple[slice, slice]:
    """Return the square of ``side`` pixels, or what fits, of an error map (H, W) that holds most of it.

    >>> worst_place(np.eye(4)[[3, 2, 1, 0]] * [[9], [1], [1], [1]], 2)
    (slice(0, 2, None), slice(2, 4, None))
    """
    height, width = (min(side, length) for length in error.shape)
    sums = cv2.integral(error.astype(np.float64))
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = (int(at) for at in np.unravel_index(inside.argmax(), inside.shape))
    return slice(top, top + height), slice(left, left + width)
