"""The LightningModule: a matting network, its losses and its metrics, in one training stage."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import FSDPStrategy
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from deepmatte.batch import Batch, Matte
from deepmatte.errors import InputError, RunError
from deepmatte.losses import LossTable
from deepmatte.metrics import PROTOCOLS, ForegroundError, MattingDiagnostics, MattingMetrics
from deepmatte.metrics.functional.plates import Disturbance
from deepmatte.metrics.functional.robustness import widen_unknown
from deepmatte.models import MattingModel
from deepmatte.ops.zones import impose_trimap, trivial_matte
from deepmatte.training.building.optimisation import Optimisation, clip, schedule
from deepmatte.training.building.stages import Stage
from deepmatte.training.checkpoints import statistics
from deepmatte.training.guides import with_guide


class MattingModule(pl.LightningModule):
    """Trains ``model`` with ``losses`` in ``stage``; validates and tests with the matting metrics.

    Validation and test impose the trimap's known zones on the matte first where ``impose`` is true and the
    model reads a trimap; else the trimap only says what is scored. Their steps communicate nothing, so
    processes may see different numbers of images; the metrics are joined once at the end. ``radii`` are the
    widths in pixels by which a test also widens the unknown zone, to see how the error grows with it, and
    ``disturbances`` what it also does to the captured background. With ``colours`` it also scores the
    predicted colours of the foreground, which model and data must have.

    Any trainer and any loader of batches with ``image``, ``alpha`` and ``trimap`` will do. Without ``stage``
    all parts learn for as long as the trainer says; without ``optimisation`` by Adam at a constant 1e-3.
    """

    val_metrics: MattingMetrics
    test_metrics: MattingMetrics
    robustness: Any  # a ModuleDict of MattingMetrics by radius

    def __init__(
        self,
        model: MattingModel,
        losses: LossTable | None = None,
        stage: Stage | None = None,
        optimisation: Optimisation | None = None,
        protocol: str = "adobe",
        impose: bool = True,
        identity: Mapping[str, Any] | None = None,
        radii: Sequence[int] = (),
        colours: bool = False,
        disturbances: Sequence[Disturbance] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.losses = losses
        self.stage = stage or Stage(learn=tuple(model.parts))
        self.staged = stage is not None
        self.optimisation = optimisation or Optimisation(partial(torch.optim.Adam, lr=1e-3))
        self.impose = impose and "trimap" in model.reads
        self.identity = dict(identity or {})
        check_protocol(protocol)
        self.val_metrics = MattingMetrics(protocol=protocol)
        self.test_metrics = MattingMetrics(protocol=protocol)
        self.trivial_metrics = MattingMetrics(protocol=protocol)
        self.diagnostics = MattingDiagnostics(protocol=protocol)
        self.robustness = nn.ModuleDict({str(radius): MattingMetrics(protocol=protocol) for radius in radii})
        self.disturbances = tuple(disturbances)
        self.on_disturbed = nn.ModuleList(MattingMetrics(protocol=protocol) for _ in self.disturbances)
        self.colours = ForegroundError(unknown=True) if colours else None
        self.val_loss = MeanMetric()
        self.epoch_loss = statistics.EpochMean()
        self.exact: dict[str, float] = {}

    # ---- what all phases share -----------------------------------------------------------------------

    def forward(self, batch: Batch) -> Matte:
        """Return the matte that is evaluated: the stage's output, the trimap's known zones imposed."""
        # Not `self.model(…)`, which is compiled for training: pictures have many sizes.
        matte = self.model.forward(batch, refine=self.stage.refine)
        if self.impose:
            matte.alpha = impose_trimap(matte.alpha, batch["trimap"])
        return matte

    # ---- training ------------------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """Take the length of a training without stages from the trainer, for schedules of loss weights."""
        if not self.staged:
            epochs = max(self.trainer.max_epochs or 1, 1)
            self.stage = dataclasses.replace(self.stage, epochs=epochs, run_epochs=epochs)

    def on_train_start(self) -> None:
        """Put the parts that do not learn in evaluation mode, so that their statistics stay as they are."""
        for part in self.model.parts:
            getattr(self.model, part).train(part in self.stage.learn)

    def on_train_epoch_start(self) -> None:
        """The same, and begin the epoch's mean; Lightning skips it where a run resumes in mid-epoch."""
        self.on_train_start()
        self.epoch_loss.reset()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the weighted sum of the losses; if it is not finite, the run ends and names the samples."""
        assert self.losses is not None
        matte = self.model(batch, refine=self.stage.refine)
        with torch.autocast(self.device.type, enabled=False):
            result = self.losses(matte, self._judged(batch), *self._progress())
        if not torch.isfinite(result.total):
            values = ", ".join(f"{name} {float(value.detach()):.4g}" for name, value in result.terms.items())
            place = f"epoch {self.current_epoch}, step {self.global_step}"
            raise RunError(
                f"the loss is not finite in {place} ({values}); samples: {', '.join(batch.get('name', '?'))}"
            )
        size, total = len(batch["alpha"]), result.total.detach()
        self.epoch_loss.add(total, size)
        self.log("train/loss", total, on_step=True, on_epoch=False, prog_bar=True, batch_size=size)
        parts = {f"train/loss/{name}": value.detach() for name, value in result.terms.items()}
        if self.losses.balance != "none":
            parts |= {f"train/loss_factor/{name}": value for name, value in result.factors.items()}
        parts |= {f"train/cosine/{name}": value for name, value in result.cosines.items()}
        parts |= {f"train/{name}": value for name, value in result.quantities.items()}
        self.log_dict(parts, batch_size=size)
        return result.total

    def _judged(self, batch: Batch) -> Batch:
        """Return the batch with the critics that the model has, for losses that read them."""
        return cast(Batch, {**batch, **{name: getattr(self.model, name) for name in self.model.critics}})

    def _progress(self) -> tuple[float, float]:
        done = self.current_epoch + self.trainer.fit_loop.batch_idx / max(
            self.trainer.num_training_batches, 1
        )
        return self.stage.progress(done)

    # ---- validation and test -------------------------------------------------------------------------

    def on_validation_start(self) -> None:
        """Give all processes the same running statistics."""
        statistics.average_statistics(self.model, self.trainer)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Score one batch, without communication, and return its alpha, which callbacks draw.

        ``val/loss`` leaves out the terms that a critic has part in, since a critic learns, too.
        """
        matte = self.model.forward(batch, refine=self.stage.refine)
        losses = self.losses and self.losses.without_critics()
        if losses is not None and losses.fits(batch):
            self.val_loss.update(losses(matte, batch, progress=1.0).total, weight=len(batch["alpha"]))
        alpha = impose_trimap(matte.alpha, batch["trimap"]) if self.impose else matte.alpha
        self.val_metrics.update(alpha, batch["alpha"], batch["trimap"], batch.get("index"))
        return alpha

    def on_validation_epoch_end(self) -> None:
        """Log ``val/*`` of the joined images, and the epoch's training loss.

        Were it logged as Lightning's ``on_epoch=True`` does it, its row would come after the epoch's
        checkpoint, and be lost in a run that is resumed from there.
        """
        train_loss = self.epoch_loss.compute(self.device)
        if math.isfinite(train_loss):
            self.log("train/loss_epoch", train_loss, rank_zero_only=False)
        self._log_scores("val", self.val_metrics.compute())
        self.val_metrics.reset()
        loss = self.val_loss.compute()
        if torch.isfinite(loss):
            self.log("val/loss", loss, rank_zero_only=False)
        self.val_loss.reset()

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Score one batch and the trivial matte on it; return the alpha, which callbacks draw."""
        matte = self(batch)
        alpha = matte.alpha
        truth = batch["alpha"], batch["trimap"], batch.get("index")
        if self.colours is not None:
            predicted = matte.foreground.clamp(0, 1)
            self.colours.update(
                predicted, batch["foreground"], batch["alpha"], batch.get("index"), batch["trimap"]
            )
        self.test_metrics.update(alpha, *truth)
        self.diagnostics.update(alpha, *truth)
        trivial = trivial_matte(batch["trimap"]).to(alpha.dtype)
        self.trivial_metrics.update(trivial, *truth)
        for radius, metrics in self.robustness.items():
            trimaps = batch["trimap"].cpu().numpy()
            widened = torch.stack(
                [torch.from_numpy(widen_unknown(trimap[0], int(radius))[None]) for trimap in trimaps]
            )
            wide = with_guide(Batch(**{**batch, "trimap": widened.to(batch["trimap"].device)}), self.model)
            metrics.update(self(wide).alpha, wide["alpha"], wide["trimap"], wide.get("index"))
        for disturbance, scores in zip(self.disturbances, self.on_disturbed, strict=True):
            cast(MattingMetrics, scores).update(self(disturbance(batch)).alpha, *truth)
        return alpha

    def on_test_epoch_end(self) -> None:
        """Log ``test/*``, and ``trivial/test/*`` beside it."""
        self._log_scores("test", self.test_metrics.compute())
        if self.colours is not None:
            self._log_scores("test", self.colours.compute())
        self._log_scores("trivial/test", self.trivial_metrics.compute())
        for radius, metrics in self.robustness.items():
            self._log_scores(f"widened/{radius}/test", metrics.compute())
        for disturbance, scores in zip(self.disturbances, self.on_disturbed, strict=True):
            self._log_scores(f"disturbed/{disturbance.name}/test", cast(MattingMetrics, scores).compute())

    def _log_scores(self, prefix: str, scores: Mapping[str, Any]) -> None:
        """Log scores, and keep them in ``exact``: what Lightning logs has the digits of float32."""
        for name, value in scores.items():
            self.exact[f"{prefix}/{name}"] = float(value)
            shown = prefix == "val" and name == "sad"
            self.log(f"{prefix}/{name}", float(value), prog_bar=shown, sync_dist=False)

    # ---- optimisation --------------------------------------------------------------------------------

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Optimise the parameters that learn, with the schedule of the stage counted in optimiser steps."""
        optimizer = self.optimisation.build(self.model)
        # Lightning counts from the first epoch of the run; the schedule belongs to the stage alone.
        share = self.stage.epochs / max(self.stage.last_epoch, 1)
        total = self.trainer.estimated_stepping_batches * share
        steps = max(1, round(total)) if math.isfinite(total) else 1  # a trainer of one's own may have no end
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": schedule(optimizer, steps, **self.optimisation.schedule),
                "interval": "step",
            },
        }

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients of what predicts the matte together, and those of each critic alone."""
        if self.model.critics and gradient_clip_val:
            clip(self.model.players(), gradient_clip_val, gradient_clip_algorithm == "value")
        elif gradient_clip_val and isinstance(self.trainer.strategy, FSDPStrategy):
            sharded: Any = self.trainer.strategy.model
            sharded.clip_grad_norm_(gradient_clip_val)  # over the shards of all processes
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    # ---- checkpoints ---------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add as plain data what was trained, how far, and with which scores."""
        progress = self.trainer.fit_loop.epoch_loop.batch_progress
        scores = {
            name: self.exact.get(name, float(value))
            for name, value in self.trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        checkpoint["deepmatte"] = {
            **self.identity,
            "stage": self.stage.name,
            "refine": self.stage.refine,
            "first_epoch": self.stage.first_epoch,
            "epochs_done": self.current_epoch
            + int(self.trainer.num_training_batches <= progress.current.completed),
            "scores": scores,
        }
        checkpoint["epoch_loss"] = self.epoch_loss.rows(self.device).cpu()
        if self.trainer.world_size > 1:
            statistics.save_statistics(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what each process has of its own; leave out the optimiser of another stage."""
        process = self.trainer.global_rank, self.trainer.world_size
        statistics.restore_statistics(checkpoint, *process)
        if "epoch_loss" in checkpoint:
            self.epoch_loss.restore(checkpoint["epoch_loss"], *process)
        if checkpoint.get("deepmatte", {}).get("stage") == self.stage.name:
            return
        checkpoint["optimizer_states"], checkpoint["lr_schedulers"] = [], []
        checkpoint["callbacks"] = {
            key: state
            for key, state in checkpoint["callbacks"].items()
            if not key.startswith("EarlyStopping")
        }


def check_protocol(protocol: str) -> None:
    """Refuse a name that is no protocol's."""
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol={protocol}: choose one of {', '.join(PROTOCOLS)}")
