"""Sources of a comparison that are not on this disk: groups of W&B and experiments of MLflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from deepmatte.compare.records import mlflow_download, wandb_download
from deepmatte.files import temporary_folder

FETCH: dict[str, Callable[[str, Path], Path]] = {
    wandb_download.PREFIX: wandb_download.fetch_group,
    mlflow_download.PREFIX: mlflow_download.fetch_experiment,
}
"""What downloads a source, by its first letters."""


def local_paths(sources: Sequence[str], cache: Path | None = None) -> list[Path]:
    """Return paths as they are, and for each remote source a directory of its runs' records.

    They are downloaded to ``cache``, by default a temporary directory that goes with this process.
    """
    fetch = {source: FETCH.get(f"{source.partition(':')[0]}:") for source in sources}
    folder = cache or (temporary_folder() if any(fetch.values()) else Path())
    return [get(source, folder) if (get := fetch[source]) else Path(source) for source in sources]
