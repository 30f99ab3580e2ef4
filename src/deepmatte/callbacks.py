"""Callbacks: picture grids, test pictures, checkpoints at safe points, averaged weights, a line an epoch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from deepmatte import interruption
from deepmatte.batch import Batch
from deepmatte.curves import Curves
from deepmatte.data import collate, write_png
from deepmatte.errors import InputError

NORMALISATION = ("running_mean", "running_var", "num_batches_tracked")
"""Ends of the names of the buffers that are averaged along with the weights."""

LONGEST_WAIT = 100
"""Steps after which processes ask each other again whether a checkpoint is due or the run ends, lest slower steps delay it."""

TEST_PARTS = ("image", "trimap", "alpha", "matte")


def to_uint8(values: Tensor) -> np.ndarray:
    """Return (1 or 3, H, W) in [0, 1], or a uint8 trimap, as an (H, W, 3) picture."""
    array = values.detach().cpu()
    if array.dtype != torch.uint8:
        array = (array.clamp(0, 1) * 255).round().to(torch.uint8)
    return array.expand(3, -1, -1).permute(1, 2, 0).numpy()


def evenly(count: int, wanted: int) -> list[int]:
    """Return up to ``wanted`` indices spread evenly over ``range(count)``.

    >>> evenly(10, 3), evenly(2, 5)
    ([0, 3, 6], [0, 1])
    """
    wanted = min(count, wanted)
    return [i * count // wanted for i in range(wanted)]


def varied(kinds: Sequence[str], wanted: int) -> list[int]:
    """Return up to ``wanted`` indices of items of these kinds: one of each kind, then another of each; of one kind spread evenly.

    >>> varied(["hair", "hair", "hair", "glass", "net"], 4), varied([""] * 10, 3)
    ([0, 1, 3, 4], [0, 3, 6])
    """
    if len(set(kinds)) < 2:
        return evenly(len(kinds), wanted)
    earlier: Counter[str] = Counter()
    turns = []
    for index, kind in enumerate(kinds):
        turns.append((earlier[kind], index))
        earlier[kind] += 1
    return sorted(index for _, index in sorted(turns)[:wanted])


def grid(batch: Batch, alpha: Tensor, width: int = 224) -> np.ndarray:
    """Return one row (image, trimap, truth, prediction, error x 2) of the first sample of ``batch`` as an RGB picture."""
    error = (alpha[0] - batch["alpha"][0]).abs() * 2
    cells = [to_uint8(part) for part in (batch["image"][0], batch["trimap"][0], batch["alpha"][0], alpha[0], error)]
    height = max(1, round(width * cells[0].shape[0] / cells[0].shape[1]))
    return np.concatenate([cv2.resize(cell, (width, height), interpolation=cv2.INTER_AREA) for cell in cells], 1)


class PictureGrids(Callback):
    """Draws the same fixed validation samples after every epoch: image, trimap, truth, prediction, error."""

    def __init__(self, directory: Path, num_samples: int = 4) -> None:
        self.directory = directory
        self.num_samples = num_samples

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Draw once an epoch, while averaged weights (if any) are in place; rank 0 predicts all of the samples itself."""
        if batch_idx > 0 or trainer.sanity_checking or not trainer.is_global_zero:
            return
        dataset = trainer.val_dataloaders.dataset
        rows = []
        for index in evenly(len(dataset), self.num_samples):
            sample = pl_module.transfer_batch_to_device(collate([dataset[index]]), pl_module.device, 0)
            rows.append(grid(sample, pl_module(sample).alpha))
        height = max(row.shape[0] for row in rows)
        rows = [np.pad(row, ((0, height - row.shape[0]), (0, 0), (0, 0))) for row in rows]
        picture = np.concatenate(rows, 0)
        write_png(self.directory / f"epoch_{trainer.current_epoch:04d}.png", picture)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image(
                    "val/pictures", [picture], step=trainer.global_step, caption=["image, trimap, truth, prediction, error x 2"]
                )


class TestPictures(Callback):
    """Saves input, truth and matte of a few test pictures, of every kind and the same ones for every run, for side-by-side views."""

    def __init__(self, directory: Path, num_pictures: int = 16) -> None:
        self.directory = directory
        self.num_pictures = num_pictures
        self.chosen: list[int] = []

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the pictures, and come by a safe point after every batch from now on."""
        interruption.defer()
        dataset = trainer.test_dataloaders.dataset
        self.chosen = varied([dataset.record(index)["category"] for index in range(len(dataset))], self.num_pictures)

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Save the pictures of this batch that are among the chosen ones; ``outputs`` is the alpha that was scored."""
        for i, index in enumerate(batch["index"].tolist()):
            if index in self.chosen:
                parts = (batch["image"][i], batch["trimap"][i], batch["alpha"][i], outputs[i])
                for name, part in zip(TEST_PARTS, parts, strict=True):
                    picture = to_uint8(part)
                    write_png(self.directory / f"{batch['name'][i]}_{name}.png", picture if name == "image" else picture[..., 0])
        interruption.check()


class LastCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint of the newest epoch, and writes one in mid-epoch every so often and when the run is interrupted.

    ModelCheckpoint's own ``save_last`` writes only when the best one improves, and its ``save_on_exception`` also after
    errors and in the middle of a step; it saves by epochs, by steps or by time, but not by several of them. ``steps`` are
    those of the optimiser; None is never.

    Mid-epoch checkpoints are written before a batch starts rather than after one ends: only then its losses are logged.
    """

    def __init__(self, directory: Path, steps: int | None = None, minutes: float | None = None, **options: Any) -> None:
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

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        """Save if it is time, or if the run has to end; an epoch's end was saved after its validation."""
        if batch_idx % trainer.accumulate_grad_batches:  # half of an accumulated gradient is in no checkpoint
            return
        ends, is_new = self._has_to_end(trainer), trainer.global_step > self.saved_step
        if batch_idx > 0 and is_new:
            due = self.steps is not None and trainer.global_step - self.saved_step >= self.steps
            if ends or due or self._is_late(trainer):
                self._save_checkpoint(trainer, self.format_checkpoint_name({}))
        # Lightning can't resume at the very start of an epoch without a validation; one more step leads to a safe point.
        if ends and (batch_idx > 0 or not is_new):
            interruption.stop()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """If the run has to end, save that the epoch is trained but not validated."""
        # A resumed validation begins with its first picture; Lightning's count of all of them would say the contrary.
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

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say how many rows of the curves belong to the checkpoint, and bring Lightning's counters to a state that it can resume."""
        curves = [logger for logger in trainer.loggers if isinstance(logger, Curves)]
        checkpoint["num_rows"] = curves[0].num_rows if curves else None
        loop = checkpoint["loops"]["fit_loop"]
        batches = loop["epoch_loop.batch_progress"]
        if batches["current"]["ready"] > batches["current"]["completed"]:  # the next batch is about to start
            batches["is_last_batch"] = False
            for count in (batches["total"], batches["current"]):
                count["ready"] = count["completed"]
        if self.before_validation:  # as if it had been interrupted in its first picture, which Lightning takes up again
            loop["epoch_loop.val_loop.batch_progress"]["total"] |= {"ready": 1, "started": 1, "processed": 0, "completed": 0}

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
        self.asked_step, self.asked_time, self.next_question = trainer.global_step, now, trainer.global_step + wait
        return self.ends

    def _is_late(self, trainer: pl.Trainer) -> bool:
        """Return whether the minutes are over, on all processes at the same step.

        Their clocks differ, so the first one's word counts. It also says at which step to ask again, half of the way there at
        the pace so far, because asking halts all processes.
        """
        if self.minutes is None or trainer.global_step < self.next_look:
            return False
        passed, steps = time.monotonic() - self.saved_time, trainer.global_step - self.saved_step
        wait = int((60 * self.minutes - passed) / passed * steps / 2) if passed > 0 else 1
        wait = trainer.strategy.broadcast(0 if passed >= 60 * self.minutes else min(max(wait, 1), LONGEST_WAIT))
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
    """Early stopping that also ends a stage that is resumed from its last checkpoint: Lightning's would train another epoch."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the stage if its last validation has said so."""
        if self.wait_count >= self.patience or self.stopped_epoch > 0:
            trainer.should_stop = True


class AveragedWeights(EMAWeightAveraging):
    """Moving averages of the weights and of what batch normalisation has learned; other buffers stay as they are.

    The average of a constant, such as the mean colour, differs from it in the last digit.
    """

    state_key = "EMAWeightAveraging"

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Average, and take the other buffers over."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        assert self._average_model is not None
        own = dict(self._average_model.module.named_buffers())
        for name, buffer in pl_module.named_buffers():
            if not name.endswith(NORMALISATION):
                own[name].copy_(buffer)


class EpochLines(Callback):
    """Prints one line an epoch: scores so far, and the time that the stage will still take."""

    def __init__(self) -> None:
        self.start: float | None = None
        self.first = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.start, self.first = time.monotonic(), trainer.current_epoch

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the line."""
        if self.start is None or not trainer.is_global_zero:
            return
        done, last = trainer.current_epoch + 1, trainer.max_epochs or 0
        seconds = time.monotonic() - self.start
        left = seconds / max(done - self.first, 1) * (last - done)
        names = ("train/loss", "val/loss", "val/sad", "val/mse", "val/grad", "val/conn", "val/miou")
        scores = "  ".join(f"{name} {float(trainer.callback_metrics[name]):.4g}" for name in names if name in trainer.callback_metrics)
        print(f"epoch {done}/{last}  {scores}  {seconds:.0f} s, about {left:.0f} s left", flush=True)


class Progress(Callback):
    """Tells ``report``, every few seconds on rank 0, which share (0 to 1) of the run's epochs is done."""

    def __init__(self, report: Callable[[float], None], epochs: int, seconds: float = 5.0) -> None:
        self.report, self.epochs, self.seconds = report, epochs, seconds
        self.next = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Report, unless that was done a moment ago."""
        if trainer.is_global_zero and time.monotonic() >= self.next:
            self.next = time.monotonic() + self.seconds
            self.report((trainer.current_epoch + (batch_idx + 1) / trainer.num_training_batches) / self.epochs)
