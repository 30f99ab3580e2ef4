"""The section on scenes of a study's page: label maps by class and by object, and their scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from deepmatte.compare.table import number
from deepmatte.metrics.functional.iou import mean_iou
from deepmatte.reports.page import cell
from deepmatte.reports.study_figures import wrapped
from deepmatte.studies.scenes import MERGED, SHOWN, TRUTH, read_scores

METHOD = (
    "Objects overlap; two in each image are of one class and touch. Each network (the seed with the best "
    "validation score) and each method mattes every object by a trimap of its own, with known zones imposed; "
    "the alphas stay soft. The object map is the argmax over the objects' alphas and the remaining "
    "background; for the class map, the alphas of a class are summed first. Semantic mIoU comes from one "
    "confusion matrix over the class maps of all images, with the background as a class; instance IoU and "
    "SAD (in the unknown zones) are means over objects. Wrong object: share of object pixels with the right "
    "class that were assigned to another object of that class."
)

MOST_COLUMNS = 3
"""Most networks, and most methods, in the figure."""

PALETTE = np.array(
    [
        [90, 90, 90],
        [230, 90, 60],
        [60, 140, 230],
        [80, 200, 90],
        [230, 200, 60],
        [180, 80, 200],
        [60, 200, 200],
        [240, 150, 180],
    ],
    np.uint8,
)
"""Grey is the background; the colours repeat after the last."""


def summary(record: dict[str, Any]) -> dict[str, float]:
    """Return the scores of a record.

    ``semantic`` is the mIoU over all scenes' pixels, ``instance`` (IoU) and ``sad`` are means over objects,
    ``same`` and ``alone`` the instance IoU of objects with and without a second one of their class in the
    scene, and ``strayed`` is the share of pixels assigned to the wrong object of the right class.
    """
    rows = [row for row in record["rows"] if row["iou"] is not None]
    members = Counter((row["scene"], row["kind"]) for row in record["rows"])
    same, alone = (
        [row["iou"] for row in rows if (members[row["scene"], row["kind"]] > 1) is twin]
        for twin in (True, False)
    )
    return {
        "semantic": mean_iou(np.array(record["confusion"])),
        "instance": _mean([row["iou"] for row in rows]),
        "same": _mean(same),
        "alone": _mean(alone),
        "strayed": record["strayed"] / max(record["objects"], 1),
        "sad": _mean([row["sad"] for row in record["rows"]]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def section(folders: Sequence[Path]) -> str:
    """Return the section as Markdown, without its figure: method, table, and conclusion."""
    records = [record for record in map(read_scores, folders) if record is not None]
    truth, merged = (
        next(record for record in records if record["label"] == label) for label in (TRUTH, MERGED)
    )
    ranked = sorted(
        (record for record in records if record not in (truth, merged)),
        key=lambda record: -summary(record)["semantic"],
    )
    scenes = len({row["scene"] for row in truth["rows"]})
    num_objects, kinds = len(truth["rows"]), truth["kinds"]
    what = f"{scenes} images with {num_objects} objects of the test set in {len(kinds)} classes"
    text = f"{what} ({', '.join(kinds)}). {METHOD}"
    lines = [
        "| | semantic mIoU | instance IoU | two of a class | only one | wrong object | SAD |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for record in (*ranked, merged):
        scores = summary(record)
        cells = [cell(record["label"])]
        cells += [number(scores[key]) for key in ("semantic", "instance", "same", "alone")]
        cells += [f"{100 * scores['strayed']:.2f} %", number(scores["sad"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n\n".join(
        ["### Several objects: by class and by object", text, "\n".join(lines), verdict(ranked, merged)]
    )


def verdict(ranked: Sequence[dict[str, Any]], merged: dict[str, Any]) -> str:
    """Return what the table shows, in words."""
    blind = summary(merged)
    sentences = [
        "What semantic segmentation misses: the true class map, with the two objects of a class merged "
        f"({MERGED}), has a semantic mIoU of {number(blind['semantic'])}, but an instance IoU of "
        f"{number(blind['instance'])}; {100 * blind['strayed']:.1f} % of the objects' pixels are assigned to "
        "the wrong object."
    ]
    if ranked:
        scores = [(record["label"], summary(record)) for record in ranked]
        by_class, by_object = (max(scores, key=lambda item: item[1][key]) for key in ("semantic", "instance"))
        wrong = [100 * item["strayed"] for _, item in scores]
        sentences.append(
            f"Best by class is {by_class[0]} (mIoU {number(by_class[1]['semantic'])}), "
            f"by object {by_object[0]} (IoU {number(by_object[1]['instance'])}); "
            f"with a trimap for each object, {min(wrong):.2f} to "
            f"{max(wrong):.2f} % of the pixels are assigned to the wrong object. "
            "Rows are single runs on few images; no test compares them."
        )
    return " ".join(sentences)


def picture(folders: Sequence[Path]) -> Figure:
    """Return the first scenes, each with its object maps above its class maps.

    After the truth come the best networks and the best methods by semantic mIoU.
    """
    found = [(folder, record) for folder in folders if (record := read_scores(folder)) is not None]
    by_label = {record["label"]: folder for folder, record in found}
    columns = [TRUTH]
    for kind in ("network", "method"):
        ranked = sorted(
            (record for _, record in found if record["kind"] == kind),
            key=lambda record: -summary(record)["semantic"],
        )
        columns += [record["label"] for record in ranked[:MOST_COLUMNS]]
    shown = [number for number in range(SHOWN) if (by_label[TRUTH] / f"{number}_image.png").is_file()]
    figure = Figure(figsize=(1.5 * (1 + len(columns)), 3.1 * len(shown) + 0.3), layout="constrained")
    axes = figure.subplots(2 * len(shown), 1 + len(columns), squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for row, scene in enumerate(shown):
        axes[2 * row, 0].imshow(_read(by_label[TRUTH] / f"{scene}_image.png"))
        for below, part in enumerate(("instances", "classes")):
            for axis, label in zip(axes[2 * row + below, 1:], columns, strict=True):
                labels = _read(by_label[label] / f"{scene}_{part}.png")
                axis.imshow(
                    PALETTE[np.where(labels > 0, (labels.astype(int) - 1) % (len(PALETTE) - 1) + 1, 0)]
                )
    for axis, title in zip(axes[0], ("picture", *columns), strict=True):
        axis.set_title(wrapped(title), fontsize=7)
    return figure


def _read(file: Path) -> np.ndarray:
    with Image.open(file) as opened:
        return np.asarray(opened)
