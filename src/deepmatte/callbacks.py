"""Callbacks and loggers: picture grids, test pictures, a line an epoch, curves that survive a resumed run."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, WandbLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch import Tensor

from deepmatte.batch import Batch
from deepmatte.data import collate, write_png
from deepmatte.errors import InputError
from deepmatte.files import write_text

LONGEST_WAIT = 100
"""Steps after which processes ask each other again whether a checkpoint is due, lest steps that get slower delay it."""

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
        write_png(self.directory / f"epoch_{trainer.current_epoch:04d}.png", picture, parents=False)
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
        """Choose the pictures."""
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
                    pixels = picture if name == "image" else picture[..., 0]
                    write_png(self.directory / f"{batch['name'][i]}_{name}.png", pixels, parents="/" in batch["name"][i])


class LastCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint of the newest epoch, and writes one in mid-epoch every so often and when the run is interrupted.

    ModelCheckpoint's own ``save_last`` writes only when the best one improves, and its ``save_on_exception`` also after errors; it
    saves by epochs, by steps or by time, but not by several of them. ``steps`` are those of the optimiser; None is never.
    """

    def __init__(self, directory: Path, steps: int | None = None, minutes: float | None = None, **options: Any) -> None:
        super().__init__(directory, **options)
        for key, value in (("steps", steps), ("minutes", minutes)):
            if value is not None and value <= 0:
                raise InputError(f"save_every.{key}={value}: is above 0, or null for never")
        self.steps, self.minutes = steps, minutes
        self.saved_step, self.saved_time, self.next_look = 0, time.monotonic(), 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and count from the step that the stage or the resumed run begins with."""
        super().on_train_start(trainer, pl_module)
        self._start_clock(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save if it is time, but not at the end of an epoch, which is saved after its validation."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0  # half of an accumulated gradient is in no checkpoint
        if not stepped or batch_idx + 1 >= trainer.num_training_batches:
            return
        due = self.steps is not None and trainer.global_step - self.saved_step >= self.steps
        if due or self._is_late(trainer):
            self._save_checkpoint(trainer, self.format_checkpoint_name({}))

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
        super()._save_checkpoint(trainer, filepath)
        self._start_clock(trainer)

    def _start_clock(self, trainer: pl.Trainer) -> None:
        self.saved_step, self.saved_time, self.next_look = trainer.global_step, time.monotonic(), 0

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Save on Ctrl-C and SIGTERM; with several processes only on SIGTERM, which Lightning brings to all of them at one step."""
        together = trainer.world_size == 1 or isinstance(exception, SIGTERMException)
        if isinstance(exception, KeyboardInterrupt | SystemExit) and together and trainer.state.fn == TrainerFn.FITTING:
            self._save_checkpoint(trainer, self.format_checkpoint_name({}))


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


class Curves(CSVLogger):
    """Lightning's CSV logger, writing ``metrics.csv`` straight into the run directory and going on with it when a run resumes."""

    def __init__(self, directory: Path) -> None:
        super().__init__(save_dir=directory, name="", version="", flush_logs_every_n_steps=50)
        self.file = directory / "metrics.csv"
        self.earlier = _rows(self.file) if self.file.exists() else []

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer of the file."""
        if self._experiment is None:
            self._experiment = _CurvesFile(log_dir=self.log_dir)
        return self._experiment  # type: ignore[return-value]

    @rank_zero_only
    def keep_until(self, step: int) -> None:
        """Restore the rows of the interrupted run up to optimiser step ``step``; later ones will be computed anew."""
        rows = [{key: value for key, value in row.items() if value} for row in self.earlier if int(row["step"]) < step]
        self.experiment.metrics = [*rows, *self.experiment.metrics]
        self.earlier = []
        self.save()


class _CurvesFile(ExperimentWriter):
    """Lightning's writer, which adds a column by writing the file again: in one piece here, so that a full disk loses no row."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        buffer = StringIO()
        writer = csv.DictWriter(buffer, fieldnames=fieldnames)
        writer.writeheader()
        writer.writerows(_rows(Path(self.metrics_file_path)))
        write_text(self.metrics_file_path, buffer.getvalue(), parents=False)


def _rows(file: Path) -> list[dict[str, str]]:
    """Return the whole rows of a CSV file; where the disk was full or the process was killed, the last one may be cut off."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [row for row in csv.DictReader(lines) if (row.get("step") or "").isdecimal() and None not in (*row, *row.values())]
