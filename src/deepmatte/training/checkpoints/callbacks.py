"""Callbacks whose state a checkpoint holds: when it is written, averaged weights, early stopping."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint

from deepmatte.errors import InputError
from deepmatte.runs import interruption
from deepmatte.training.tracking.curves import Curves

NORMALISATION = ("running_mean", "running_var", "num_batches_tracked")
"""Ends of the names of the buffers that are averaged along with the weights."""

LONGEST_WAIT = 100
"""Steps after which processes ask each other again whether to save or to end, lest slower steps delay it."""


class LastCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint of the newest epoch; in mid-epoch writes one at intervals and upon a signal.

    ModelCheckpoint's own ``save_last`` writes only when the best one improves, and its ``save_on_exception``
    also after errors and in the middle of a step; it saves by epochs, by steps or by time, but not by several
    of them. ``steps`` are those of the optimiser; None is never.

    Mid-epoch checkpoints are written before a batch starts rather than after one ends: only then are its
    losses logged.
    """

    def __init__(
        self, directory: Path, steps: int | None = None, minutes: float | None = None, **options: Any
    ) -> None:
        super().__init__(directory, **options)
        for key, value in (("steps", steps), ("minutes", minutes)):
            if value is not None and value <= 0:
                raise InputError(f"save_every.{key}={value}: is above 0, or null for never")
        self.steps, self.minutes = steps, minutes
        self.saved_step, self.saved_time, self.next_look = 0, time.monotonic(), 0
        self.asked_step, self.asked_time, self.next_question = 0, time.monotonic(), 0
        self.ends = self.before_validation = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and count from the step that the stage or the resumed run begins with."""
        super().on_train_start(trainer, pl_module)
        interruption.defer()
        self._start_clock(trainer)
        self.next_question = trainer.global_step

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time, or if the run has to end; an epoch's end was saved after its validation."""
        if batch_idx % trainer.accumulate_grad_batches:  # half of an accumulated gradient is in no checkpoint
            return
        ends, is_new = self._has_to_end(trainer), trainer.global_step > self.saved_step
        if batch_idx > 0 and is_new:
            due = self.steps is not None and trainer.global_step - self.saved_step >= self.steps
            if ends or due or self._is_late(trainer):
                self._save_checkpoint(trainer, self.format_checkpoint_name({}))
        # Lightning can't resume at the start of an epoch after one without validation; one more step, and it
        # can.
        if ends and (batch_idx > 0 or not is_new):
            interruption.stop()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """If the run has to end, save that the epoch is trained but not validated."""
        # A resumed validation begins with its first picture, but Lightning continues its count of all.
        trainer.fit_loop.epoch_loop.val_loop.batch_progress.reset()
        if not self._has_to_end(trainer, ask=True):
            return
        if trainer.global_step > self.saved_step:
            self.before_validation = True
            self._save_checkpoint(trainer, self.format_checkpoint_name({}))
        interruption.stop()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """If the run has to end, end it; the validation will be done again."""
        interruption.check()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Record the number of rows of the curves, and make the counters resumable."""
        curves = [logger for logger in trainer.loggers if isinstance(logger, Curves)]
        checkpoint["num_rows"] = curves[0].num_rows if curves else None
        loop = checkpoint["loops"]["fit_loop"]
        batches = loop["epoch_loop.batch_progress"]
        if batches["current"]["ready"] > batches["current"]["completed"]:  # the next batch is about to start
            batches["is_last_batch"] = False
            for count in (batches["total"], batches["current"]):
                count["ready"] = count["completed"]
        if self.before_validation:  # as if interrupted in its first picture, which Lightning repeats
            loop["epoch_loop.val_loop.batch_progress"]["total"] |= {
                "ready": 1,
                "started": 1,
                "processed": 0,
                "completed": 0,
            }

    def _has_to_end(self, trainer: pl.Trainer, ask: bool = False) -> bool:
        """Return whether one of the processes was asked to end; on all of them at the same step.

        They ask each other where ``ask`` is true, else about once a second at the pace of the first one.
        """
        if self.ends or trainer.world_size == 1:
            return self.ends or interruption.requested()
        if not ask and trainer.global_step < self.next_question:
            return False
        self.ends = trainer.strategy.reduce_boolean_decision(interruption.requested(), all=False)
        now = time.monotonic()
        pace = (trainer.global_step - self.asked_step) / max(now - self.asked_time, 1e-3)
        wait = trainer.strategy.broadcast(min(max(int(pace), 1), LONGEST_WAIT))
        self.asked_step, self.asked_time, self.next_question = (
            trainer.global_step,
            now,
            trainer.global_step + wait,
        )
        return self.ends

    def _is_late(self, trainer: pl.Trainer) -> bool:
        """Return whether the minutes are over, on all processes at the same step.

        Their clocks differ, so the first one decides. It also says at which step to ask again, halfway at the
        pace so far, because asking halts all processes.
        """
        if self.minutes is None or trainer.global_step < self.next_look:
            return False
        passed, steps = time.monotonic() - self.saved_time, trainer.global_step - self.saved_step
        wait = int((60 * self.minutes - passed) / passed * steps / 2) if passed > 0 else 1
        wait = trainer.strategy.broadcast(
            0 if passed >= 60 * self.minutes else min(max(wait, 1), LONGEST_WAIT)
        )
        self.next_look = trainer.global_step + wait
        return wait == 0

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        for logger in trainer.loggers:
            logger.save()  # before the checkpoint, which counts on the rows
        super()._save_checkpoint(trainer, filepath)
        self._start_clock(trainer)

    def _start_clock(self, trainer: pl.Trainer) -> None:
        self.saved_step, self.saved_time, self.next_look = trainer.global_step, time.monotonic(), 0
        self.asked_step, self.asked_time = self.saved_step, self.saved_time


class EarlyStoppingForGood(EarlyStopping):
    """Early stopping that also ends a stage resumed from its last checkpoint; Lightning's trains on."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the stage if its last validation has said so."""
        if self.wait_count >= self.patience or self.stopped_epoch > 0:
            trainer.should_stop = True


class AveragedWeights(EMAWeightAveraging):
    """Moving averages of weights and of batch normalisation; other buffers stay as they are.

    The average of a constant, such as the mean colour, differs from it in the last digit. Parts that only
    judge mattes stay as they are, too: an average has never been trained against the matte.
    """

    state_key = "EMAWeightAveraging"

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Average, and take over what is not averaged."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        assert self._average_model is not None
        critics = tuple(f"model.{part}." for part in getattr(pl_module.model, "critics", ()))
        average = self._average_model.module
        own = dict(average.named_buffers()) | dict(average.named_parameters())
        for name, buffer in pl_module.named_buffers():
            if not name.endswith(NORMALISATION) or name.startswith(critics):
                own[name].copy_(buffer)
        for name, weight in pl_module.named_parameters():
            if name.startswith(critics):
                own[name].detach().copy_(weight.detach())
