"""Tune a key of each setting before its race, all with one budget; or say at which value all settings train.

``study.tune: {key: optimizer.lr, values: [0.002, 0.005, 0.0125], seeds: [100]}`` trains every setting with
every value and seed in a sweep of its own, ``NAME_tuning``, and takes the value with the best mean validation
score. The test split has no part in it, nor have the seeds of the race, which count from 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deepmatte.compare.records.budget import plural
from deepmatte.compare.records.grouping import TUNING_FILE, read_config
from deepmatte.compare.records.reading import Run, lookup
from deepmatte.compare.table import number
from deepmatte.errors import InputError
from deepmatte.files import write_text
from deepmatte.reports.page import cell
from deepmatte.runs.directory import FINISHED
from deepmatte.studies.race_grid import Grid
from deepmatte.studies.study import Study, find_study
from deepmatte.sweeps import sweep_file

RATE = "optimizer.lr"


@dataclass(frozen=True)
class Tune:
    """What ``study.tune`` asks for; ``values`` as they are written on a command line."""

    key: str
    values: list[str]
    seeds: list[int]


def tune_of(study: Study, raced: Container[int]) -> Tune | None:
    """Return what a study tunes before a race of the seeds ``raced``; None for nothing.

    Raises:
        InputError: ``study.tune`` is not of that form or has a seed of the race, or the command line sets the
            key.
    """
    found = study.options["tune"]
    if found is None:
        return None
    try:
        tune = Tune(str(found["key"]), [str(value) for value in found["values"]], list(found["seeds"]))
    except (KeyError, TypeError) as error:
        raise InputError(
            "study.tune: give key, values and seeds, as in {key: optimizer.lr, values: [0.002, 0.005], "
            "seeds: [100]}"
        ) from error
    if len(found) > 3 or len(tune.values) < 2 or not tune.seeds or set(map(type, tune.seeds)) != {int}:
        raise InputError(f"study.tune: {found}: give a key, 2 values or more and whole seeds, nothing else")
    if seen := [seed for seed in tune.seeds if seed in raced]:
        raise InputError(
            f"study.tune.seeds: {', '.join(map(str, seen))} will be raced; a seed that has chosen is no fair "
            "test, so take others, such as 100"
        )
    given = next((word for word in study.overrides if word.partition("=")[0].lstrip("+") == tune.key), None)
    if given is not None:
        raise InputError(f"{given}: this experiment tunes it; study.tune=null sets it for all")
    return tune


def tuned(study: Study, grid: Grid, tune: Tune, run: Callable[[Study], int]) -> tuple[int, Grid]:
    """Run what is unfinished of the tuning; return 0 and the grid with the chosen values, or an exit code.

    Raises:
        InputError: no run of a setting has finished.
    """
    print(f"tuning    {tune.key} of each setting over {', '.join(tune.values)}", flush=True)
    words = [
        *(f"name={study.config.name}_tuning", f"{tune.key}={','.join(tune.values)}"),
        f"seed={','.join(map(str, tune.seeds))}",
    ]
    sweep = find_study(study.name, [*study.overrides, *words])
    with study.active():
        code = run(sweep)
    if code not in (0, 1):  # 1: a job failed, and the others ran
        return code, grid
    scores = read_scores(sweep, grid, tune)
    chosen = {name: min(found, key=found.__getitem__) for name, found in scores.items() if found}
    if missing := [name for name in grid.settings if name not in chosen]:
        raise InputError(
            f"{sweep.sweep}: no finished run of {', '.join(missing)}; see `deepmatte sweep status`, then "
            "repeat this command"
        )
    record = {
        "key": tune.key,
        "objective": str(study.config.objective),
        "seeds": tune.seeds,
        "runs": len(sweep_file.read(sweep.sweep).get("jobs", [])),
        "scores": scores,
        "chosen": chosen,
    }
    write_text(study.sweep / TUNING_FILE, json.dumps(record, indent=2) + "\n")
    points = {name: (*point, chosen[name]) for name, point in grid.settings.items()}
    return 0, replace(grid, keys=(*grid.keys, tune.key), settings=points)


def read_scores(sweep: Study, grid: Grid, tune: Tune) -> dict[str, dict[str, float]]:
    """Return the mean validation score of each setting at each value for which all its seeds are finished."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in grid.settings}
    for job in sweep_file.read(sweep.sweep).get("jobs", []):
        name = grid.setting_of(job["overrides"])
        value = next(
            (word.partition("=")[2] for word in job["overrides"] if word.startswith(f"{tune.key}=")), ""
        )
        result = sweep_file.result_or_nothing(sweep.sweep / job["run"])
        score = (result.get("scores") or {}).get(str(sweep.config.objective))
        if name is not None and result.get("status") == FINISHED and score is not None:
            found[name].setdefault(value, []).append(float(score))
    return {
        name: {value: sum(got) / len(got) for value, got in values.items() if len(got) == len(tune.seeds)}
        for name, values in found.items()
    }


def rates(study: Study, runs: Sequence[Run]) -> str:
    """Return for the top of the page how the settings were tuned, or at which rate all train; or nothing."""
    file = study.sweep / TUNING_FILE
    if file.is_file():
        return table(json.loads(file.read_text(encoding="utf-8")))
    found = {lookup(read_config(run), RATE) for run in runs}
    if len(found) != 1 or None in found:
        return ""
    return (
        f"All settings train at one learning rate, {next(iter(found))} ({RATE}): none was tuned, and at "
        "another rate their order may differ."
    )


def table(record: dict[str, Any]) -> str:
    """Return what a tuning chose as Markdown."""
    values = list(dict.fromkeys(value for found in record["scores"].values() for value in found))
    head = (
        f"Tuned for each setting with one budget: {record['key']} by {record['objective']}, "
        f"{plural(len(record['seeds']), 'seed')} of each value, {plural(record['runs'], 'run')} in all; "
        "bold: chosen."
    )
    lines = [
        f"| {record['objective']} at {record['key']} | {' | '.join(values)} |",
        "|---|" + "---:|" * len(values),
    ]
    for name, found in record["scores"].items():
        best = record["chosen"][name]
        cells = [
            f"**{number(found[value])}**" if value == best else number(found.get(value)) for value in values
        ]
        lines.append(f"| {cell(name)} | {' | '.join(cells)} |")
    return "\n".join([head, "", *lines])
