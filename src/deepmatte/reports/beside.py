"""Tests beside a comparison: of chosen pairs of settings, and of the best one against other methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from deepmatte.compare.comparison import Comparison, Metric, differences_of, variances_of
from deepmatte.compare.difference import Difference
from deepmatte.compare.grouping import Setting
from deepmatte.compare.records import Run, read_run
from deepmatte.compare.score_table import Panel, make_panel
from deepmatte.compare.table import number, trivial_scores
from deepmatte.compare.words import evidence, listing, sentence
from deepmatte.reports.page import cell

UNDECIDED = "not shown to differ"


def pairs_section(comparison: Comparison, pairs: Mapping[str, str]) -> list[str]:
    """Return the paragraphs on ``pairs`` (first -> second): a verdict, and a sentence each."""
    items = chosen(comparison, pairs)
    if not items:
        return []
    parts = []
    for word, found in _judged(comparison.decisive, items):
        between = "from" if word == UNDECIDED else "than"
        parts.append(
            f"{word}: {', '.join(f'{_apart(item.first)} {between} {_apart(item.second)}' for item in found)}"
        )
    text = f"In {comparison.main.upper()} {'; '.join(parts)}."
    return ["### In pairs", text, "\n".join(f"- {cell(sentence(item))}" for item in items)]


def _apart(name: str) -> str:
    """Return a name as it stands in a list: as code where it has commas of its own."""
    return f"`{name}`" if "," in name else name


def chosen(comparison: Comparison, pairs: Mapping[str, str]) -> list[Difference]:
    """Return the first minus the second of the pairs whose settings are both there, as one family."""
    metric = comparison.decisive
    names = metric.panel.names
    couples = [
        (names.index(first), names.index(second))
        for first, second in pairs.items()
        if first in names and second in names
    ]
    return differences_of(metric.panel, metric.variances, couples)


def methods_section(comparison: Comparison, homes: Sequence[Path]) -> list[str]:
    """Return the paragraphs on the best setting beside the methods in ``homes``.

    Where another metric than SAD decides, a sentence says what SAD says: it looks at the unknown zone alone.
    """
    runs = [run for run in map(read_run, homes) if isinstance(run, Run)]
    items = beside(comparison, runs, comparison.main)
    if not items:
        return []
    judged = _judged_of_one(comparison.decisive, items)
    text = f"The best setting by this table, {items[0].first}, is in {judged}."
    lines = [f"- {cell(sentence(item))}" for item in items]
    if comparison.main != "sad" and "sad" in comparison.metrics:
        text += f" It is in {_judged_of_one(comparison.metrics['sad'], beside(comparison, runs, 'sad'))}."
    return ["### Beside the methods without a network", text, "\n".join(lines)]


def beside(comparison: Comparison, methods: Sequence[Run], metric: str) -> list[Difference]:
    """Return the best setting's differences from each method, which has no seeds, as one family."""
    panel = comparison.metrics[metric].panel
    images = panel.settings[0].runs[0].images["image"]
    known = [run for run in methods if metric in run.metrics and run.images["image"].equals(images)]
    if not known:
        return []
    others = [Setting(str(run.result["method"]), {}, [run]) for run in known]
    both: Panel = make_panel([*panel.settings, *others], metric)
    best = panel.names.index(comparison.decisive.scores[0].setting)
    couples = [(best, len(panel.settings) + number) for number in range(len(others))]
    return differences_of(both, variances_of(both), couples)


def learned_nothing(comparison: Comparison) -> list[str]:
    """Name settings that are no better than the trivial matte, and those whose seeds end alike."""
    panel, lines = comparison.decisive.panel, []
    trivial = trivial_scores(comparison).get(panel.metric)
    scores = comparison.decisive.scores
    if trivial is not None:
        behind = [score.setting for score in scores if panel.sign * (score.estimate.mean - trivial) >= 0]
        if behind:
            lines.append(
                f"On average no better than the trivial matte ({number(trivial)}): "
                f"{listing(behind, len(behind))}."
            )
    same = [
        setting.name
        for setting, rows in zip(panel.settings, panel.scores, strict=True)
        if len(rows) > 1 and np.array_equal(rows, rows[:1].repeat(len(rows), 0))
    ]
    if same:
        lines.append(
            "All seeds end in the same scores, picture by picture, so nothing of what they saw is left: "
            f"{listing(same, len(same))}."
        )
    return lines


def remarks(notes: Mapping[str, Mapping[str, str]]) -> str:
    """Return what the methods remarked of pictures, from method -> picture -> remark, with how often."""
    said = [
        f"{method}: {remark} ({count} {'picture' if count == 1 else 'pictures'})"
        for method, found in notes.items()
        for remark, count in Counter(found.values()).most_common()
    ]
    return f"Remarks. {'; '.join(said)}." if said else ""


def _judged_of_one(metric: Metric, items: Sequence[Difference]) -> str:
    """Say what the one setting of the items is beside the others."""
    parts = []
    for word, found in _judged(metric, items):
        beyond = "from" if word == UNDECIDED else "than"
        parts.append(f"{word} {beyond} {listing([item.second for item in found], len(found))}")
    return f"{metric.name.upper()} {'; '.join(parts)}"


def _judged(metric: Metric, items: Sequence[Difference]) -> list[tuple[str, list[Difference]]]:
    """Return the better, the worse and the open items, each in words with the strength of the evidence."""
    groups: dict[str, list[Difference]] = {"better": [], "worse": [], UNDECIDED: []}
    for item in items:
        better = metric.panel.sign * item.estimate.mean < 0
        groups[UNDECIDED if not item.distinguishable else "better" if better else "worse"].append(item)
    return [
        (
            word
            if word == UNDECIDED
            else f"{word} ({evidence(max(item.p_adjusted for item in found))} evidence)",
            found,
        )
        for word, found in groups.items()
        if found
    ]
