"""Tests that a study asks for beside its comparison: of chosen pairs of settings, and of the best one against methods without a network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from deepmatte.compare.comparison import Comparison, Difference, Metric, compare_metric, prior_of
from deepmatte.compare.page import cell
from deepmatte.compare.records import Run, read_run
from deepmatte.compare.statistics import estimate, holm, spread, wilcoxon
from deepmatte.compare.table import number, trivial_scores
from deepmatte.compare.verdict import degree, listing, sentence


def pairs_section(comparison: Comparison, pairs: Mapping[str, str]) -> list[str]:
    """Return the paragraphs on ``pairs`` (setting -> the one it is compared with): a verdict, and a sentence each; none without pairs."""
    items = chosen(comparison, pairs)
    if not items:
        return []
    parts = []
    for word, found in _judged(comparison.decisive, items):
        between = "and" if word == "not distinguishable" else "than"
        parts.append(f"{word}: {', '.join(f'{_apart(item.first)} {between} {_apart(item.second)}' for item in found)}")
    text = f"In {comparison.main.upper()} {'; '.join(parts)}."
    return ["### In pairs", text, "\n".join(f"- {cell(sentence(item, item.second))}" for item in items)]


def _apart(name: str) -> str:
    """Return a name as it stands in a list: as code where it has commas of its own."""
    return f"`{name}`" if "," in name else name


def chosen(comparison: Comparison, pairs: Mapping[str, str]) -> list[Difference]:
    """Return the differences of the pairs whose settings are both there, the first minus the second; Holm's correction is over these."""
    metric = compare_metric(comparison.decisive.panel)
    found = [(metric.between(first, second), first) for first, second in pairs.items()]
    items = [item if item.first == first else _turned(item) for item, first in found if item is not None]
    return [replace(item, p_holm=p, visible=math.nan) for item, p in zip(items, holm([item.estimate.p for item in items]), strict=True)]


def methods_section(comparison: Comparison, homes: Sequence[Path]) -> list[str]:
    """Return the paragraphs on the best setting beside the methods in ``homes``, image by image; none where there are no methods.

    Where another metric than SAD decides, a sentence says what SAD says: it looks at the unknown zone alone.
    """
    runs = [run for run in map(read_run, homes) if isinstance(run, Run)]
    items = beside(comparison, runs, comparison.main)
    if not items:
        return []
    text = f"The best setting by this table, {items[0].first}, is in {_judged_of_one(comparison.decisive, items)}."
    lines = [f"- {cell(sentence(item, item.second))}" for item in items]
    if comparison.main != "sad" and "sad" in comparison.metrics:
        text += f" It is in {_judged_of_one(comparison.metrics['sad'], beside(comparison, runs, 'sad'))}."
    return ["### Beside the methods without a network", text, "\n".join(lines)]


def beside(comparison: Comparison, methods: Sequence[Run], metric: str) -> list[Difference]:
    """Return the best setting's differences from each method in ``metric``; a method has no seeds, the setting has those of its runs."""
    panel = comparison.metrics[metric].panel
    best = comparison.decisive.scores[0].setting
    index = [setting.name for setting in panel.settings].index(best)
    alone = [spread(panel.cells(number), panel.weights) for number in range(len(panel.settings))]
    prior = prior_of(alone, alone, sum(part.seeds - 1 for part in alone))
    items = []
    for run in methods:
        if metric not in run.metrics or not run.images["image"].equals(panel.settings[0].runs[0].images["image"]):
            continue
        theirs = run.images[metric].to_numpy(dtype=float)
        sums = np.bincount(panel.foreground, theirs, panel.num_foregrounds) / np.bincount(panel.foreground)
        table = panel.cells(index) - sums
        won = panel.sign * (panel.scores[index].mean(axis=0) - theirs)
        result = estimate(spread(table, panel.weights), prior)
        items.append(
            Difference(
                first=best,
                second=str(run.result["method"]),
                estimate=result,
                percent=100 * result.mean / theirs.mean() if theirs.mean() else math.nan,
                p_holm=math.nan,
                p_wilcoxon=float(wilcoxon(table.mean(axis=0)[None])[0]),
                wins=float(np.mean((won < 0) + 0.5 * (won == 0))),
                effect=(math.nan,) * 3,
                visible=math.nan,
                pairs_of_seeds=len(table),
            )
        )
    return [replace(item, p_holm=p) for item, p in zip(items, holm([item.estimate.p for item in items]), strict=True)]


def learned_nothing(comparison: Comparison) -> list[str]:
    """Return sentences on settings that are no better than the trivial matte, and on those whose seeds all end in the same mattes."""
    panel, lines = comparison.decisive.panel, []
    trivial = trivial_scores(comparison).get(panel.metric)
    scores = comparison.decisive.scores
    if trivial is not None:
        behind = [score.setting for score in scores if panel.sign * (score.estimate.mean - trivial) >= 0]
        if behind:
            lines.append(f"On average no better than the trivial matte ({number(trivial)}): {listing(behind, len(behind))}.")
    same = [
        setting.name
        for setting, rows in zip(panel.settings, panel.scores, strict=True)
        if len(rows) > 1 and np.array_equal(rows, rows[:1].repeat(len(rows), 0))
    ]
    if same:
        lines.append(
            f"All seeds end in the same scores, picture by picture, so nothing of what they saw is left: {listing(same, len(same))}."
        )
    return lines


def remarks(notes: Mapping[str, Mapping[str, str]]) -> str:
    """Return what the methods had to say of pictures, from method -> picture -> remark, with how often; empty where nothing was said."""
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
        beyond = "from" if word == "not distinguishable" else "than"
        parts.append(f"{word} {beyond} {listing([item.second for item in found], len(found))}")
    return f"{metric.name.upper()} {'; '.join(parts)}"


def _judged(metric: Metric, items: Sequence[Difference]) -> list[tuple[str, list[Difference]]]:
    """Return what is better, what is worse, and what can't be told, each with its items, in words with the degree of confidence."""
    groups: dict[str, list[Difference]] = {"better": [], "worse": [], "not distinguishable": []}
    for item in items:
        better = metric.panel.sign * item.estimate.mean < 0
        groups["not distinguishable" if not item.distinguishable else "better" if better else "worse"].append(item)
    return [
        (word if word == "not distinguishable" else f"{word} ({degree(max(item.p_holm for item in found))})", found)
        for word, found in groups.items()
        if found
    ]


def _turned(item: Difference) -> Difference:
    """Return the same difference the other way round."""
    found = item.estimate
    turned = replace(found, mean=-found.mean, low=-found.high, high=-found.low)
    return replace(item, first=item.second, second=item.first, estimate=turned, wins=1 - item.wins)
