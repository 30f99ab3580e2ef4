"""Score a model on a split: the one path for the end of training, for `evaluate`, for networks and for classical methods."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.loggers import Logger

from deepmatte import build
from deepmatte.callbacks import TestPictures
from deepmatte.datamodule import MattingData
from deepmatte.errors import InputError
from deepmatte.models import MattingModel
from deepmatte.module import MattingModule, Stage, load_weights


@dataclass(frozen=True)
class Scored:
    """Mean scores ``test/*`` and ``trivial/test/*``, one row an image, and what they were computed on."""

    scores: dict[str, float]
    rows: list[dict[str, Any]]
    dataset: dict[str, Any]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint as plain data; a missing, broken or foreign file is an `InputError`."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such checkpoint; train the run first, or give checkpoint=PATH")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0][:120]})") from error
    if not isinstance(checkpoint, dict) or "deepmatte" not in checkpoint:
        raise InputError(f"{path}: not a checkpoint of deepmatte; give one from a run's checkpoints/ folder")
    return checkpoint


def score(
    config: DictConfig,
    model: MattingModel,
    data: MattingData,
    split: str,
    checkpoint: Mapping[str, Any] | None,
    pictures: Path,
    loggers: Sequence[Logger] = (),
    source: str = "checkpoint",
) -> Scored:
    """Score ``model`` with the weights of ``checkpoint`` (None: as it is) on ``split``; every rank gets all rows.

    ``pictures`` is where input, truth and matte of a few images are saved. The scores are named after ``split``.
    """
    refine = True
    if checkpoint is not None:
        load_weights(model, checkpoint, source)
        refine = bool(checkpoint["deepmatte"]["refine"])
    module = MattingModule(model, stage=Stage(refine=refine), protocol=config.protocol, impose=config.impose_trimap)
    callbacks: list[Callback] = [TestPictures(pictures, config.num_pictures)]
    if sys.stdout.isatty():
        callbacks.append(RichProgressBar(leave=False))
    data.test_split = split
    trainer = build.build_trainer(
        config, logger=list(loggers), callbacks=callbacks, enable_progress_bar=sys.stdout.isatty(), enable_checkpointing=False
    )
    trainer.test(module, data, verbose=False)
    dataset = data.eval_dataset(split)
    scores = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(("test/", "trivial/"))}
    if split != "test":
        scores = {name.replace("test/", f"{split}/"): value for name, value in scores.items()}
    rows = [
        dataset.record(int(row["index"])) | {key: value for key, value in row.items() if key != "index"}
        for row in module.test_metrics.per_image()
    ]
    described = {
        "name": data.source.name,
        "version": data.source.version,
        "split": split,
        "digest": dataset.digest(),
        "num_images": len(rows),
    }
    return Scored(scores, rows, described)
