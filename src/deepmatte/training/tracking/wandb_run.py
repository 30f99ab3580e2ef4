"""Weights & Biases: one run of a sweep is one W&B run, named by the run's hash, so that it can be resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.loggers import WandbLogger

from deepmatte.errors import InputError
from deepmatte.metrics.names import DEFAULT_SCORES, higher_is_better
from deepmatte.runs.directory import RunDir
from deepmatte.runs.identity import config_hash, label
from deepmatte.training.tracking.tracker import PARTS, RunLogger, parameters, scored_pictures

STEP = "trainer/global_step"
"""Lightning's column of optimiser steps; a metric that is defined explicitly needs its axis, too."""

RECORDS = ("result.json", "per_image.csv", "metrics.csv")
"""What `deepmatte compare wandb:…` reads."""


class WandbRun(RunLogger, WandbLogger):
    """Lightning's W&B logger, in the project, group and mode of ``wandb`` in the configuration."""

    def __init__(self, config: DictConfig, run: RunDir, step: int = 0) -> None:
        import wandb

        # A service that the environment names is that of a program which started this one; it holds the id of
        # a run that was killed, and refuses to resume it.
        os.environ.pop(wandb.env.SERVICE, None)
        quiet = wandb.Settings(silent=True, console="off")
        wandb.setup(quiet)  # its advice to users of its functions is for us
        super().__init__(
            save_dir=run.path,
            project=config.wandb.project,
            id=config_hash(config),
            resume="allow",
            name=label((run.result() or {}).get("overrides", []))[:128],  # W&B's own limit
            group=config.name,
            job_type="train",
            tags=[str(config.name), *config.wandb.tags],
            config=parameters(config, run),
            mode=config.wandb.mode,
            log_model=False,
            settings=quiet,
        )
        self.with_artifacts = bool(config.wandb.get("artifacts", False))
        try:
            _ = self.experiment  # connects
        except wandb.errors.Error as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise InputError(
                f"wandb.mode={config.wandb.mode}: {reason}; WANDB_MODE=offline writes the run to files, "
                "which `deepmatte sync` uploads later"
            ) from error
        for metric in DEFAULT_SCORES:
            best = "max" if higher_is_better(metric) else "min"
            self.experiment.define_metric(f"val/{metric}", step_metric=STEP, summary=best)

    def finish(self, run: RunDir, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the summary of the best epoch, the table of images, pictures and records; close the run."""
        import wandb

        self.experiment.summary.update(result["scores"])
        for key in ("best_epoch", "protocol", "status"):
            self.experiment.summary[key] = result[key]
        self.experiment.summary.update({f"cost/{key}": value for key, value in result["cost"].items()})
        columns: list[Any] = list(rows[0])
        cells = [[row[column] for column in columns] for row in rows]
        self.experiment.log({"test/per_image": wandb.Table(columns=columns, data=cells)})
        if found := scored_pictures(run):
            shown = ", ".join(PARTS)
            pictures = [wandb.Image(item, caption=f"{name}: {shown}") for name, item in found.items()]
            self.experiment.log({"test/mattes": pictures})
        for name in RECORDS:
            self.experiment.save(str(run.path / name), base_path=str(run.path), policy="now")
        if self.with_artifacts:
            self._log_checkpoints(run, result)
        wandb.finish()

    def _log_checkpoints(self, run: RunDir, result: Mapping[str, Any]) -> None:
        """Log both checkpoints as versions of one artifact, and what they were trained on as their input.

        W&B takes no inputs offline: there the data are an artifact of the run, too, and the checkpoints name
        their digests.
        """
        import wandb

        described = {key: result["dataset"][key] for key in ("name", "version")}
        described["digests"] = result.get("fingerprint", {}).get("data", {})
        data = wandb.Artifact(f"data-{described['name']}", type="dataset", metadata=described)
        with data.new_file("data.json") as file:
            file.write(json.dumps(described, indent=2, sort_keys=True))
        self.experiment.log_artifact(data) if self.experiment.offline else self.experiment.use_artifact(data)
        known = {"data": described, "best_epoch": result["best_epoch"], "scores": result["scores"]}
        for alias in ("last", "best"):
            checkpoint = wandb.Artifact(f"checkpoint-{self.experiment.id}", type="model", metadata=known)
            checkpoint.add_file(str(run.checkpoints / f"{alias}.ckpt"), name="model.ckpt")
            self.experiment.log_artifact(checkpoint, aliases=[alias])

    def fail(self) -> None:
        """Mark the W&B run, if it is open, as failed."""
        import wandb

        if wandb.run is not None:
            wandb.finish(exit_code=1)
