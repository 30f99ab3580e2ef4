"""A callback: computes the metric on each validation and logs it beside deepmatte's own."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from softedges.metric import EdgeError


class EdgeScores(pl.Callback):
    """Logs ``val/edge``, which ends in ``metrics.csv`` and, of the best epoch, in ``result.json``."""

    def __init__(self) -> None:
        self.metric = EdgeError()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin, on the device of the module."""
        self.metric = self.metric.to(pl_module.device)
        self.metric.reset()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch; ``outputs`` is the alpha that deepmatte's own metrics score."""
        self.metric.update(outputs, batch["alpha"])

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the score."""
        pl_module.log("val/edge", self.metric.compute().float())
