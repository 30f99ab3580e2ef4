"""The comparison in the terminal, by rich."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.factors import Effect, effects
from deepmatte.compare.race_view import verdict_of
from deepmatte.compare.records.budget import budget_line, plural
from deepmatte.compare.records.naming import short_keys
from deepmatte.compare.records.reading import Excluded, mixture
from deepmatte.compare.words import beside_reference
from deepmatte.metrics.names import heading

WIDE = 120
"""Columns of a terminal that has room for the means of all metrics."""

MOST_EFFECTS = 12
"""Effects that the terminal shows; the page has all."""


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print ranking, excluded runs, training budget and verdict."""
    console.print(ranking_table(comparison, console.width))
    if comparison.excluded:
        console.print(excluded_table(comparison.excluded))
    found = effects(comparison.decisive.table)
    if found:
        console.print(effects_table(comparison, found[:MOST_EFFECTS], console.width))
    verdict, budget = verdict_of(comparison), budget_line(comparison.settings)
    if warning := mixture(comparison.runs):
        console.print(warning, style="yellow", markup=False)
    if budget:
        console.print(escape(budget))
    console.print(f"[bold]{escape(verdict.headline)}[/bold]")
    for line in verdict.details:
        console.print(f"  {escape(line)}")


def ranking_table(comparison: Comparison, width: int) -> Table:
    """Return the settings from best to worst, the trivial matte below.

    The means of the other metrics are shown where ``width`` has room.
    """
    metric, reference = comparison.decisive, comparison.reference
    wide = width >= WIDE
    others = [name for name in comparison.metrics if name != comparison.main] if wide else []
    table = Table(
        title=escape(title(comparison)),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("setting", overflow="fold", min_width=12)
    columns = (heading(metric.name), "sd", "beside the reference", "seeds", "P(best)", *map(heading, others))
    for name in (*columns, *["seconds"] * wide):
        # In two lines, so that the table has room in 80 columns.
        table.add_column(escape(name.replace(" ", "\n", 1)), justify="right", no_wrap=True)
    for score in metric.scores:
        setting = comparison.setting(score.setting)
        cells = [
            number(score.estimate.mean),
            number(score.sd),
            beside_reference(
                None if score.setting == reference else metric.between(score.setting, reference)
            ),
            "-" if setting.deterministic else str(score.seeds),
            f"{100 * score.chance:.0f} %",
        ]
        cells += [number(comparison.metrics[name].score(score.setting).estimate.mean) for name in others]
        cells += [number(setting.mean_cost("seconds"))] * wide
        table.add_row(str(score.rank), escape(score.setting), *cells)
    trivial = trivial_scores(comparison)
    if trivial:
        table.add_section()
        means = [number(trivial.get(name)) for name in others]
        own = number(trivial.get(metric.name))
        table.add_row("", "trivial matte", own, "", "", "", "", *means, style="dim")
    return table


def title(comparison: Comparison) -> str:
    """Return what was scored, and by which protocol."""
    dataset = comparison.runs[0].result.get("dataset") or {}
    protocol = comparison.runs[0].result.get("protocol") or "not recorded"
    where = (
        f"{dataset['name']}, {dataset.get('split', 'test')} split" if dataset.get("name") else "all images"
    )
    return f"{where}, protocol {protocol}, {plural(len(comparison.runs), 'run')}"


def effects_table(comparison: Comparison, found: Sequence[Effect], width: int) -> Table:
    """Return the effects of the swept factors.

    If ``width`` has room, an interaction has the effect at both levels of the other factor beside it.
    """
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
        title=f"{plural(len(excluded), 'run')} excluded",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
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


def number(value: float | None) -> str:
    """Return four digits, a dash for what is unknown.

    >>> number(3.14159), number(float("nan"))
    ('3.142', '-')
    """
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"
