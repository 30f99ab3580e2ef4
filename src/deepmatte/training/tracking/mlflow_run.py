"""MLflow: a run in the experiment of the sweep's name, with parameters, curves, pictures and records."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.loggers import MLFlowLogger

from deepmatte.errors import RunError, one_line
from deepmatte.files import write_text
from deepmatte.runs.directory import RunDir
from deepmatte.runs.identity import config_hash, label
from deepmatte.training.tracking.tracker import (
    RunLogger,
    final_scores,
    parameters,
    plain_config,
    scored_pictures,
)

NOTE = "mlflow.json"
"""File of a run directory that says which MLflow run it is, so that a resumed run continues it."""

HASH_TAG = "deepmatte.config_hash"
RECORDS = ("result.json", "per_image.csv", "metrics.csv")
"""What `deepmatte compare mlflow:…` reads, at the top of the run's artifacts."""


class MlflowRun(RunLogger, MLFlowLogger):
    """Lightning's MLflow logger; a resumed run continues its MLflow run, and logs no step twice.

    Where it goes is ``mlflow.tracking_uri``, else a database beside the sweep's directory.
    """

    def __init__(self, config: DictConfig, run: RunDir, step: int = 0) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would report its use to its makers
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        for name in ("alembic", "mlflow"):  # they tell how a database is made
            logging.getLogger(name).setLevel(logging.WARNING)
        experiment, given = str(config.name), (config.get("mlflow") or {}).get("tracking_uri")
        local = _beside(run, experiment)
        uri = str(given or f"sqlite:///{local / 'mlflow.db'}")
        artifacts = None if given else (local / "mlartifacts" / experiment).as_uri()
        try:
            client = MlflowClient(uri)
            with suppress(MlflowException):  # there is one already, perhaps made by another job just now
                client.create_experiment(experiment, artifacts)
            super().__init__(
                experiment_name=experiment,
                run_name=label((run.result() or {}).get("overrides", [])),
                tracking_uri=uri,
                tags={HASH_TAG: config_hash(config), "deepmatte.run_dir": str(run.path.absolute())},
            )
            with _environment_kept():
                self._continue_or_begin(config, run, uri)
        except MlflowException as error:
            cure = "check mlflow.tracking_uri (MLFLOW_TRACKING_URI)"
            raise RunError(f"logger=mlflow: {uri}: {one_line(error)[:200]}; {cure}") from error

    def _continue_or_begin(self, config: DictConfig, run: RunDir, uri: str) -> None:
        """Continue the MLflow run of this directory where there is one, else begin a new one."""
        self.logged: dict[str, int] = {}
        known = self._known(run, uri, config_hash(config))
        if known is not None:
            self._run_id = known.info.run_id
            self.experiment.update_run(self.run_id, status="RUNNING")
            for key in known.data.metrics:
                history = self.experiment.get_metric_history(self.run_id, key)
                self.logged[key] = max(metric.step for metric in history)
            return
        self.log_hyperparams(parameters(config, run))
        self.experiment.log_dict(self.run_id, plain_config(config), "config.yaml")
        write_text(run.path / NOTE, json.dumps({"tracking_uri": uri, "run_id": self.run_id}) + "\n")

    def _known(self, run: RunDir, uri: str, identity: str) -> Any:
        """Return the MLflow run that `NOTE` names, if it is there and is of this configuration."""
        from mlflow.exceptions import MlflowException

        try:
            note = json.loads((run.path / NOTE).read_text(encoding="utf-8"))
            found = self._mlflow_client.get_run(str(note["run_id"])) if note["tracking_uri"] == uri else None
        except (OSError, ValueError, KeyError, TypeError, MlflowException):
            return None
        return found if found is not None and found.data.tags.get(HASH_TAG) == identity else None

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record those that are newer than what the run has: a resumed run computes the others again."""
        fresh = {key: value for key, value in metrics.items() if (step or 0) > self.logged.get(key, -1)}
        if fresh:
            super().log_metrics(fresh, step)

    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Record the pictures, which a slider shows by step."""
        for number, picture in enumerate(images):
            name = f"{key}/{number}" if len(images) > 1 else key
            self.experiment.log_image(self.run_id, picture, key=name, step=step or 0)

    def finalize(self, status: str = "success") -> None:
        """Leave the run open after a stage: `finish` and `fail` close it."""

    def finish(self, run: RunDir, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Record scores, costs, the records and test mattes; close the run."""
        client, identity = self.experiment, self.run_id
        super().log_metrics(final_scores(result), int(result["cost"].get("steps", 0)))
        for key in ("best_epoch", "protocol", "seed"):
            client.set_tag(identity, f"deepmatte.{key}", result.get(key))
        for name in RECORDS:
            if (run.path / name).exists():
                client.log_artifact(identity, str(run.path / name))
        for name, picture in scored_pictures(run).items():
            client.log_image(identity, picture, artifact_file=f"pictures/{name}.png")
        client.set_terminated(identity, "FINISHED")

    def fail(self) -> None:
        """Close the run as failed."""
        self.experiment.set_terminated(self.run_id, "FAILED")


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Undo that MLflow makes its address that of all processes that are started later."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        yield
    finally:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def _beside(run: RunDir, name: str) -> Path:
    """Return the folder of the sweep's directory; that of the run where it is in no sweep's."""
    parent = run.path.absolute().parent
    return parent.parent if parent.name == name else parent
