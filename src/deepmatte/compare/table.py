"""The comparison in the terminal, by rich."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deepmatte.compare.comparison import Comparison, Score, compare
from deepmatte.compare.factors import Effect, effects
from deepmatte.compare.grouping import short_keys
from deepmatte.compare.pareto import mean_cost
from deepmatte.compare.records import Excluded
from deepmatte.compare.verdict import decide

WIDE = 110
"""Columns of a terminal that has room for the means of all metrics."""

MOST_EFFECTS = 12
"""Effects that the terminal shows; the page has all."""


def print_ranking(paths: Sequence[Path | str], metric: str = "sad", console: Console | None = None) -> bool:
    """Print the ranking table and the verdict of run or sweep directories; return whether there was something to compare.

    InputError where no run is finished or the runs can't be compared.
    """
    comparison = compare(paths, metric)
    print_comparison(comparison, console or Console())
    return len(comparison.settings) > 1


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print ranking, excluded runs, and verdict."""
    console.print(ranking_table(comparison, console.width))
    if comparison.excluded:
        console.print(excluded_table(comparison.excluded))
    found = effects(comparison.decisive.table)
    if found:
        console.print(effects_table(comparison, found[:MOST_EFFECTS], console.width))
    verdict = decide(comparison)
    console.print(f"[bold]{escape(verdict.headline)}[/bold]")
    for line in verdict.details:
        console.print(f"  {escape(line)}")


def ranking_table(comparison: Comparison, width: int) -> Table:
    """Return the settings from best to worst, the trivial matte below them; other metrics stand there if ``width`` has room."""
    metric = comparison.decisive
    wide = width >= WIDE
    others = [name for name in comparison.metrics if name != comparison.main] if wide else []
    title = f"test split, protocol {comparison.runs[0].result.get('protocol', 'unnamed')}, {len(comparison.runs)} runs"
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("setting", overflow="fold", min_width=20)
    for name in (metric.name, "sd", "95 % interval", "seeds", "P(best)", *others, *["seconds"] * wide):
        table.add_column(escape(name), justify="right", no_wrap=True)
    for score in metric.scores:
        cells = [
            number(score.estimate.mean),
            number(score.sd),
            interval(score),
            str(score.seeds),
            f"{100 * score.chance:.0f} %",
        ]
        cells += [number(comparison.metrics[name].score(score.setting).estimate.mean) for name in others]
        cells += [number(mean_cost(comparison.setting(score.setting), "seconds"))] * wide
        table.add_row(str(score.rank), escape(score.setting), *cells)
    trivial = trivial_scores(comparison)
    if trivial:
        table.add_section()
        means = [number(trivial.get(name)) for name in others]
        table.add_row(
            "", "trivial matte", number(trivial.get(metric.name)), "", "", "", "", *means, style="dim"
        )
    return table


def effects_table(comparison: Comparison, found: Sequence[Effect], width: int) -> Table:
    """Return what the swept factors do: main effects, and, if ``width`` has room, what an effect is at two levels of another factor."""
    table = Table(
        title=f"effects of the factors on {escape(comparison.main)}",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("effect", overflow="fold", min_width=20)
    for name in ("change", "95 % interval", "p", *["at the first", "at the second"] * (width >= WIDE)):
        table.add_column(name, justify="right", no_wrap=True)
    keys = list(comparison.settings[0].levels)
    shorter = dict(zip(keys, short_keys(keys), strict=True))
    for item in found:
        given = None if item.given is None else (shorter[item.given[0]], *item.given[1:])
        part, both = item.estimate, [number(at.mean) for at in item.at] if item.at else ["", ""]
        cells = [
            number(part.mean),
            f"{number(part.low)} to {number(part.high)}",
            number(item.p_adjusted),
            *both * (width >= WIDE),
        ]
        table.add_row(escape(replace(item, factor=shorter[item.factor], given=given).name), *cells)
    return table


def excluded_table(excluded: Sequence[Excluded]) -> Table:
    """Return the runs that take no part, with their reasons."""
    table = Table(
        title=f"{count_runs(len(excluded))} excluded", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    for name in ("run", "status", "reason"):
        table.add_column(name, overflow="fold")
    for item in excluded:
        table.add_row(
            escape(str(item.path)),
            item.status,
            escape(item.reason),
            style="red" if item.status == "failed" else "yellow",
        )
    return table


def trivial_scores(comparison: Comparison) -> dict[str, float]:
    """Return the trivial matte's scores on the test split, {} where no run has them."""
    prefix = "trivial/test/"
    for run in comparison.runs:
        found = {
            key.removeprefix(prefix): value
            for key, value in run.result["scores"].items()
            if key.startswith(prefix)
        }
        if found:
            return found
    return {}


def interval(score: Score) -> str:
    """Return the 95 % interval of a mean as text, a dash where it is unknown."""
    return "-" if math.isinf(score.estimate.low) else f"{score.estimate.low:.4g} to {score.estimate.high:.4g}"


def number(value: float | None) -> str:
    """Return four digits, a dash for what is unknown.

    >>> number(3.14159), number(float("nan"))
    ('3.142', '-')
    """
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"


def count_runs(count: int) -> str:
    """Return a number of runs in words.

    >>> count_runs(1), count_runs(2)
    ('1 run', '2 runs')
    """
    return f"{count} run{'s' * (count != 1)}"
