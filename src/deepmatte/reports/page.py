"""The comparison as one HTML page that needs nothing but itself, and as Markdown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deepmatte import __version__
from deepmatte.compare.comparison import Comparison, differences_of
from deepmatte.compare.factors import Effect
from deepmatte.compare.inference.difference import Difference
from deepmatte.compare.pareto import COSTS, axes, front
from deepmatte.compare.race_view import RaceView, race_verdict
from deepmatte.compare.records.budget import budget_line, plural
from deepmatte.compare.records.reading import mixture
from deepmatte.compare.table import number, trivial_scores
from deepmatte.compare.verdict import decide
from deepmatte.compare.words import beside_reference
from deepmatte.metrics.names import heading
from deepmatte.reports.drawing import Drawing, to_svg
from deepmatte.reports.race_section import race_rows

MOST_ROWS = 300
"""Differences in the table at most; of more, it has only those from the reference."""

OF_TWO_SEEDS = (
    "With two seeds of each setting p is too small where settings vary very unlike from seed to seed: up to "
    "9 % of such sweeps then find a difference that is none, instead of 5 (docs/statistics.md); a third seed "
    "mends it."
)


def render_page(
    comparison: Comparison,
    effects: Sequence[Effect],
    drawings: Sequence[Drawing],
    gallery: dict[str, Any] | None,
    directory: Path,
    race: RaceView | None = None,
) -> str:
    """Return the page for ``directory``, from which the runs are linked.

    Whatever stems from a configuration is escaped, and a content policy forbids every request.
    """
    # matplotlib has escaped the texts in them
    figures = [(drawing, Markup(to_svg(drawing))) for drawing in drawings]  # noqa: S704
    template = environment(autoescape=True).get_template("page.html")
    links = run_links(comparison, directory)
    return template.render(view(comparison, effects, race), figures=figures, gallery=gallery, links=links)


def run_links(comparison: Comparison, directory: Path) -> dict[Path, str]:
    """Return the relative link from ``directory`` to each run."""
    base = directory.resolve()
    return {
        run.path: quote(Path(os.path.relpath(run.path.resolve(), base)).as_posix()) for run in comparison.runs
    }


def render_markdown(
    comparison: Comparison,
    effects: Sequence[Effect],
    drawings: Sequence[Drawing],
    folder: str,
    race: RaceView | None = None,
) -> str:
    """Return Markdown for an experiment's page; its figures are linked as ``folder/NAME.png``."""
    template = environment(autoescape=False).get_template("report.md")
    secondary = secondary_differences(comparison)
    shown = view(comparison, effects, race)
    return template.render(shown, drawings=drawings, folder=folder, secondary=secondary)


def environment(*, autoescape: bool) -> Environment:
    """Return the templates beside this module."""
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    # Markdown has no escapes of its own; `cell` makes them.
    result = Environment(loader=loader, autoescape=autoescape, trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    result.undefined = StrictUndefined
    result.filters |= {
        "number": number,
        "cell": cell,
        "heading": heading,
        "beside": beside_reference,
        "p": p_cell,
    }
    return result


def view(comparison: Comparison, effects: Sequence[Effect], race: RaceView | None = None) -> dict[str, Any]:
    """Return what both templates show; the verdict on a sweep that was raced is the race's."""
    result = comparison.runs[0].result
    experiments = dict.fromkeys(str(run.result.get("experiment") or "comparison") for run in comparison.runs)
    return {
        "title": ", ".join(experiments),
        "comparison": comparison,
        "verdict": decide(comparison) if race is None else race_verdict(race),
        "race": race,
        "race_rows": [] if race is None else race_rows(race),
        "budget": budget_line(comparison.settings),
        "test_set": scored_on(comparison),
        "provenance": provenance_line(comparison),
        "differences": shown_differences(comparison),
        "num_differences": len(comparison.decisive.differences),
        "effects": effects,
        "caution": OF_TWO_SEEDS if max(score.seeds for score in comparison.decisive.scores) == 2 else "",
        "trivial": trivial_scores(comparison),
        "shortened": any(item.levels and item.name != item.full_name for item in comparison.settings),
        "costs": {setting.name: [setting.mean_cost(key) for key in COSTS] for setting in comparison.settings},
        "worth": worth_their_cost(comparison),
        "protocol": result.get("protocol"),
        "version": __version__,
    }


def scored_on(comparison: Comparison) -> str:
    """Return what the settings were scored on, and by which protocol."""
    result = comparison.runs[0].result
    dataset = result.get("dataset") or {}
    count, foregrounds = dataset.get("num_images"), comparison.decisive.table.num_foregrounds
    images = f"{count} images" if count == foregrounds else f"{count} images of {foregrounds} foregrounds"
    name = " ".join(str(dataset[key]) for key in ("name", "version") if dataset.get(key))
    digest = f", digest {str(dataset['digest'])[:12]}" if dataset.get("digest") else ""
    split = f", {dataset['split']} split" if dataset.get("split") else ""
    protocol = f"; protocol {result['protocol']}" if result.get("protocol") else ""
    return f"Test set: {name}{split}{': ' if name else ''}{images}{digest}{protocol}."


def provenance_line(comparison: Comparison) -> str:
    """Return the number of runs, their commits and machines, and whether they mix code or data."""
    results = [run.result for run in comparison.runs]
    commits = sorted({str(item["git_commit"]) for item in results if item.get("git_commit")})
    machines = sorted({str(item["machine"]) for item in results if item.get("machine")})
    parts = [plural(len(results), "run")]
    if commits:
        parts.append(f"commit{'s' * (len(commits) > 1)} {', '.join(commits)}")
    if machines:
        parts.append("; ".join(machines))
    return f"{', '.join(parts)}. {mixture(comparison.runs)}".rstrip()


def shown_differences(comparison: Comparison) -> list[Difference]:
    """Return the differences of the main metric for the table."""
    metric = comparison.decisive
    if len(metric.differences) <= MOST_ROWS:
        return metric.differences
    return [item for item in metric.differences if comparison.reference in (item.first, item.second)]


def secondary_differences(comparison: Comparison) -> dict[str, dict[str, Difference]]:
    """Return of each secondary metric each setting minus the reference, by the setting's name.

    The intervals of a metric hold all at once, over what the comparison compares: with a baseline each
    setting with it, else all pairs, which here are taken so that the reference is the second.
    """
    reference = comparison.reference
    found: dict[str, dict[str, Difference]] = {}
    for name, metric in comparison.metrics.items():
        if name == comparison.main:
            continue
        items = metric.differences
        if any(item.first == reference for item in items):
            order, names = metric.table.names.index, [(item.first, item.second) for item in items]
            couples = [(order(b), order(a)) if a == reference else (order(a), order(b)) for a, b in names]
            items = differences_of(metric.table, metric.variances, couples, screening=metric.screening)
        found[name] = {item.first: item for item in items if item.second == reference}
    return found


def worth_their_cost(comparison: Comparison) -> list[str]:
    """Return the settings that no other equals or beats in all scores and costs at once."""
    means = comparison.decisive.table.means()
    return [
        comparison.settings[item].name for item in front((comparison.main, means), *axes(comparison).items())
    ]


def cell(text: object) -> str:
    r"""Return text for a cell of a Markdown table.

    >>> print(cell("<a|b>"))
    &lt;a\|b&gt;
    """
    return (
        " ".join(str(text).split())
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("|", "\\|")
    )


def p_cell(p: float) -> str:
    """Return a p-value for a table.

    >>> p_cell(0.0004), p_cell(0.123), p_cell(float("nan"))
    ('< 0.001', '0.12', '-')
    """
    return "-" if p != p else "< 0.001" if p < 0.001 else f"{p:.2g}"
