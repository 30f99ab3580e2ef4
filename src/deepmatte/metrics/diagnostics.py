"""Diagnostics of a whole dataset as a torchmetric, and their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from deepmatte.errors import InputError
from deepmatte.metrics.functional.diagnostics import (
    ALPHA_EDGES,
    BORDER_EDGES,
    PREDICTED_EDGES,
    WIDTH_EDGES,
    Table,
    calibration_error,
    diagnose,
)
from deepmatte.metrics.functional.protocols import Protocol, get_protocol
from deepmatte.metrics.per_image import PerImage, at_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EDGES = {"alpha": ALPHA_EDGES, "border": BORDER_EDGES, "width": WIDTH_EDGES, "predicted": PREDICTED_EDGES}
FIELDS = ("num_pixels", "error", "predicted", "true")


class MattingDiagnostics(PerImage):
    """Tables of where the error is, summed over a dataset, and each image's part for ``per_image.csv``.

    See ``functional.diagnostics.diagnose`` for the tables.
    """

    def __init__(self, protocol: str | Protocol = "adobe", **kwargs: object) -> None:
        super().__init__(width=sum(len(FIELDS) * (len(edges) - 1) for edges in EDGES.values()), **kwargs)
        self.protocol = get_protocol(protocol)
        self._per_image: list[dict[str, float]] = []

    def update(self, prediction: Tensor, alpha: Tensor, trimap: Tensor, index: Tensor | None = None) -> None:
        """Diagnose a batch; arguments as in ``MattingMetrics.update``."""
        rows = []
        for i in range(len(prediction)):
            try:
                tables = diagnose(prediction[i], alpha[i], trimap[i], self.protocol)
            except InputError as error:
                raise at_image(error, i, index) from None
            sums = [getattr(tables[name], field) for name in EDGES for field in FIELDS]
            rows.append(np.concatenate(sums).tolist())
        self.append(rows, index)

    def compute(self) -> dict[str, Table]:
        """Return the tables of all images of all processes together."""
        indices, rows = self.gathered()
        self._per_image = [
            {"index": index, **_columns(_tables(row))}
            for index, row in zip(indices, rows.numpy(), strict=True)
        ]
        return _tables(rows.sum(0).numpy())

    def per_image(self) -> list[dict[str, float]]:
        """Return {"index": ..., "sad_alpha_0_0.05": ..., ...} of all images, sorted by index.

        A collective call, unless ``compute`` was called last.
        """
        self.compute()
        return self._per_image

    def reset(self) -> None:
        """Forget all images."""
        super().reset()
        self._per_image = []


def _tables(row: np.ndarray) -> dict[str, Table]:
    tables, begin = {}, 0
    for name, edges in EDGES.items():
        end = begin + len(FIELDS) * (len(edges) - 1)
        tables[name] = Table(name, edges, *row[begin:end].reshape(len(FIELDS), -1))
        begin = end
    return tables


def _columns(tables: dict[str, Table]) -> dict[str, float]:
    columns: dict[str, float] = {}
    for name in ("alpha", "border", "width"):
        columns |= tables[name].columns()
    return columns | {"calibration_error": calibration_error(tables["predicted"])}


def diagnostics_figure(tables: Mapping[str, Mapping[str, Table]]) -> Figure:
    """Return a figure of four panels with a curve for each run.

    They show the error by alpha, by distance from the border and by width, and the reliability diagram.
    ``tables`` maps a run's label to the result of ``MattingDiagnostics.compute``. Opens no window.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    titles = {
        "alpha": "true alpha",
        "border": "pixels from the trimap's border",
        "width": "width of the unknown zone, pixels",
    }
    for label, run in tables.items():
        for axis, name in zip(axes, titles, strict=False):
            axis.plot(_places(run[name]), run[name].mean("error"), marker=".", label=label)
        axes[3].plot(
            run["predicted"].mean("predicted"), run["predicted"].mean("true"), marker=".", label=label
        )
    for axis, (name, title) in zip(axes, titles.items(), strict=False):
        axis.set(xlabel=title, ylabel="mean |prediction - alpha|", ylim=(0, None))
        _bin_labels(axis, EDGES[name])
    axes[3].plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes[3].set(xlabel="mean predicted alpha", ylabel="mean true alpha")
    axes[0].legend()
    return figure


def _places(table: Table) -> np.ndarray:
    """Return the positions of the bins: centres for alpha, side by side for open-ended bins of pixels."""
    edges = table.edges
    return (edges[1:] + edges[:-1]) / 2 if np.isfinite(edges[-1]) else np.arange(len(edges) - 1)


def _bin_labels(axis: Axes, edges: np.ndarray) -> None:
    if not np.isfinite(edges[-1]):
        labels = [
            f"{low:g} to {high:g}" if np.isfinite(high) else f"from {low:g}" for low, high in pairwise(edges)
        ]
        axis.set_xticks(range(len(labels)), labels)


def robustness_figure(curves: Mapping[str, Sequence[Mapping[str, float]]], score: str = "sad") -> Figure:
    """Return a figure of ``score`` against the radius by which the unknown zone was widened.

    ``curves`` maps the label of a run to rows with ``radius`` and the scores, means over the images.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for label, rows in curves.items():
        axis.plot([row["radius"] for row in rows], [row[score] for row in rows], marker=".", label=label)
    axis.set(xlabel="pixels by which the unknown zone was widened", ylabel=score, ylim=(0, None))
    axis.legend()
    return figure


def plates_figure(curves: Mapping[str, Sequence[Mapping[str, Any]]], score: str = "sad") -> Figure:
    """Return a figure of ``score`` against each disturbance of the captured background.

    ``curves`` maps the label of a run to rows with ``disturbance``, ``amount`` and the scores, means over the
    images.
    """
    from matplotlib.figure import Figure

    titles = {
        "shift": "pixels by which the plate is moved",
        "gain": "exposure of the plate",
        "shadow": "light that the image's background loses",
    }
    figure = Figure(figsize=(12, 4), layout="constrained")
    axes = figure.subplots(1, len(titles), sharey=True)
    for axis, (kind, title) in zip(axes, titles.items(), strict=True):
        for label, rows in curves.items():
            shown = [row for row in rows if row["disturbance"] == kind]
            places = [row["amount"] for row in shown]
            axis.plot(places, [row[score] for row in shown], marker=".", label=label)
        axis.set(xlabel=title, ylim=(0, None))
    axes[0].set_ylabel(score)
    axes[0].legend()
    return figure
