"""Weights & Biases: one run of a sweep is one W&B run, named by the run's hash, so that it can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from deepmatte.metrics.names import DEFAULT_SCORES, higher_is_better
from deepmatte.runs.directory import RunDir
from deepmatte.runs.identity import config_hash, label

STEP = "trainer/global_step"
"""Lightning's column of optimiser steps; a metric that is defined explicitly needs its axis, too."""


class Tracker:
    """The W&B logger of a run, or none where ``wandb.mode`` is ``disabled``. Only rank 0 talks to W&B."""

    def __init__(self, config: DictConfig, run: RunDir) -> None:
        self.loggers: list[WandbLogger] = []
        if config.wandb.mode == "disabled":
            return
        import wandb

        quiet = wandb.Settings(silent=True, console="off")
        wandb.setup(quiet)  # its advice to users of its functions is for us
        identity = config_hash(config)
        self.loggers.append(
            WandbLogger(
                save_dir=run.path,
                project=config.wandb.project,
                id=identity,
                resume="allow",
                name=label((run.result() or {}).get("overrides", []))[:128],  # W&B's own limit
                group=config.name,
                job_type="train",
                tags=[str(config.name), *config.wandb.tags],
                config=OmegaConf.to_container(config, resolve=True),
                mode=config.wandb.mode,
                log_model=False,
                settings=quiet,
            )
        )
        self._define_metrics()

    @rank_zero_only
    def _define_metrics(self) -> None:
        run = self.loggers[0].experiment
        for metric in DEFAULT_SCORES:
            run.define_metric(
                f"val/{metric}", step_metric=STEP, summary="max" if higher_is_better(metric) else "min"
            )

    @rank_zero_only
    def finish(
        self, directory: Path, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], pictures: Path
    ) -> None:
        """Write the summary of the best epoch, the table of images, pictures and records; close the run."""
        if not self.loggers:
            return
        import wandb

        run = self.loggers[0].experiment
        for name, value in result["scores"].items():
            run.summary[name] = value
        for key in ("best_epoch", "protocol", "status"):
            run.summary[key] = result[key]
        run.summary.update({f"cost/{key}": value for key, value in result["cost"].items()})
        columns: list[Any] = list(rows[0])
        run.log(
            {
                "test/per_image": wandb.Table(
                    columns=columns, data=[[row[column] for column in columns] for row in rows]
                )
            }
        )
        mattes = sorted(pictures.glob("*_matte.png"))[:8]
        if mattes:
            run.log({"test/mattes": [wandb.Image(str(file), caption=file.stem) for file in mattes]})
        for name in ("result.json", "per_image.csv", "metrics.csv"):
            run.save(
                str(directory / name), base_path=str(directory), policy="now"
            )  # what `deepmatte compare wandb:...` reads
        wandb.finish()

    @staticmethod
    @rank_zero_only
    def fail() -> None:
        """Mark the W&B run, if one is open, as failed."""
        import wandb

        if wandb.run is not None:
            wandb.finish(exit_code=1)
