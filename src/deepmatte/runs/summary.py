"""The table that ends a run. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from deepmatte.metrics.names import DEFAULT_SCORES, heading, higher_is_better


def summary(path: Path, result: Mapping[str, Any]) -> Group:
    """Return the scores of a result beside those of the trivial matte, and where to find the files.

    Print it with ``crop=False``: a path is not broken between lines, so that it can be copied.
    """
    dataset = result["dataset"]
    split = dataset["split"]
    images = f"{dataset['num_images']} images, protocol {result['protocol']}"
    title = f"{dataset['name']} {dataset['version']}, {split}: {images}"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("matte")
    metrics = (*DEFAULT_SCORES, *(result.get("metrics") or {}))
    for metric in metrics:
        # The unit stands below the name, so that the table has room in 80 columns.
        table.add_column(heading(metric).replace(" ", "\n", 1), justify="right")
    scores = result["scores"]
    for label, prefix in (
        (result.get("method", "network"), split),
        ("trivial (unknown = 0.5)", f"trivial/{split}"),
    ):
        table.add_row(
            escape(label),
            *(
                f"{scores[f'{prefix}/{metric}']:.4g}" if f"{prefix}/{metric}" in scores else "-"
                for metric in metrics
            ),
        )
    ratios = [_ratio(scores, split, metric) for metric in metrics]
    table.add_row("ratio", *ratios, style="dim")
    worse = [metric for metric in metrics if _is_worse(scores, split, metric)]
    lines = [f"worse than the trivial matte in {', '.join(worse)}"] if worse else []
    lines.append(f"pictures    {path / 'pictures'}")
    if (path / "checkpoints" / "best.ckpt").exists():
        epoch = result.get("best_epoch")  # counted from 0, the lines of the epochs from 1
        chosen = f"(epoch {'-' if epoch is None else epoch + 1}, chosen on the validation split)"
        lines.append(f"checkpoint  {path / 'checkpoints' / 'best.ckpt'} {chosen}")
    lines.append(f"records     {path / 'result.json'}, {path / 'per_image.csv'}")
    if any(path.glob("wandb/offline-run-*")):
        lines.append(f"W&B         offline; `deepmatte sync {path}` uploads it")
    return Group(table, Text("\n".join(lines), no_wrap=True, overflow="ignore"))


def _pair(scores: Mapping[str, float], split: str, metric: str) -> tuple[float | None, float | None]:
    return scores.get(f"{split}/{metric}"), scores.get(f"trivial/{split}/{metric}")


def _is_worse(scores: Mapping[str, float], split: str, metric: str) -> bool:
    own, trivial = _pair(scores, split, metric)
    if own is None or trivial is None or own == trivial:
        return False
    return (own < trivial) == higher_is_better(metric)


def _ratio(scores: Mapping[str, float], split: str, metric: str) -> str:
    own, trivial = _pair(scores, split, metric)
    return f"{100 * own / trivial:.0f} %" if own is not None and trivial else "-"
