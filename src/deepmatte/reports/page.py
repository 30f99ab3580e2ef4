"""The comparison as one HTML page that needs nothing but itself, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from deepmatte import __version__
from deepmatte.compare.comparison import Comparison
from deepmatte.compare.difference import Difference
from deepmatte.compare.factors import Effect
from deepmatte.compare.pareto import axes, front, mean_cost
from deepmatte.compare.table import number, trivial_scores
from deepmatte.compare.verdict import decide
from deepmatte.reports.drawing import Drawing, to_svg

MOST_ROWS = 300
"""Rows of the table of differences at most; with more, it has those from the best setting (or the baseline) only."""


def render_page(
    comparison: Comparison,
    effects: Sequence[Effect],
    drawings: Sequence[Drawing],
    gallery: dict[str, Any] | None,
) -> str:
    """Return the page; whatever stems from a configuration is escaped, and a content policy forbids every request."""
    figures = [
        (drawing, Markup(to_svg(drawing))) for drawing in drawings
    ]  # Markup: matplotlib has escaped the texts in it
    return (
        environment(autoescape=True)
        .get_template("page.html")
        .render(view(comparison, effects), figures=figures, gallery=gallery)
    )


def render_markdown(
    comparison: Comparison, effects: Sequence[Effect], drawings: Sequence[Drawing], folder: str
) -> str:
    """Return Markdown for an experiment's page; its figures are linked as ``folder/NAME.png``."""
    template = environment(autoescape=False).get_template("report.md")
    return template.render(view(comparison, effects), drawings=drawings, folder=folder)


def environment(*, autoescape: bool) -> Environment:
    """Return the templates beside this module; a name that they use and that is not given is an error."""
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    result = Environment(loader=loader, autoescape=autoescape, trim_blocks=True, lstrip_blocks=True)
    result.filters |= {"number": number, "cell": cell}
    return result


def view(comparison: Comparison, effects: Sequence[Effect]) -> dict[str, Any]:
    """Return what both templates show."""
    result = comparison.runs[0].result
    return {
        "title": ", ".join(
            dict.fromkeys(str(run.result.get("experiment") or "runs") for run in comparison.runs)
        ),
        "comparison": comparison,
        "verdict": decide(comparison),
        "differences": shown_differences(comparison),
        "effects": effects,
        "trivial": trivial_scores(comparison),
        "costs": {
            setting.name: [mean_cost(setting, key) for key in ("seconds", "peak_memory_mb")]
            for setting in comparison.settings
        },
        "worth": worth_their_cost(comparison),
        "protocol": result.get("protocol"),
        "dataset": result.get("dataset") or {},
        "commits": sorted({str(run.result.get("git_commit")) for run in comparison.runs}),
        "machines": sorted(
            {str(run.result["machine"]) for run in comparison.runs if run.result.get("machine")}
        ),
        "version": __version__,
    }


def shown_differences(comparison: Comparison) -> list[Difference]:
    """Return the differences of the main metric for the table."""
    metric = comparison.decisive
    if len(metric.differences) <= MOST_ROWS:
        return metric.differences
    reference = comparison.baseline or metric.scores[0].setting
    return [item for item in metric.differences if reference in (item.first, item.second)]


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
