"""The finished comparison in Weights & Biases: a summary run of the group that was compared."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.race_view import verdict_of
from deepmatte.reports.drawing import Drawing
from deepmatte.reports.report import FIGURES, PAGE, differences_table, scores_table


def log_comparison(
    comparison: Comparison,
    drawings: Sequence[Drawing],
    directory: Path,
    project: str,
    entity: str | None = None,
) -> str:
    """Log the tables, figures and page written to ``directory`` to a summary run and return its id.

    The run has the job type ``comparison`` and the group of the compared runs. ``WANDB_MODE`` decides where
    it goes; offline is the default.
    """
    import wandb

    group = next(
        (str(run.result["experiment"]) for run in comparison.runs if run.result.get("experiment")), None
    )
    run = wandb.init(
        project=project,
        entity=entity,
        group=group,
        job_type="comparison",
        name=f"comparison of {group}" if group else "comparison",
        dir=directory,
        mode=os.environ.get("WANDB_MODE", "offline"),  # type: ignore[arg-type]
        settings=wandb.Settings(silent=True, console="off"),
    )
    verdict, best = verdict_of(comparison), comparison.decisive.scores[0]
    run.summary.update({"verdict": verdict.headline, "confidence": verdict.confidence})
    run.summary.update({"best": best.setting, comparison.main: best.estimate.mean})
    tables = {"scores": scores_table(comparison), "differences": differences_table(comparison)}
    run.log(
        {f"comparison/table_{name}": wandb.Table(dataframe=table) for name, table in tables.items()}
        | {
            f"comparison/{item.name}": wandb.Image(
                str(directory / FIGURES / f"{item.name}.png"), caption=item.caption
            )
            for item in drawings
        }
        | {"comparison/page": wandb.Html((directory / PAGE).read_text(encoding="utf-8"), inject=False)}
    )
    run.finish()
    return str(run.id)
