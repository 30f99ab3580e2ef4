"""The parts of a run, built from its configuration; `config.build` says what a ``_target_`` may be."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torchmetrics import Metric

from deepmatte.config.build import build, loss_function
from deepmatte.config.places import conf_dir
from deepmatte.data.parallel import num_cores
from deepmatte.errors import InputError, check_arguments
from deepmatte.losses import LossTable
from deepmatte.models import MattingModel
from deepmatte.runs.identity import config_hash
from deepmatte.training.acceleration import acceleration
from deepmatte.training.building.optimisation import build_optimisation
from deepmatte.training.building.stages import Stage
from deepmatte.training.checkpoints.files import AtomicCheckpointIO
from deepmatte.training.datamodule import MattingData
from deepmatte.training.module import MattingModule

SOURCE_NAMES = (
    "root",
    "image",
    "alpha",
    "trimap",
    "background",
    "captured_background",
    "parts",
    "weights",
)
"""Keys of ``data`` that are short names, to which the keys of ``data.source`` refer."""

_NOT_FOR_USERS = (
    "in eval mode at the start of training",  # parts that do not learn in this stage
    "does not have many workers",
    "exists and is not empty",  # Curves continues the file
    "smaller than the logging interval",
    "dataloader is not resumable",  # StreamSampler starts where the checkpoint stopped
    "`srun` command is available",  # a job of a sweep starts its ranks itself, on a cluster too
    "isinstance.treespec, LeafSpec",  # Lightning's own calls of torch
    "broadcast_buffers. is deprecated",
    "was called before the ``update`` method",  # val/loss, where a term has no part in validation
    "on epoch level in distributed setting",  # what is logged of an epoch has been joined over the processes
)


def seed_process(config: DictConfig) -> None:
    """Seed all generators of this process, for the random weights of `build_model`, and of its loaders."""
    pl.seed_everything(config.seed, workers=True, verbose=False)


def build_model(config: DictConfig) -> MattingModel:
    """Return the network of ``config.model``, its random weights drawn from PyTorch's generator."""
    return build(config.model, "model")


def build_data(config: DictConfig) -> MattingData:
    """Return the data module of ``config.data`` and ``config.composition``."""
    keys = dict(config.data)
    source = build(keys.pop("source", None), "data.source")
    for name in SOURCE_NAMES:
        keys.pop(name, None)
    composition = build(config.composition, "composition")
    plain: dict[str, Any] = {
        str(name): OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        for name, value in keys.items()
    }
    check_arguments(MattingData, plain, "data")
    try:
        return MattingData(source, composition, seed=config.get("seed", 0), **plain)
    except TypeError as error:
        raise InputError(f"data: {error}") from error


def build_losses(config: DictConfig, stage: str) -> LossTable:
    """Return the losses of a stage: ``stages.STAGE.loss`` laid over the base table."""
    base = OmegaConf.to_container(config.loss, resolve=True)
    own = config.stages[stage].get("loss") or OmegaConf.create({})
    if not isinstance(own, DictConfig):
        raise InputError(
            f"stages.{stage}.loss={own}: has to be keys with values, as {{alpha: {{weight: 1}}}}"
        )
    overlay = OmegaConf.to_container(own, resolve=True)
    # Merged outside the configuration's struct: a stage may bring rows of its own, and the table names what
    # it does not know.
    table = OmegaConf.to_container(OmegaConf.merge(base, overlay))
    return LossTable(table, own_terms=loss_function)  # type: ignore[arg-type]


def build_module(
    config: DictConfig, model: MattingModel, stage: Stage, losses: LossTable | None = None
) -> MattingModule:
    """Return the module that trains ``model`` in ``stage``; ``losses`` are built where they are not given."""
    return MattingModule(
        model,
        losses or build_losses(config, stage.name),
        stage,
        build_optimisation(config, stage),
        protocol=config.protocol,
        impose=config.impose_trimap,
        identity={"model": config.model._target_, "config_hash": config_hash(config)},
    )


def build_loggers(config: DictConfig) -> dict[str, Any]:
    """Return of each program of ``config.logger`` what makes its logger of a run (`tracking.tracker`).

    ``csv`` is left out, since a run writes its curves in any case, and so is W&B where it is disabled.
    """
    chosen = _entries(config, "logger", "wandb")
    off = {"csv"} | ({"wandb"} if config.wandb.mode == "disabled" else set())
    return {name: build(node, f"logger.{name}") for name, node in chosen.items() if name not in off}


def build_callbacks(config: DictConfig) -> list[Callback]:
    """Return the callbacks of ``config.callbacks``, in its order."""
    chosen = _entries(config, "callbacks", "default")
    return [build(node, f"callbacks.{name}") for name, node in chosen.items()]


def build_metrics(config: DictConfig) -> dict[str, Metric]:
    """Return the user's own metrics by name."""
    return {
        name: build(node, f"metrics.{name}") for name, node in _entries(config, "metrics", "none").items()
    }


def _entries(config: DictConfig, group: str, usual: str) -> dict[str, Any]:
    """Return the entries of a group that are not null; old run directories have the ``usual`` choice."""
    chosen = config.get(group)
    if group not in config:
        chosen = OmegaConf.load(conf_dir() / group / f"{usual}.yaml")
    if not isinstance(chosen, DictConfig):
        raise InputError(f"{group}={chosen}: has to be keys with values; choose a file of conf/{group}/")
    return {str(name): node for name, node in chosen.items() if node is not None}


def quieten() -> None:
    """Keep Lightning's advice to developers away from the users of a finished program."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    for message in _NOT_FOR_USERS:
        warnings.filterwarnings("ignore", f".*{message}.*")


def build_trainer(config: DictConfig, **arguments: Any) -> pl.Trainer:
    """Return a Trainer of ``config.trainer`` without `Acceleration`; ``arguments`` override its keys.

    Raises:
        InputError: Lightning takes a key or its value for wrong.
    """
    own = set(type(acceleration(config)).model_fields)
    plain: Any = OmegaConf.to_container(config.trainer, resolve=True)
    keys = {name: value for name, value in plain.items() if name not in own}
    if isinstance(keys.get("strategy"), dict):
        keys["strategy"] = build(keys["strategy"], "trainer.strategy")
    chosen = keys.pop("plugins", None) or []
    plugins = [*(chosen if isinstance(chosen, list) else [chosen]), AtomicCheckpointIO()]
    fixed: Any = {"use_distributed_sampler": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    try:
        trainer = pl.Trainer(**keys, **arguments, **fixed, plugins=plugins)
    except (TypeError, ValueError, MisconfigurationException, RuntimeError) as error:
        raise InputError(f"trainer: {str(error).splitlines()[0]}") from error
    # Its handler of SIGTERM ends a run in the middle of a step, and hangs where not all processes get the
    # signal; see interruption.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def num_processes(config: DictConfig) -> int:
    """Return on how many processes ``config.trainer`` runs; what its keys mean, Lightning alone can say.

    Raises:
        InputError: as `build_trainer`.
    """
    quiet: Any = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return build_trainer(config, **quiet).world_size


def leave_cores_to_loaders(trainer: pl.Trainer, num_workers: int) -> None:
    """Let PyTorch use the cores that the loader processes leave, where it computes on the CPU.

    ``OMP_NUM_THREADS`` wins. Threads that wait for one that has to share its core lose more than they gain
    (``benchmarks/training.py --threads``).
    """
    alone = isinstance(trainer.accelerator, CPUAccelerator) and trainer.world_size == 1
    if alone and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, num_cores() - num_workers))
