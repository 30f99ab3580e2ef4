"""Runs of an MLflow experiment that ``logger=mlflow`` wrote, downloaded as run directories."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from deepmatte.errors import InputError, one_line
from deepmatte.files import write_text

PREFIX = "mlflow:"
FILES = ("result.json", "per_image.csv", "metrics.csv")
"""What a run has to have logged as artifacts to be compared; the curves are welcome."""

HASH_TAG = "deepmatte.config_hash"
"""The tag by which the logger names a run's configuration."""


def fetch_experiment(source: str, cache: Path) -> Path:
    """Download the records of an experiment's runs, a folder a run, and return their directory.

    Of several runs of one configuration the newest counts. One without the files gets an empty record, so
    that it is listed as excluded.

    Args:
        source: ``mlflow:URI/EXPERIMENT``, or ``mlflow:EXPERIMENT`` with the URI in ``MLFLOW_TRACKING_URI``.
        cache: where the directory is made.

    Raises:
        InputError: MLflow is not installed, can't read the experiment, or it has no runs of ours.
    """
    uri, _, experiment = source.removeprefix(PREFIX).rpartition("/")
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not (uri and experiment):
        form = "mlflow:URI/EXPERIMENT, such as mlflow:sqlite:///runs/mlflow.db/my_sweep"
        raise InputError(f"{source}: not of the form {form}; give both parts, or set MLFLOW_TRACKING_URI")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would report its use to its makers
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise InputError(f"{source}: needs an extra; pip install 'deepmatte[mlflow]'") from error
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file():
        raise InputError(f"{source}: there is no database {uri}; check its path")  # MLflow would make one
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        client = MlflowClient(uri)
        found = client.get_experiment_by_name(experiment)
        runs = _newest(client, found.experiment_id) if found is not None else []
        for run in runs:
            _download(client, run, cache / experiment / run.info.run_id)
    except (MlflowException, OSError) as error:
        raise InputError(
            f"{source}: MLflow can't read it ({one_line(error)[:200]}); check the URI"
        ) from error
    if not runs:
        what = "has no runs that logger=mlflow wrote" if found is not None else "there is no such experiment"
        raise InputError(f"{source}: {what}; check the name")
    return cache / experiment


def _newest(client: Any, experiment: str) -> list[Any]:
    """Return the newest run of each configuration, in the order of the configurations."""
    runs: dict[str, Any] = {}
    page = None
    while True:
        found = client.search_runs([experiment], order_by=["attributes.start_time ASC"], page_token=page)
        runs |= {run.data.tags[HASH_TAG]: run for run in found if HASH_TAG in run.data.tags}
        page = found.token
        if not page:
            return [runs[identity] for identity in sorted(runs)]


def _download(client: Any, run: Any, folder: Path) -> None:
    """Download a run's records; the record of one that has none says in which state it is."""
    folder.mkdir(parents=True, exist_ok=True)
    present = {file.path for file in client.list_artifacts(run.info.run_id)}
    for name in FILES:
        if name in present:
            client.download_artifacts(run.info.run_id, name, str(folder))
    if "result.json" not in present:
        missing = {"status": run.info.status.lower(), "error": "no result.json was logged"}
        write_text(folder / "result.json", json.dumps(missing))
