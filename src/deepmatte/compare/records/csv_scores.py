"""Settings from plain tables of anybody's per-image scores: CSV, or what ``deepmatte score`` writes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from deepmatte.compare.records.grouping import Setting
from deepmatte.compare.records.reading import LABELS, Run, checked_images, first_line
from deepmatte.errors import InputError, check_arguments
from deepmatte.files import read_json
from deepmatte.runs.result import Label

SEED = re.compile(r"(?P<name>.+)\.seed(?P<seed>\d+)")
"""Stem of a file that holds one seed of a setting, as in ``dice.seed0.csv``."""


@dataclass(frozen=True)
class ScoreFile:
    """What is read of a JSON file of ``deepmatte score``: a mapping an image, and the protocol."""

    images: Sequence[Mapping[str, Label]] | None = None
    protocol: str | None = None


def read_score_files(files: Sequence[Path]) -> list[Setting]:
    """Return a setting for each file, named by its stem; files ``NAME.seed0.csv`` are the seeds of NAME.

    A file has the columns ``image`` and metrics, as ``per_image.csv`` and ``deepmatte score --csv`` or
    ``--json`` have them. A setting without seeds is compared as a deterministic method.

    Raises:
        InputError: a file is unreadable, or two files can't be compared.
    """
    tables = {file: read_table(file) for file in dict.fromkeys(files)}
    check_same_images({file: table for file, (table, _) in tables.items()})
    groups: dict[str, dict[int | None, Run]] = {}
    for file, (table, protocol) in tables.items():
        found = SEED.fullmatch(file.stem)
        name, seed = (found["name"], int(found["seed"])) if found else (file.stem, None)
        seeds = groups.setdefault(name, {})
        if seed in seeds or (seeds and (seed is None or None in seeds)):
            other = next(iter(seeds.values())).path
            raise InputError(
                f"{file} and {other}: both are '{name}'; name seeds {name}.seed0.csv, {name}.seed1.csv, "
                "and other settings otherwise"
            )
        seeds[seed] = Run(file, _result(name, seed, protocol, len(table)), table)
    check_protocols([run for seeds in groups.values() for run in seeds.values()])
    return [
        Setting(name, {}, sorted(seeds.values(), key=lambda run: run.seed)) for name, seeds in groups.items()
    ]


def _result(name: str, seed: int | None, protocol: str | None, count: int) -> dict[str, Any]:
    """Return what a ``result.json`` would say of such a file."""
    method = {"method": name} if seed is None else {}
    dataset = {"num_images": count}
    return {"seed": seed or 0, "scores": {}, "protocol": protocol, "dataset": dataset} | method


def read_table(file: Path) -> tuple[pd.DataFrame, str | None]:
    """Return the scores of a file by image, and the name of their protocol if it has one."""
    try:
        if file.suffix.lower() == ".json":
            record = read_json(file)
            check_arguments(ScoreFile, record, str(file))
            table = pd.DataFrame(record["images"])
            for label in {*LABELS} & {*table.columns}:
                table[label] = table[label].map(str, na_action="ignore")
            table["protocol"] = record.get("protocol")
        else:
            table = pd.read_csv(file, dtype=dict.fromkeys((*LABELS, "protocol"), str))
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"{file}: has no list 'images'; give what `deepmatte score --json` wrote") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"{file}: not readable as a table of scores ({reason})") from error
    protocols = set(table.pop("protocol").dropna()) if "protocol" in table else set()
    if len(protocols) > 1:
        raise InputError(
            f"{file}: has scores of {len(protocols)} protocols ({', '.join(sorted(protocols))}); "
            "score again with a single --protocol"
        )
    return checked_images(table, str(file)), next(iter(protocols), None)


def check_same_images(tables: dict[Path, pd.DataFrame]) -> None:
    """Raise InputError where two tables have other images, or no metric in common."""
    (first, table), *others = tables.items()
    for file, other in others:
        mine, theirs = set(table["image"]), set(other["image"])
        for lacking, having, rest in ((file, first, mine - theirs), (first, file, theirs - mine)):
            if rest:
                more = f" and {len(rest) - 1} more" if len(rest) > 1 else ""
                raise InputError(
                    f"{lacking}: lacks the image {min(rest)}{more}, which {having} has; "
                    "give scores of the same images"
                )
        if not set(table.columns) & set(other.columns) - set(LABELS):
            raise InputError(f"{first} and {file}: no metric in common; give tables that share a column")


def check_protocols(runs: Sequence[Run]) -> None:
    """Raise InputError where two files name different protocols."""
    named = [run for run in runs if run.result["protocol"] is not None]
    for run in named[1:]:
        ours, theirs = named[0].result["protocol"], run.result["protocol"]
        if ours != theirs:
            raise InputError(
                f"{named[0].path} and {run.path}: protocol {ours} against {theirs}; "
                "score both by the same --protocol"
            )
