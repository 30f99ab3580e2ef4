"""Read what run directories say about themselves; nothing here judges a score."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from deepmatte.errors import InputError, visible
from deepmatte.metrics.names import Metric, declare
from deepmatte.runs.directory import RunDir

LABELS = ("image", "foreground", "background", "category")
"""Columns of ``per_image.csv`` that say what an image is; every other column is a score."""

DIAGNOSTICS = ("calibration_error",)
"""Columns of ``per_image.csv`` that say how a score came about and rank nobody."""

PART = re.compile(
    r"(?P<metric>\w+)_(?P<bins>alpha|border|width|predicted)_(?P<low>[\d.]+)_(?P<high>[\d.]+|inf)$"
)
"""Columns of ``per_image.csv`` that hold a bin's part of a score, as ``sad_alpha_0.05_0.1``."""

SAME_IN_ALL = (
    ("protocol", "protocol"),
    ("metrics_version", "metrics version"),
    ("dataset.digest", "test set (digest)"),
)
"""What has to be equal in all runs of a comparison: the key in ``result.json`` and its name in a message."""


@dataclass(frozen=True)
class Run:
    """A finished run: its directory, its ``result.json`` and its table of test images (one row an image).

    ``evaluation`` is the directory of the evaluation that the scores come from; None for the run's own test.
    """

    path: Path
    result: dict[str, Any]
    images: pd.DataFrame
    evaluation: Path | None = None

    @property
    def scored(self) -> Path:
        """The directory that holds the pictures to the scores."""
        return self.evaluation or self.path

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.result["seed"])

    @property
    def deterministic(self) -> bool:
        """Whether this is an evaluation of a method without a network, which has no seeds."""
        return "method" in self.result and not self.result.get("run")

    @property
    def declared(self) -> dict[str, Metric]:
        """Unit and direction of the metrics of a user's own that the scores have."""
        return {
            str(name): Metric(str(found.get("unit", "")), bool(found.get("higher_is_better", False)))
            for name, found in (self.result.get("metrics") or {}).items()
        }

    @cached_property
    def metrics(self) -> list[str]:
        """The scores in ``per_image.csv``, without the parts of a score that belong to a bin."""
        known = (*LABELS, *DIAGNOSTICS)
        return [
            str(column)
            for column in self.images.columns
            if column not in known and not PART.match(str(column))
        ]


@dataclass(frozen=True)
class Excluded:
    """A run directory that takes no part in the comparison, and why."""

    path: Path
    status: str
    reason: str


@dataclass(frozen=True)
class Records:
    """All that was found: the runs that can be compared and those that are excluded."""

    runs: list[Run]
    excluded: list[Excluded]


def read_records(paths: Sequence[Path | str]) -> Records:
    """Read run directories and sweep directories (whose children are runs).

    Failed, unfinished and damaged runs are excluded with their reason. Runs that were scored on other images,
    by another protocol or by another version of the metrics can't be compared: an InputError names two of
    them.
    """
    directories = find_run_dirs(paths)
    with ThreadPoolExecutor() as pool:  # pandas lets other threads work while it parses
        found = list(pool.map(read_run, directories))
    runs = [record for record in found if isinstance(record, Run)]
    excluded = [record for record in found if isinstance(record, Excluded)]
    if not runs and not excluded:
        raise InputError(
            f"{', '.join(map(str, paths))}: no run directories (with .hydra/config.yaml or result.json); "
            "give runs or a sweep directory"
        )
    check_comparable(runs)
    return Records(runs, excluded)


def find_run_dirs(paths: Iterable[Path | str]) -> list[Path]:
    """Return the run directories among ``paths`` and directly below them, each once, in the order given."""
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise InputError(
                f"{path}: no such directory; give run directories or the sweep directory that holds them"
            )
        candidates = (
            [path]
            if is_run_dir(path)
            else sorted(child for child in path.iterdir() if child.is_dir() and is_run_dir(child))
        )
        for candidate in candidates:
            found.setdefault(candidate.resolve(), candidate)
    return list(found.values())


def is_run_dir(path: Path) -> bool:
    """Say whether ``path`` is a run directory; a launcher's log directory is none."""
    return (path / "result.json").exists() or (path / ".hydra" / "config.yaml").exists()


def read_run(path: Path) -> Run | Excluded:
    """Read one run directory; whatever keeps it from being compared is said in a `Excluded`."""
    try:
        result = RunDir(path).result()
    except InputError as error:
        return Excluded(path, "damaged", str(error))
    if result is None:
        return Excluded(path, "unfinished", "no result.json yet")
    status = str(result["status"])
    if status != "finished":
        return Excluded(
            path,
            status,
            first_line(result.get("error"))
            or {"running": "still running, or killed"}.get(status, "no error recorded"),
        )
    if not isinstance(result.get("seed"), int) or not isinstance(result.get("scores"), dict):
        return Excluded(path, "damaged", "result.json lacks 'seed' or 'scores'")
    try:
        return Run(path, result, read_per_image(path / "per_image.csv"))
    except InputError as error:
        return Excluded(path, "damaged", str(error))


def read_per_image(file: Path) -> pd.DataFrame:
    """Read ``per_image.csv``: labels as text, scores as finite numbers."""
    if not file.exists():
        raise InputError(
            f"{file.name} is missing; score the run again with `deepmatte evaluate {file.parent}`"
        )
    try:
        table = pd.read_csv(file, dtype=dict.fromkeys(LABELS, str), keep_default_na=True)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{file.name} is not readable as CSV ({first_line(error)})") from error
    return checked_images(table, file.name)


def checked_images(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a table of scores by image, sorted, with all label columns; InputError names ``name``.

    An empty foreground is the image itself; every other column but the parts of scores has numbers only.
    """
    if "image" not in table or table.empty:
        raise InputError(f"{name} has no column 'image' or no rows")
    if table["image"].isna().any():
        raise InputError(f"{name} has a row without an image")
    if table["image"].duplicated().any():
        twice = table["image"][table["image"].duplicated()].iloc[0]
        raise InputError(f"{name} has the image {twice} twice")
    for label in LABELS[1:]:
        table[label] = table[label].fillna("") if label in table else ""
    table["foreground"] = table["foreground"].where(table["foreground"] != "", table["image"])
    scores = table.drop(columns=[*LABELS])
    words = scores.select_dtypes(exclude="number").columns
    for column in (*words, *scores.columns[scores.isna().any()]):
        if column in words or not PART.match(column):
            raise InputError(f"{name} has a cell without a number in column '{column}'")
    return table.sort_values("image", ignore_index=True)


def check_comparable(runs: Sequence[Run]) -> None:
    """Raise InputError where two runs differ in protocol, version of the metrics, test set or images.

    The metrics of users' own that the runs declare are known from then on (`metrics.names.declare`).
    """
    known: dict[str, Metric] = {}
    for run in runs:
        for name, metric in run.declared.items():
            if known.setdefault(name, metric) != metric:
                raise InputError(
                    f"{run.path}: declares the metric {name} as {metric}, other runs as {known[name]}; "
                    "evaluate all of them again with one definition"
                )
    declare(known)
    for run in runs[1:]:
        first = runs[0]
        for key, name in SAME_IN_ALL:
            ours, theirs = lookup(first.result, key), lookup(run.result, key)
            if ours != theirs:
                raise InputError(
                    f"{first.path} and {run.path} can't be compared: {name} {ours} against {theirs}; "
                    "give runs that share it"
                )
        if not first.images["image"].equals(run.images["image"]):
            raise InputError(
                f"{run.path}/per_image.csv: other images than {first.path}/per_image.csv has; "
                "give runs of one test set"
            )


def mixture(runs: Sequence[Run]) -> str:
    """Return a warning if the runs were not all made by the same code and of the same data; else ''.

    What a run does not record, being older than fingerprints or not trained here, is not compared.
    """
    versions = {
        "versions of the code": {lookup(run.result, "fingerprint.code") for run in runs} - {None},
        "training sets": {lookup(run.result, "fingerprint.data.train") for run in runs} - {None},
    }
    mixed = [f"{len(found)} {name}" for name, found in versions.items() if len(found) > 1]
    return (
        f"Warning: the runs are of {' and of '.join(mixed)}; reuse=same retrains what differs."
        if mixed
        else ""
    )


def lookup(tree: Any, dotted: str) -> Any:
    """Return the value under a dotted key of nested dicts, or None.

    >>> lookup({"dataset": {"digest": "ab"}}, "dataset.digest")
    'ab'
    """
    for key in dotted.split("."):
        if not isinstance(tree, dict) or key not in tree:
            return None
        tree = tree[key]
    return tree


def first_line(text: object) -> str:
    """Return the first line of a text that is not blank, '' for None."""
    lines = [line for line in str(text or "").splitlines() if line.strip()]
    return visible(lines[0]) if lines else ""
