"""Score a model on a split: the one path of `train` and `evaluate`, networks and classical methods."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from matplotlib.figure import Figure
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.loggers import Logger

from deepmatte.data.datasets import FixedCompositionDataset, ImageDataset
from deepmatte.files import write_bytes, write_text
from deepmatte.metrics.diagnostics import diagnostics_figure, plates_figure, robustness_figure
from deepmatte.metrics.functional.diagnostics import Table
from deepmatte.metrics.functional.plates import DISTURBANCES, Disturbance
from deepmatte.models import MattingModel
from deepmatte.models.tiled import TiledModel
from deepmatte.models.weights import load_weights
from deepmatte.runs import interruption
from deepmatte.runs.directory import RunDir
from deepmatte.training.acceleration import accelerate
from deepmatte.training.building import from_config
from deepmatte.training.building.requirements import check_inputs
from deepmatte.training.building.stages import Stage
from deepmatte.training.callbacks import TestPictures
from deepmatte.training.checkpoints.files import read_checkpoint
from deepmatte.training.datamodule import MattingData
from deepmatte.training.module import MattingModule
from deepmatte.training.own_scores import OwnScores


@dataclass(frozen=True)
class Scored:
    """Mean scores ``test/*`` and ``trivial/test/*``, one row an image, the data set, and where the error is.

    ``curve`` has one row a radius by which the unknown zone was widened, ``plates`` one a disturbance of the
    captured background, which only models that read one have; both are empty where that was not asked for.
    ``metrics`` has unit and direction of the user's own.
    """

    scores: dict[str, float]
    rows: list[dict[str, Any]]
    dataset: dict[str, Any]
    diagnostics: dict[str, Table]
    curve: list[dict[str, float]]
    plates: list[dict[str, Any]]
    metrics: dict[str, dict[str, Any]]

    def draw(self, folder: Path, label: str) -> None:
        """Write ``diagnostics.png`` and, of a curve, ``robustness.png`` and its numbers beside ``folder``."""
        _save(diagnostics_figure({label: self.diagnostics}), folder / "diagnostics.png")
        if self.curve:
            _save(robustness_figure({label: self.curve}), folder / "robustness.png")
            _write_table(self.curve, folder.parent / "robustness.csv")
        if self.plates:
            _save(plates_figure({label: self.plates}), folder / "plates.png")
            _write_table(self.plates, folder.parent / "plates.csv")


def _write_table(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows of numbers and words as CSV, with six digits."""
    shown = ([f"{v:.6g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows)
    write_text(path, "\n".join(",".join(line) for line in ([*rows[0]], *shown)) + "\n")


def _save(figure: Figure, path: Path) -> None:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    write_bytes(path, buffer.getvalue())


def model_of_run(
    directory: RunDir, settings: DictConfig, checkpoint: str
) -> tuple[MattingModel, dict[str, Any], str]:
    """Return the untrained model of ``settings``, a checkpoint (best, last or a path), and its path."""
    path = (
        directory.checkpoints / f"{checkpoint}.ckpt" if checkpoint in ("best", "last") else Path(checkpoint)
    )
    weights = read_checkpoint(path)
    if settings.model.get("pretrained") is not None:  # a model of a user's own need not know the word
        if settings.model.get("norm", "batch") is None:
            settings.model.norm = "frozen"  # what null stands for beside pretrained weights
        settings.model.pretrained = None
    return from_config.build_model(settings), weights, str(path)


def conditions(config: DictConfig, reads: Sequence[str], split: str = "test") -> dict[str, Any]:
    """Return what scores depend on beside the model and the data set's name, as ``result.json`` records it.

    ``impose_trimap`` is None where the model does not read one (``reads``), since nothing is imposed then.
    ``trimap`` has the pattern of the data set's own trimaps (``given``; None where it has none) and how
    those of composites are made (``composites``). ``data_root`` is the folder of the data; None for data
    without one.
    """
    source = config.data.get("source") or {}
    own = source.get(split)
    place = source.get(own) if isinstance(own, str) else own  # a split may have the pictures of another one
    given = (place or {}).get("trimap", source.get("trimap"))
    root = source.get("root")
    return {
        "impose_trimap": bool(config.impose_trimap) if "trimap" in reads else None,
        "trimap": {
            "given": None if given is None else str(given),
            "composites": str((config.get("composition") or {}).get("trimap", "kernels")),
        },
        "data_root": None if root is None else str(root),
    }


def score(
    config: DictConfig,
    model: MattingModel,
    data: MattingData,
    split: str,
    checkpoint: Mapping[str, Any] | None,
    pictures: Path,
    loggers: Sequence[Logger] = (),
    source: str = "checkpoint",
    radii: Sequence[int] = (),
    tile: int = 0,
    trained: Mapping[str, Any] | None = None,
) -> Scored:
    """Score ``model`` with the weights of ``checkpoint`` (None: its own); every rank has all rows.

    ``pictures`` is where input, truth and matte of a few images are saved. The scores are named after
    ``split``. ``tile`` is 0 for whole images, or the side of tiles (`TiledModel`). ``loggers``
    record the scores at the step and epoch of the checkpoint ``trained``, at 0 without one.

    Raises:
        InputError: the model reads what the data does not have, or the checkpoint is of another model.
    """
    data.guide_for(model, [split])
    check_inputs(model, data, [split])
    own = OwnScores(config, data, split)
    refine = True
    if checkpoint is not None:
        load_weights(model, checkpoint, source)
        refine = bool(checkpoint["deepmatte"]["refine"])
    how: dict[str, Any] = {"protocol": config.protocol, "impose": config.impose_trimap, "radii": radii}
    how["disturbances"] = DISTURBANCES if radii and "captured_background" in model.reads else ()
    colours = "foreground" in model.gives and "foreground" in data.serves(split)
    accelerate(model, config)
    scored = TiledModel(model, tile, skip_known=bool(config.impose_trimap)) if tile else model
    module = MattingModule(scored, stage=Stage(refine=refine), **how, colours=colours)
    callbacks: list[Callback] = [TestPictures(pictures, config.num_pictures), own]
    trainer = _trainer(config, callbacks, loggers, trained)
    from_config.leave_cores_to_loaders(trainer, config.data.num_workers)
    loader = data.eval_loader(split, trainer.global_rank, trainer.world_size)
    with interruption.at_once_afterwards():
        trainer.test(module, loader, verbose=False)
    exact = module.exact  # float64, where Lightning's own record of them is float32
    scores = {
        name.replace("test/", f"{split}/"): value
        for name, value in exact.items()
        if name.startswith(("test/", "trivial/"))
    }
    scores |= own.scores(split)
    rows = _rows(module, data.eval_dataset(split), own.rows)
    described = _described(module, data, split, len(rows))
    curve = [_widened(exact, radius, module.test_metrics.scores) for radius in radii]
    plates = _disturbed(exact, how["disturbances"], module.test_metrics.scores)
    return Scored(scores, rows, described, module.diagnostics.compute(), curve, plates, own.declared)


def _trainer(
    config: DictConfig,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    trained: Mapping[str, Any] | None,
) -> pl.Trainer:
    """Return a trainer for a test, which stands where the training of a checkpoint ended."""
    shown = sys.stdout.isatty()
    trainer = from_config.build_trainer(
        config,
        logger=list(loggers),
        callbacks=[*callbacks, *[RichProgressBar(leave=False)] * shown],
        enable_progress_bar=shown,
        enable_checkpointing=False,
    )
    if trained is not None:
        trainer.fit_loop.load_state_dict(trained["loops"]["fit_loop"])
    return trainer


def _described(module: MattingModule, data: MattingData, split: str, num_images: int) -> dict[str, Any]:
    """Return what ``result.json`` says of the data that were scored."""
    return {
        "name": data.source.name,
        "version": data.source.version,
        "split": split,
        "digest": data.eval_dataset(split).digest(),
        "num_images": num_images,
        "num_images_without_unknown": module.test_metrics.num_images_without_unknown,
    }


def _rows(
    module: MattingModule, dataset: FixedCompositionDataset | ImageDataset, own: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return what is known of each image: what it is, its scores and where its error is."""
    kinds = [own, module.diagnostics.per_image(), module.colours.per_image() if module.colours else []]
    extra: dict[Any, dict[str, Any]] = {}
    for found in (found for rows in kinds for found in rows):
        extra[found["index"]] = extra.get(found["index"], {}) | found
    rows = [
        dataset.record(int(row["index"])) | {**row, **extra[row["index"]]}
        for row in module.test_metrics.per_image()
    ]
    for row in rows:
        del row["index"]
    return rows


def _widened(logged: Mapping[str, float], radius: int, metrics: Iterable[str]) -> dict[str, float]:
    """Return the scores with the unknown zone widened by ``radius`` pixels: one row of the curve."""
    return {
        "radius": float(radius),
        **{metric: logged[f"widened/{radius}/test/{metric}"] for metric in metrics},
    }


def _disturbed(
    logged: Mapping[str, float], disturbances: Iterable[Disturbance], metrics: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the scores with each disturbance of the captured background."""
    return [
        {
            "disturbance": each.kind,
            "amount": float(each.amount),
            **{metric: logged[f"disturbed/{each.name}/test/{metric}"] for metric in metrics},
        }
        for each in disturbances
    ]
