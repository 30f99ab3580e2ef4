"""Compare runs by their evaluations on other data sets: one set, or several with a verdict over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deepmatte.compare.comparison import Comparison, compare_settings
from deepmatte.compare.record import as_record
from deepmatte.compare.records.grouping import Setting, group_settings
from deepmatte.compare.records.reading import (
    Excluded,
    Records,
    Run,
    check_comparable,
    find_run_dirs,
    lookup,
    read_run,
)
from deepmatte.compare.table import number, print_comparison
from deepmatte.compare.verdict import decide
from deepmatte.errors import InputError
from deepmatte.metrics.names import heading

OF_THE_SCORES = (
    *("protocol", "metrics_version", "dataset", "scores"),
    *("impose_trimap", "trimap", "data_root", "metrics"),
)
"""Keys that a run takes from its evaluation; settings, seed and cost stay its own."""


@dataclass(frozen=True)
class SeveralSets:
    """A comparison for each evaluation by its name, and one over all."""

    sets: dict[str, Comparison]
    over_all: Comparison


def compare_evaluations(
    paths: Sequence[Path | str], names: Sequence[str], metric: str, baseline: str | None, **ways: Any
) -> Comparison | SeveralSets:
    """Compare the evaluations ``names`` of the runs under ``paths``, with a verdict over all if several.

    ``ways`` are those of `compare_settings`.

    Raises:
        InputError: no run has such an evaluation, or sets can't be joined.
    """
    records = {name: read_evaluations(paths, name) for name in dict.fromkeys(names)}
    sets = {
        name: compare_settings(group_settings(found.runs), metric, baseline, excluded=found.excluded, **ways)
        for name, found in records.items()
    }
    if len(sets) == 1:
        return next(iter(sets.values()))
    settings = pool(records, metric)
    excluded = {item.path: item for found in records.values() for item in found.excluded}
    return SeveralSets(
        sets, compare_settings(settings, metric, baseline, excluded=list(excluded.values()), **ways)
    )


def read_evaluations(paths: Sequence[Path | str], name: str) -> Records:
    """Read the evaluation ``name`` of each run under ``paths``; methods take part by their own of that name.

    Raises:
        InputError: no run has it, or two of them can't be compared.
    """
    directories = find_run_dirs(paths)
    found = [record for path in directories if (record := read_evaluation(path, name)) is not None]
    runs = [record for record in found if isinstance(record, Run)]
    if not runs:
        there = sorted({home.name for path in directories for home in path.glob("evaluations/*/")})
        known = f"there are {', '.join(there)}" if there else "`deepmatte evaluate SWEEP data=…` makes them"
        raise InputError(f"--on {name}: no finished run has an evaluation of this name; {known}")
    check_comparable(runs)
    return Records(runs, [record for record in found if isinstance(record, Excluded)])


def read_evaluation(path: Path, name: str) -> Run | Excluded | None:
    """Return a run with the scores of its evaluation ``name``; None for a method's of another name."""
    run = read_run(path)
    if isinstance(run, Excluded):
        return run
    if run.deterministic:
        return run if path.name == name else None
    home = path / "evaluations" / name
    if Path(name).name != name or not home.is_dir():
        return Excluded(path, "not evaluated", f"no evaluations/{name}")
    scored = read_run(home)
    if isinstance(scored, Excluded):
        return Excluded(path, scored.status, f"evaluations/{name}: {scored.reason}")
    taken = {key: scored.result[key] for key in OF_THE_SCORES if key in scored.result}
    return Run(path, run.result | taken, scored.images, home)


def pool(records: dict[str, Records], metric: str) -> list[Setting]:
    """Return the settings with the foregrounds of all sets, each set scaled so that ratios count alike.

    A setting's mean is then the geometric mean of its means on the sets, so that two settings are compared by
    the mean of their log ratios; and its relative deviations are the means of those on the sets, which is
    the delta method for that mean. Only runs that have all evaluations take part, and only metrics whose
    means are above 0 everywhere.

    Raises:
        InputError: no run has all evaluations, or a mean of ``metric`` is not above 0.
    """
    homes = [{_home(run): run for run in found.runs} for found in records.values()]
    shared = [home for home in homes[0] if all(home in other for other in homes)]
    if not shared:
        raise InputError(
            f"no run has all of the evaluations {', '.join(records)}; evaluate the same runs on each"
        )
    metrics = [
        name
        for name in homes[0][shared[0]].metrics
        if all(name in found[home].metrics for found in homes for home in shared)
    ]
    settings = []
    for setting in group_settings([homes[0][home] for home in shared]):
        tables = [[found[_home(run)].images for run in setting.runs] for found in homes]
        means = {
            name: np.array([np.mean([table[name].mean() for table in rows]) for rows in tables])
            for name in metrics
        }
        if metric in means and not (means[metric] > 0).all():
            lowest = list(records)[int(means[metric].argmin())]
            raise InputError(
                f"{setting.name}: mean {metric} {means[metric].min():.4g} on {lowest}, but a verdict over "
                "all sets compares ratios, which need scores above 0; compare each set alone"
            )
        scales = _scales({name: found for name, found in means.items() if (found > 0).all()}, tables)
        runs = [
            _pooled(run, [found[_home(run)] for found in homes], scales, list(records))
            for run in setting.runs
        ]
        settings.append(Setting(setting.name, setting.levels, runs))
    return settings


def _home(run: Run) -> Path:
    """Return what evaluations of one run, or of one method, share."""
    return (run.path.parent if run.deterministic else run.path).resolve()


def _scales(means: dict[str, np.ndarray], tables: list[list[pd.DataFrame]]) -> dict[str, np.ndarray]:
    """Return the factor of each set by metric: it gives all sets one mean and, by images, one weight."""
    counts = np.array([len(rows[0]) for rows in tables])
    weights = counts.sum() / (len(counts) * counts)
    return {name: weights * np.exp(np.log(found).mean()) / found for name, found in means.items()}


def _pooled(run: Run, scored: list[Run], scales: dict[str, np.ndarray], names: list[str]) -> Run:
    """Return ``run`` with the scaled scores of all sets, images and foregrounds named after their set.

    Evaluations of one data set under several trimaps share their foregrounds, which then count once.
    """
    parts = []
    for place, (name, found) in enumerate(zip(names, scored, strict=True)):
        table, data = found.images, str(lookup(found.result, "dataset.name") or name)
        labels = {label: data + "/" + table[label] for label in ("foreground", "background")}
        labels["image"] = name + "/" + table["image"]
        scaled = {metric: table[metric] * scale[place] for metric, scale in scales.items()}
        parts.append(pd.DataFrame(labels | {"category": table["category"]} | scaled))
    images = pd.concat(parts, ignore_index=True)
    dataset = {"name": " + ".join(names), "split": "every", "num_images": len(images)}
    return Run(run.path, run.result | {"dataset": dataset, "scores": {}}, images, run.evaluation)


def print_several(found: SeveralSets, console: Console) -> None:
    """Print a row for each set, and the comparison over all."""
    metric = found.over_all.main
    table = Table(title="each data set by itself", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("evaluation", overflow="fold")
    table.add_column("best", overflow="fold")
    table.add_column(escape(heading(metric)), justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for name, comparison in found.sets.items():
        best = comparison.decisive.scores[0]
        headline = decide(comparison).headline
        table.add_row(escape(name), escape(best.setting), number(best.estimate.mean), escape(headline))
    console.print(table)
    console.print(f"Over all sets, {metric.upper()} is the geometric mean of the means on each:")
    print_comparison(found.over_all, console)


def several_records(found: SeveralSets) -> dict[str, Any]:
    """Return everything as plain data: a record for each set, and one over all."""
    records = {name: as_record(comparison) for name, comparison in found.sets.items()}
    return {"sets": records, "over_all": as_record(found.over_all)}
