"""Scores of a user's own metrics on the split that is tested, and of the trivial matte by them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback

from deepmatte.metrics.names import declare
from deepmatte.metrics.own import OwnMetrics
from deepmatte.ops.zones import trivial_matte
from deepmatte.training.building import from_config
from deepmatte.training.datamodule import MattingData


class OwnScores(Callback):
    """Scores each batch of a test by the metrics of ``config.metrics``; without any, it does nothing.

    Raises:
        InputError: a metric can't be used, or reads what the split does not have.
    """

    def __init__(self, config: DictConfig, data: MattingData, split: str) -> None:
        self.metrics = OwnMetrics(from_config.build_metrics(config))
        self.trivial = OwnMetrics(from_config.build_metrics(config))
        self.metrics.check(data.serves(split), f"the {split} data of {data.source.name}")
        self.means: dict[str, float] = {}
        self.rows: list[dict[str, Any]] = []
        declare(self.metrics.declared)

    @property
    def declared(self) -> dict[str, dict[str, Any]]:
        """Unit and direction of each metric, as ``result.json`` records them."""
        return {name: asdict(metric) for name, metric in self.metrics.declared.items()}

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go where the module is."""
        self.metrics.to(pl_module.device)
        self.trivial.to(pl_module.device)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score a batch; ``outputs`` is the alpha that deepmatte's own metrics score."""
        if self.metrics.reads:
            self.metrics.update(outputs, batch)
            self.trivial.update(trivial_matte(batch["trimap"]).to(outputs.dtype), batch)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Join the processes."""
        if not self.metrics.reads:
            return
        for kind, metrics in (("", self.metrics), ("trivial/", self.trivial)):
            self.means |= {f"{kind}test/{name}": float(value) for name, value in metrics.compute().items()}
        self.rows = self.metrics.per_image()

    def scores(self, split: str) -> dict[str, float]:
        """Return the means over the images, of the network and of the trivial matte."""
        return {name.replace("test/", f"{split}/"): value for name, value in self.means.items()}
