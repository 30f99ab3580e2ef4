"""Write a comparison to a directory: page, Markdown, CSV, PNG and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from deepmatte.compare.breakdowns import breakdowns
from deepmatte.compare.comparison import Comparison
from deepmatte.compare.factors import effects
from deepmatte.compare.race_view import race_of
from deepmatte.compare.record import as_record
from deepmatte.files import check_folder, write_bytes, write_text
from deepmatte.reports.drawing import Drawing, to_png
from deepmatte.reports.figures import draw_all
from deepmatte.reports.gallery import make_gallery
from deepmatte.reports.page import render_markdown, render_page

PAGE, MARKDOWN, RECORD, FIGURES = "comparison.html", "comparison.md", "comparison.json", "figures"
CURE = "make room, or give --out a directory that can be written"


def write_report(comparison: Comparison, directory: Path) -> list[Drawing]:
    """Write the report and return its figures.

    The files are ``comparison.html``, ``.md`` and ``.json``, ``scores.csv``, ``differences.csv`` and
    ``figures/*.png``, each written atomically. InputError where the directory can't be written.
    """
    check_folder(directory / FIGURES, CURE)  # before the work, not after it
    found, race = effects(comparison.decisive.table), race_of(comparison)
    drawings = draw_all(comparison, found, breakdowns(comparison), race=race)
    pictures = {f"{drawing.name}.png": to_png(drawing) for drawing in drawings}
    files = {
        PAGE: render_page(comparison, found, drawings, make_gallery(comparison), directory, race),
        MARKDOWN: render_markdown(comparison, found, drawings, FIGURES, race),
        RECORD: json.dumps(as_record(comparison), allow_nan=False) + "\n",
        "scores.csv": scores_table(comparison).to_csv(index=False),
        "differences.csv": differences_table(comparison).to_csv(index=False),
    }
    for name, text in files.items():
        write_text(directory / name, text)
    for name, picture in pictures.items():
        write_bytes(directory / FIGURES / name, picture)
    return drawings


def scores_table(comparison: Comparison) -> pd.DataFrame:
    """Return one row a setting and metric."""
    rows = [
        {
            "metric": name,
            "setting": score.setting,
            "rank": score.rank,
            "mean": score.estimate.mean,
            "sd": score.sd,
        }
        | {
            "low": score.estimate.low,
            "high": score.estimate.high,
            "seeds": score.seeds,
            "chance_to_be_best": score.chance,
        }
        for name, metric in comparison.metrics.items()
        for score in metric.scores
    ]
    return pd.DataFrame(rows)


def differences_table(comparison: Comparison) -> pd.DataFrame:
    """Return one row a pair of settings and metric."""
    rows = []
    for name, metric in comparison.metrics.items():
        for item in metric.differences:
            row = asdict(item)
            part, size = (
                row.pop("estimate"),
                dict(zip(("d", "d_low", "d_high"), row.pop("effect"), strict=True)),
            )
            fixed = {f"test_set_{key}": value for key, value in row.pop("on_test_set").items()}
            rows.append(
                {
                    "metric": name,
                    "difference": part["mean"],
                    "low": part["low"],
                    "high": part["high"],
                    **row,
                    **fixed,
                    **size,
                }
            )
    return pd.DataFrame(rows)
