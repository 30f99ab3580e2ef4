"""Planned tests of a study in Markdown: chosen pairs, the best setting beside methods, failed settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepmatte.compare.comparison import Comparison, Metric
from deepmatte.compare.inference.difference import Difference
from deepmatte.compare.planned_tests import (
    compare_pairs,
    compare_with_methods,
    not_better_than_trivial,
    unaffected_by_seeds,
)
from deepmatte.compare.records.reading import Run, read_run
from deepmatte.compare.table import number, trivial_scores
from deepmatte.compare.words import evidence, listing, sentence
from deepmatte.reports.page import cell

UNDECIDED = "not shown to differ"


def pairs_section(comparison: Comparison, pairs: Mapping[str, str]) -> list[str]:
    """Return the paragraphs on ``pairs`` (first -> second): a verdict, and a sentence each."""
    items = compare_pairs(comparison, pairs)
    if not items:
        return []
    parts = []
    for word, found in _judged(comparison.decisive, items):
        between = "from" if word == UNDECIDED else "than"
        couples = [f"{_quoted(item.first)} {between} {_quoted(item.second)}" for item in found]
        parts.append(f"{word}: {', '.join(couples)}")
    text = f"In {comparison.main.upper()} {'; '.join(parts)}."
    return ["### In pairs", text, "\n".join(f"- {cell(sentence(item))}" for item in items)]


def _quoted(name: str) -> str:
    """Return a name for a list: as code where it has commas of its own."""
    return f"`{name}`" if "," in name else name


def methods_section(comparison: Comparison, homes: Sequence[Path]) -> list[str]:
    """Return the paragraphs on the best setting beside the methods in ``homes``.

    Where another metric than SAD decides, a sentence adds what SAD says, which scores the unknown zone alone.
    """
    runs = [run for run in map(read_run, homes) if isinstance(run, Run)]
    items = compare_with_methods(comparison, runs, comparison.main)
    if not items:
        return []
    judged = _judged_of_one(comparison.decisive, items)
    text = f"The best setting, {items[0].first}, is in {judged}."
    lines = [f"- {cell(sentence(item))}" for item in items]
    if comparison.main != "sad" and "sad" in comparison.metrics:
        others = compare_with_methods(comparison, runs, "sad")
        text += f" It is in {_judged_of_one(comparison.metrics['sad'], others)}."
    return ["### Beside the methods without a network", text, "\n".join(lines)]


def failed_settings(comparison: Comparison) -> list[str]:
    """Return lines that name the settings that failed to train: no better than trivial, or dead."""
    lines = []
    behind = not_better_than_trivial(comparison)
    if behind:
        trivial = number(trivial_scores(comparison)[comparison.main])
        lines.append(
            f"On average no better than the trivial matte ({trivial}): {listing(behind, len(behind))}."
        )
    dead = unaffected_by_seeds(comparison)
    if dead:
        lines.append(
            f"All seeds have the same score on every picture, as networks that died: "
            f"{listing(dead, len(dead))}."
        )
    return lines


def remarks(notes: Mapping[str, Mapping[str, str]]) -> str:
    """Return the methods' notes on pictures (method -> picture -> note), each with its count."""
    parts = [
        f"{method}: {remark} ({count} {'picture' if count == 1 else 'pictures'})"
        for method, found in notes.items()
        for remark, count in Counter(found.values()).most_common()
    ]
    return f"Notes. {'; '.join(parts)}." if parts else ""


def _judged_of_one(metric: Metric, items: Sequence[Difference]) -> str:
    """Say how the one setting of the items compares with the others."""
    parts = []
    for word, found in _judged(metric, items):
        between = "from" if word == UNDECIDED else "than"
        parts.append(f"{word} {between} {listing([item.second for item in found], len(found))}")
    return f"{metric.name.upper()} {'; '.join(parts)}"


def _judged(metric: Metric, items: Sequence[Difference]) -> list[tuple[str, list[Difference]]]:
    """Return the better, the worse and the open items, each in words with the strength of the evidence."""
    groups: dict[str, list[Difference]] = {"better": [], "worse": [], UNDECIDED: []}
    for item in items:
        better = metric.table.sign * item.estimate.mean < 0
        groups[UNDECIDED if not item.distinguishable else "better" if better else "worse"].append(item)
    found = []
    for word, members in groups.items():
        if members:
            strength = evidence(max(item.p_adjusted for item in members))
            found.append((word if word == UNDECIDED else f"{word} ({strength} evidence)", members))
    return found
