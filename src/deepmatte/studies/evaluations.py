"""Evaluations of a study's runs on other data sets, as a section of its page: each set, and all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.evaluations import SeveralSets, compare_evaluations
from deepmatte.compare.records.reading import Run
from deepmatte.compare.table import number
from deepmatte.compare.verdict import decide
from deepmatte.compare.words import beside_reference
from deepmatte.errors import InputError
from deepmatte.metrics.names import heading
from deepmatte.reports.page import cell


def evaluations_of(runs: Sequence[Run]) -> list[str]:
    """Return the names of the evaluations that all of ``runs`` have."""
    found = [{home.name for home in run.path.glob("evaluations/*/")} for run in runs]
    return sorted(set.intersection(*found)) if found else []


def evaluations_section(
    runs: Sequence[Run], options: Mapping[str, Any], ways: Mapping[str, Any]
) -> list[str]:
    """Return the paragraphs on the evaluations of ``runs``; none without those of two settings."""
    names = evaluations_of(runs)
    if not names:
        return []
    paths = [run.path for run in runs]
    try:
        found = compare_evaluations(paths, names, options["metric"], options["reference"], **ways)
    except InputError as error:  # of other protocols, say
        return [f"The evaluations {', '.join(names)} are not shown: {error}."]
    sets = found.sets if isinstance(found, SeveralSets) else {names[0]: found}
    columns = [*sets.values(), *([found.over_all] if isinstance(found, SeveralSets) else [])]
    if len(columns[-1].settings) < 2:
        return []
    verdict = decide(columns[-1])
    where = f"over all of {', '.join(sets)}" if len(sets) > 1 else f"on {names[0]}"
    return [
        f"## The same runs {where}: {verdict.headline}",
        "\n".join(f"- {line}" for line in verdict.details),
        _table(sets, columns),
        "Each cell: the mean and, in brackets, the difference from the reference with its simultaneous 95 % "
        "interval for new seeds and foregrounds."
        + (" Over all sets the mean is geometric, and each set counts alike." if len(sets) > 1 else ""),
    ]


def _table(sets: Mapping[str, Comparison], columns: Sequence[Comparison]) -> str:
    """Return a row for each setting, by rank in the last column, and a column for each comparison."""
    last = columns[-1]
    title = heading(last.main)
    names = [
        *(f"{title} on {cell(name)}" for name in sets),
        *([f"{title} over all"] if len(sets) > 1 else []),
    ]
    lines = [f"| setting | {' | '.join(names)} |", "|---|" + "---:|" * len(columns)]
    for score in last.decisive.scores:
        cells = [_cell(comparison, score.setting) for comparison in columns]
        lines.append(f"| {cell(score.setting)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(comparison: Comparison, setting: str) -> str:
    """Return the mean of a setting and its difference from the reference."""
    metric = comparison.decisive
    mean = number(metric.score(setting).estimate.mean)
    if setting == comparison.reference:
        return mean
    item = metric.between(setting, comparison.reference)
    words = beside_reference(item)
    return f"{mean} (**{words}**)" if item is not None and item.distinguishable else f"{mean} ({words})"
