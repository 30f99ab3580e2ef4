"""The same test pictures of all runs as data for the page's script, hard and telling ones first."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import cv2
import numpy as np

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.records.reading import Run
from deepmatte.reports.pictures import picture_names, read_picture

MOST_MATTES = 300
"""Mattes on a page at most; it bounds the time."""

MOST_BYTES = 6_000_000
"""Size of all pictures on a page at most, but one picture is always there."""

MOST_PICTURES = 12
SIDE = 256
"""Longest side of a picture on the page, in pixels."""


def make_gallery(comparison: Comparison) -> dict[str, Any] | None:
    """Return the pictures as data for the page, None where the runs share no test pictures.

    ``runs`` has name and setting of each run, the best setting first, ``pictures`` name, ``hard`` (mean score
    over the runs, larger is harder), ``apart`` (largest difference between settings), and JPEG data:
    ``image``, ``alpha``, and ``mattes`` and ``scores``, one a run.
    """
    runs = [
        (score.setting, run)
        for score in comparison.decisive.scores
        for run in comparison.setting(score.setting).runs
    ]
    names = picture_names([run.scored for _, run in runs])
    if not names:
        return None
    hard, apart = difficulty(comparison, names)
    count = min(max(MOST_MATTES // len(runs), 2), MOST_PICTURES, len(names))
    chosen = dict.fromkeys(
        name for couple in zip(ranked(hard), ranked(apart), strict=True) for name in couple
    )
    pictures: list[dict[str, Any]] = []
    size = 0
    for name in list(chosen)[:count]:
        picture = picture_data([run for _, run in runs], name, comparison.main) | {
            "hard": hard[name],
            "apart": apart[name],
        }
        size += sum(map(len, (picture["image"], picture["alpha"], *picture["mattes"])))
        if pictures and size > MOST_BYTES:
            break
        pictures.append(picture)
    labels = [{"name": f"{setting}, seed {run.seed}", "setting": setting} for setting, run in runs]
    return {"metric": comparison.main.upper(), "runs": labels, "pictures": pictures}


def picture_data(runs: list[Run], name: str, metric: str) -> dict[str, Any]:
    """Return one test picture with the mattes and scores of all runs."""
    row = runs[0].images.index[runs[0].images["image"] == name]  # the images of all runs are the same
    scores = [float(run.images[metric][row[0]]) if len(row) else None for run in runs]
    with ThreadPoolExecutor() as pool:  # OpenCV lets other threads work meanwhile
        mattes = list(pool.map(partial(encoded, name=name, part="matte"), runs))
    image, alpha = encoded(runs[0], name, "image"), encoded(runs[0], name, "alpha")
    return {"name": name, "image": image, "alpha": alpha, "mattes": mattes, "scores": scores}


def difficulty(comparison: Comparison, names: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Return how hard each picture is and how far the settings differ on it; 0 where it has no row."""
    table = comparison.decisive.table
    images = list(table.settings[0].runs[0].images["image"])
    means = table.sign * np.stack([scores.mean(axis=0) for scores in table.scores])
    rows = {name: images.index(name) for name in names if name in images}
    hard = {name: float(means[:, rows[name]].mean()) if name in rows else 0.0 for name in names}
    apart = {name: float(np.ptp(means[:, rows[name]])) if name in rows else 0.0 for name in names}
    return hard, apart


def ranked(values: dict[str, float]) -> list[str]:
    """Return the names from the largest value to the smallest."""
    return sorted(values, key=lambda name: -values[name])


def encoded(run: Run, name: str, part: str) -> str:
    """Return one part of a test picture as a data URI, at most `SIDE` pixels wide and high."""
    picture = read_picture(run.scored, name, part)
    scale = SIDE / max(picture.shape[:2])
    if scale < 1:
        smaller = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture = np.asarray(smaller, np.uint8)
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()
