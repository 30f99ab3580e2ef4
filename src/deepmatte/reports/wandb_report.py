"""The finished comparison as a report of Weights & Biases, beside the curves of the group: online only."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.verdict import decide
from deepmatte.errors import InputError
from deepmatte.metrics.names import DEFAULT_SCORES
from deepmatte.reports.report import scores_table


def check_report() -> None:
    """Refuse a report that can't be made.

    Raises:
        InputError: W&B is not online, or the package is not installed.
    """
    if os.environ.get("WANDB_MODE") != "online":
        raise InputError("--wandb-report: W&B makes reports on its server; set WANDB_MODE=online")
    if find_spec("wandb_workspaces") is None:
        raise InputError("--wandb-report: needs an extra; pip install 'deepmatte[reports]'")


def save_report(comparison: Comparison, project: str) -> str:
    """Save the report in the user's own entity and return its address."""
    import wandb

    return str(build_report(comparison, project, wandb.Api().default_entity or "").save().url)


def build_report(comparison: Comparison, project: str, entity: str) -> Any:
    """Return the report, not yet saved: the verdict, the table of scores, and panels of the group's runs."""
    import wandb_workspaces.reports.v2 as reports
    from wandb_workspaces import expr

    group = next((run.result["experiment"] for run in comparison.runs if run.result.get("experiment")), "")
    verdict, main = decide(comparison), comparison.main
    table = scores_table(comparison).query("metric == @main")[["setting", "rank", "mean", "low", "high"]]
    runs = reports.Runset(
        entity=entity,
        project=project,
        name=str(group),
        filters=[expr.Metric("Group") == str(group), expr.Metric("JobType") == "train"],
    )
    curves = [
        reports.LinePlot(x="trainer/global_step", y=[f"val/{name}"], smoothing_factor=0.0)
        for name in DEFAULT_SCORES
    ]
    return reports.Report(
        entity=entity,
        project=project,
        title=f"Comparison of {group}",
        description=verdict.headline,
        blocks=[
            reports.MarkdownBlock("\n\n".join([f"**{verdict.headline}**", *verdict.details])),
            reports.MarkdownBlock(_markdown(table)),
            reports.PanelGrid(runsets=[runs], panels=[reports.BarPlot(metrics=[f"test/{main}"]), *curves]),
        ],
    )


def _markdown(table: Any) -> str:
    """Return a table of pandas in Markdown, four digits a number."""
    cells = [
        [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.values
    ]
    lines = [list(table.columns), ["---"] * len(table.columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
