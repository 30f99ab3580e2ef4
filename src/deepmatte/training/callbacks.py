"""Callbacks: picture grids, test pictures, a line an epoch, progress."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, RichProgressBar
from torch import Tensor

from deepmatte.batch import Batch
from deepmatte.data import collate, write_png
from deepmatte.runs import interruption
from deepmatte.training.building.stages import Stage

VALIDATED = ("val/loss", "val/sad", "val/mse", "val/grad", "val/conn", "val/miou")
"""What the line of an epoch says beside its training loss."""

COLUMNS = ("image", "trimap", "truth", "prediction", "error x 2")
"""Of the pictures of an epoch, by `grid`."""

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
    """Return up to ``wanted`` indices of items of these kinds: one of each kind, then another of each.

    Items of one kind are spread evenly.

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


def grid(batch: Batch, alpha: Tensor, row: int = 0, width: int = 224) -> np.ndarray:
    """Return an RGB row of the sample ``row`` of a batch: a cell for each of `COLUMNS`."""
    error = (alpha[row] - batch["alpha"][row]).abs() * 2
    parts = (batch["image"][row], batch["trimap"][row], batch["alpha"][row], alpha[row], error)
    cells = [to_uint8(part) for part in parts]
    height = max(1, round(width * cells[0].shape[0] / cells[0].shape[1]))
    return np.concatenate(
        [cv2.resize(cell, (width, height), interpolation=cv2.INTER_AREA) for cell in cells], 1
    )


def titles(width: int = 224, height: int = 24) -> np.ndarray:
    """Return an RGB strip (height, width x columns, 3) that names the columns of a `grid`."""
    strip = np.full((height, width * len(COLUMNS), 3), 255, np.uint8)
    for number, text in enumerate(COLUMNS):
        place = (number * width + 6, height - 8)
        cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


class PictureGrids(Callback):
    """Draws the same fixed validation samples after every epoch: image, trimap, truth, prediction, error.

    Args:
        num_samples: how many.
        directory: the folder for the pictures; None: ``pictures`` below the trainer's ``default_root_dir``.
    """

    def __init__(self, num_samples: int = 4, directory: Path | None = None) -> None:
        self.num_samples = num_samples
        self.directory = directory
        self.rows: dict[int, np.ndarray] = {}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw those of the fixed samples that the batch has; ``outputs`` is the alpha that was scored."""
        if trainer.sanity_checking or not trainer.is_global_zero or outputs is None:
            return
        chosen = self._chosen(trainer)
        for row, index in enumerate(batch["index"].tolist() if "index" in batch else []):
            if index in chosen:
                self.rows[index] = grid(batch, outputs, row)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw once an epoch, while averaged weights (if any) are in place.

        Rank 0 predicts what others, or none, have scored.
        """
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        for index in self._chosen(trainer):
            if index not in self.rows:
                sample = self._dataset(trainer)[index]
                batch = pl_module.transfer_batch_to_device(collate([sample]), pl_module.device, 0)
                self.rows[index] = grid(batch, pl_module(batch).alpha)
        rows = [row for _, row in sorted(self.rows.items())]
        self.rows = {}
        height = max(row.shape[0] for row in rows)
        rows = [np.pad(row, ((0, height - row.shape[0]), (0, 0), (0, 0))) for row in rows]
        picture = np.concatenate([titles(), *rows], 0)
        folder = self.directory or Path(trainer.default_root_dir) / "pictures"
        with suppress(FileNotFoundError):  # a run directory that is gone is not made again
            folder.mkdir(exist_ok=True)
        write_png(folder / f"epoch_{trainer.current_epoch:04d}.png", picture, parents=False)
        caption = [", ".join(COLUMNS)]
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image("val/pictures", [picture], step=trainer.global_step, caption=caption)

    def _dataset(self, trainer: pl.Trainer) -> Any:
        assert trainer.val_dataloaders is not None
        return trainer.val_dataloaders.dataset

    def _chosen(self, trainer: pl.Trainer) -> list[int]:
        return evenly(len(self._dataset(trainer)), self.num_samples)


class TestPictures(Callback):
    """Saves input, truth and matte of some test pictures, the same in every run, for comparison."""

    def __init__(self, directory: Path, num_pictures: int = 16) -> None:
        self.directory = directory
        self.num_pictures = num_pictures
        self.chosen: list[int] = []

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the pictures; every batch from now on ends at a point where a signal may end the run."""
        interruption.defer()
        assert trainer.test_dataloaders is not None
        dataset = trainer.test_dataloaders.dataset
        self.chosen = varied(
            [dataset.record(index)["category"] for index in range(len(dataset))], self.num_pictures
        )

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Save the chosen pictures of this batch; ``outputs`` is the alpha that was scored."""
        for i, index in enumerate(batch["index"].tolist()):
            if index in self.chosen:
                parts = (batch["image"][i], batch["trimap"][i], batch["alpha"][i], outputs[i])
                for name, part in zip(TEST_PARTS, parts, strict=True):
                    picture = to_uint8(part)
                    pixels = picture if name == "image" else picture[..., 0]
                    write_png(
                        self.directory / f"{batch['name'][i]}_{name}.png",
                        pixels,
                        parents="/" in batch["name"][i],
                    )
        interruption.check()


class EpochLines(Callback):
    """Prints one line an epoch: the scores so far, and the time that the rest of the run will take."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.start: float | None = None
        self.first = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.start, self.first = time.monotonic(), trainer.current_epoch

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the line."""
        if self.start is None or not trainer.is_global_zero:
            return
        done, last = trainer.current_epoch + 1, self.stage.run_epochs
        seconds = time.monotonic() - self.start
        left = seconds / max(done - self.first, 1) * (last - done)
        names = {"train/loss_epoch": "train/loss", **{name: name for name in VALIDATED}}
        logged = {label: trainer.callback_metrics.get(name) for name, label in names.items()}
        scores = "  ".join(
            f"{label} {float(value):.4g}" for label, value in logged.items() if value is not None
        )
        stage = "" if self.stage.epochs == last else f" ({self.stage.name})"
        print(f"epoch {done}/{last}{stage}  {scores}  {seconds:.0f} s, about {left:.0f} s left", flush=True)


class Bar(RichProgressBar):
    """Lightning's bar, which counts the epochs as `EpochLines` does and leaves out the logger's version."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(leave=False)
        self.stage = stage

    def _get_train_description(self, current_epoch: int) -> str:
        return f"Epoch {current_epoch + 1}/{self.stage.run_epochs}".ljust(len(self.validation_description))

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return what the bar shows."""
        return {
            key: value for key, value in super().get_metrics(trainer, pl_module).items() if key != "v_num"
        }


class StepSeeds(Callback):
    """Seeds PyTorch's generator before each batch, so that dropout is the same in a run that is resumed.

    Args:
        seed: of the run; epoch, batch and process make a seed of their own of it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed the generator."""
        place = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))


class Progress(Callback):
    """Calls ``report`` on rank 0 every few seconds with the share (0 to 1) of the run that is done."""

    def __init__(self, report: Callable[[float], None], epochs: int, seconds: float = 5.0) -> None:
        self.report, self.epochs, self.seconds = report, epochs, seconds
        self.next = 0.0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report, unless that was done a moment ago."""
        if trainer.is_global_zero and time.monotonic() >= self.next:
            self.next = time.monotonic() + self.seconds
            self.report(
                (trainer.current_epoch + (batch_idx + 1) / trainer.num_training_batches) / self.epochs
            )
