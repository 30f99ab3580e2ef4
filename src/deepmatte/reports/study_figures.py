"""Figures of a study beside those of its comparison: loss by epoch, and mattes side by side."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.records.grouping import read_config
from deepmatte.compare.records.naming import last_words
from deepmatte.compare.records.reading import Run
from deepmatte.compare.words import listing
from deepmatte.reports.drawing import GREY, LINES, STYLE, colours, legend, shown_settings
from deepmatte.reports.pictures import picture_names, read_picture

MOST_COLUMNS = 9
SIDE = 160
"""Longest side of a picture on the sheet, in pixels."""


def losses(run: Run) -> pd.DataFrame:
    """Return ``train`` and ``validation`` loss by epoch, means of what was logged; empty without a log."""
    try:
        table = pd.read_csv(run.path / "metrics.csv")
        columns = table.groupby("epoch")[["train/loss", "val/loss"]].mean()
    except (OSError, ValueError, KeyError):
        return pd.DataFrame(columns=["train", "validation"], dtype=float)
    return columns.set_axis(["train", "validation"], axis=1)


def loss_table(comparison: Comparison) -> pd.DataFrame:
    """Return one row a setting, the mean of its seeds: both losses after the last epoch.

    That of an epoch without a validation is of the last one with it, in the same stage; where the last stage
    has logged none, as one with a critic did in the first editions, it is NaN.
    """
    rows = {}
    for setting in comparison.settings:
        last = [_last_losses(run, table) for run in setting.runs if len(table := losses(run))]
        if last:
            rows[setting.name] = pd.concat(last, axis=1).mean(axis=1)
    return pd.DataFrame(rows).T


def _last_losses(run: Run, table: pd.DataFrame) -> pd.Series:
    """Return the last losses of the run's last stage."""
    begin = min(max(_starts(run), default=0), table.index[-1])  # stages that end early begin earlier
    return table.loc[begin:].ffill().iloc[-1]


def loss_figure(comparison: Comparison) -> Figure | None:
    """Return training loss (line) and validation loss (dashed) over the epochs, of settings with a colour.

    Losses of different settings have different units, so each is divided by its first training loss. Dotted
    lines are the starts of stages. None where no run has two epochs.
    """
    with mpl.rc_context(STYLE | {"figure.facecolor": "white"}):
        figure = Figure(figsize=(7.2, 3.4))
        axis = figure.add_subplot()
        for name, colour in colours(comparison).items():
            found = [table for table in map(losses, comparison.setting(name).runs) if len(table)]
            if max(map(len, found), default=0) < 2:  # one point is no line
                continue
            mean = pd.concat(found).groupby(level=0).mean()
            first = next(iter(mean["train"].dropna()), 0.0)
            for column, style in (("train", "-"), ("validation", "--")):
                series = mean[column].dropna()  # a short epoch may have logged nothing
                if first > 0:
                    axis.plot(series.index + 1, series / first, style, color=colour)
        if not axis.lines:
            return None
        for epoch, stages in stage_starts(comparison).items():
            axis.axvline(epoch + 0.5, color=GREY, linestyle=":", linewidth=1)
            axis.annotate(
                "\n".join(stages),
                (epoch + 0.5, 1),
                xycoords=("data", "axes fraction"),
                fontsize="small",
                va="bottom",
            )
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_xlabel("epoch")
        axis.set_ylabel("loss, relative to its first value")
        legend(figure, comparison, LINES)
    return figure


def stage_starts(comparison: Comparison) -> dict[int, list[str]]:
    """Return the epochs after which stages begin, with their names.

    Where settings have different stages, the settings whose stage it is follow each name.
    """
    plans = {setting.name: _starts(setting.runs[0]) for setting in comparison.settings}
    alike = len({tuple(plan.items()) for plan in plans.values()}) == 1
    found: dict[int, dict[str, list[str]]] = {}
    for name, plan in plans.items():
        for epoch, stage in plan.items():
            found.setdefault(epoch, {}).setdefault(stage, []).append(name)
    return {
        epoch: [stage if alike else f"{stage} of {listing(names)}" for stage, names in stages.items()]
        for epoch, stages in sorted(found.items())
    }


def _starts(run: Run) -> dict[int, str]:
    """Return the epochs after which a stage of the run begins, with its name."""
    stages = read_config(run).get("stages")
    lengths = {
        name: int(stage["epochs"])
        for name, stage in (stages.items() if isinstance(stages, dict) else ())
        if isinstance(stage, dict) and isinstance(stage.get("epochs"), int) and stage["epochs"] > 0
    }
    return dict(zip(accumulate(lengths.values()), list(lengths)[1:], strict=False))


def sheet(comparison: Comparison, baselines: Mapping[str, Path], count: int) -> Figure | None:
    """Return up to ``count`` test pictures in rows: image, trimap, truth, mattes of settings and of methods.

    Where there is no room for all settings, the best and the worst are shown. None where they share no
    pictures.
    """
    others = list(baselines.items())[: MOST_COLUMNS // 2]
    names = shown_settings(comparison, MOST_COLUMNS - len(others))
    columns = [*((name, comparison.setting(name).runs[0].scored) for name in names), *others]
    names = picture_names([path for _, path in columns])
    names = [names[i * len(names) // count] for i in range(count)] if len(names) > count else names
    if not names:
        return None
    first = columns[0][1]
    figure = Figure(figsize=(1.25 * (3 + len(columns)), 1.35 * len(names) + 0.35), layout="constrained")
    axes = figure.subplots(len(names), 3 + len(columns), squeeze=False)
    for row, name in zip(axes, names, strict=True):
        pictures = [_small(first, name, part) for part in ("image", "trimap", "alpha")]
        pictures += [_small(path, name, "matte") for _, path in columns]
        for axis, picture in zip(row, pictures, strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_axis_off()
    for axis, title in zip(
        axes[0], ("image", "trimap", "truth", *(label for label, _ in columns)), strict=True
    ):
        axis.set_title(wrapped(title), fontsize=6)
    return figure


def _small(run: Path, name: str, part: str) -> np.ndarray:
    pixels = read_picture(run, name, part)
    picture = Image.fromarray(pixels[..., ::-1] if pixels.ndim == 3 else pixels)  # OpenCV's BGR
    picture.thumbnail(
        (SIDE, SIDE), Image.Resampling.NEAREST if part == "trimap" else Image.Resampling.LANCZOS
    )
    return np.asarray(picture)


def wrapped(title: str, width: int = 22, lines: int = 4) -> str:
    r"""Return a title in lines of ``width`` characters, broken between words; a longer one ends in dots.

    >>> wrapped("model.norm=batch, step=fast_bce, composition.augment=0.5", 16)
    'norm=batch,\nstep=fast_bce,\naugment=0.5'
    >>> wrapped("abcdefghijkl", 5, 2)
    'abcde\n…'
    """
    short = title if len(title) <= width else last_words(title)
    return "\n".join(wrap(short, width, max_lines=lines, placeholder="…", break_on_hyphens=False))
