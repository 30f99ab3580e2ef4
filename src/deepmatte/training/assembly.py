"""From a configuration to the parts of a run; `deepmatte.config.build` says what a ``_target_`` may be."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from deepmatte.config.build import build, loss_function
from deepmatte.config.validation import Schedule
from deepmatte.data.parallel import num_cores
from deepmatte.errors import InputError, check_arguments
from deepmatte.losses import LossTable
from deepmatte.models import MattingModel
from deepmatte.training.checkpoints import AtomicCheckpointIO
from deepmatte.training.datamodule import MattingData
from deepmatte.training.module import Optimisation, Stage

_NOT_FOR_USERS = (
    "in eval mode at the start of training",  # parts that do not learn in this stage
    "does not have many workers",
    "exists and is not empty",  # Curves goes on with the file
    "smaller than the logging interval",
    "dataloader is not resumable",  # StreamSampler starts where the checkpoint stopped
    "`srun` command is available",  # a job of a sweep starts its ranks by itself also on a cluster
    "isinstance.treespec, LeafSpec",  # Lightning's own calls of torch
    "broadcast_buffers. is deprecated",
    "on epoch level in distributed setting",  # what is logged of an epoch has been joined over the processes
)


def build_model(config: DictConfig) -> MattingModel:
    """Return the network of ``config.model``, its random weights drawn from ``config.seed`` where there is one."""
    pl.seed_everything(config.get("seed", 0), workers=True, verbose=False)
    return build(config.model, "model")


def build_data(config: DictConfig) -> MattingData:
    """Return the data module of ``config.data`` and ``config.composition``."""
    keys = dict(config.data)
    source = build(keys.pop("source"), "data.source")
    for alias in (
        "root",
        "image",
        "alpha",
        "trimap",
        "background",
        "parts",
        "weights",
    ):  # short names that the source's own keys use
        keys.pop(alias, None)
    composition = build(config.composition, "composition")
    plain: dict[str, Any] = {}
    for name, value in keys.items():
        plain[str(name)] = (
            OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        )
    check_arguments(MattingData, plain, "data")
    try:
        return MattingData(source, composition, seed=config.get("seed", 0), **plain)
    except TypeError as error:
        raise InputError(f"data: {error}") from error


def build_losses(config: DictConfig, stage: str) -> LossTable:
    """Return the losses of a stage: ``stages.STAGE.loss`` laid over the base table."""
    base = OmegaConf.to_container(config.loss, resolve=True)
    overlay = OmegaConf.to_container(config.stages[stage].get("loss") or OmegaConf.create({}), resolve=True)
    # Merged outside the configuration's struct: a stage may bring rows of its own, and the table names what
    # it does not know.
    table = OmegaConf.to_container(OmegaConf.merge(base, overlay))
    return LossTable(table, own_terms=loss_function)  # type: ignore[arg-type]


def build_stages(config: DictConfig, model: MattingModel) -> list[Stage]:
    """Return the stages that are switched on, as if none ended early."""
    stages: list[Stage] = []
    plan = config.get("plan")
    if plan is not None and not (isinstance(plan, DictConfig) and set(config.stages) <= set(plan)):
        raise InputError(
            f"plan={plan}: give the epochs of each of {', '.join(map(str, config.stages))}, or null for those of the budget"
        )
    for name, keys in config.stages.items():
        if type(keys.epochs) is not int or keys.epochs < 0:
            raise InputError(
                f"stages.{name}.epochs={keys.epochs}: give a whole number; 0 leaves the stage out"
            )
    total = sum(keys.epochs for keys in config.stages.values())
    if total <= 0:
        raise InputError(
            "stages: every stage has epochs: 0, so nothing would be trained; give one of them epochs"
        )
    for name, keys in config.stages.items():
        for part in keys.learn:
            if part not in model.parts:
                raise InputError(
                    f"stages.{name}.learn: '{part}' is no part of the model; it has {', '.join(model.parts)}"
                )
        if keys.start not in ("last", "best"):
            raise InputError(f"stages.{name}.start={keys.start}: give last or best")
        if keys.epochs > 0:
            first = stages[-1].last_epoch if stages else 0
            stages.append(
                Stage(str(name), tuple(keys.learn), bool(keys.refine), keys.epochs, first, total, keys.start)
            )
    return stages


def build_optimisation(config: DictConfig, stage: Stage) -> Optimisation:
    """Return the optimiser's constructor at the stage's learning rate, and the schedule."""
    rate = config.stages[stage.name].lr
    if rate is not None and not _is_number(rate):
        place = f"stages.{stage.name}.lr={rate}"
        raise InputError(f"{place}: has to be a number, or null for the optimiser's own rate")
    keys: Any = OmegaConf.to_container(config.schedule, resolve=True)
    check_arguments(Schedule, keys, "schedule")
    optimizer = build(OmegaConf.merge(config.optimizer, {} if rate is None else {"lr": rate}), "optimizer")
    _check_numbers(optimizer)
    return Optimisation(optimizer, keys)


def _check_numbers(optimizer: functools.partial[torch.optim.Optimizer]) -> None:
    """Refuse texts where the optimiser takes numbers: torch fails in a comparison, and names no key."""
    parameters = inspect.signature(optimizer.func).parameters
    for key, value in optimizer.keywords.items():
        default = parameters[key].default if key in parameters else None
        if (_is_number(default) or key == "lr") and not _is_number(value):
            raise InputError(f"optimizer.{key}={value}: has to be a number")
        if isinstance(default, tuple):
            fits = (
                isinstance(value, list | tuple) and len(value) == len(default) and all(map(_is_number, value))
            )
            if not fits:
                raise InputError(
                    f"optimizer.{key}={value}: has to be {len(default)} numbers, as {list(default)}"
                )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def quieten() -> None:
    """Keep Lightning's advice to developers away from the users of a finished program."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    for message in _NOT_FOR_USERS:
        warnings.filterwarnings("ignore", f".*{message}.*")


def build_trainer(config: DictConfig, **arguments: Any) -> pl.Trainer:
    """Return a Trainer of ``config.trainer``; ``arguments`` go on top.

    On a CPU it leaves each loader process a core, unless ``OMP_NUM_THREADS`` is set: threads that wait for
    one that has to share its core lose more than they gain (``benchmarks/training.py --threads``).
    """
    keys = OmegaConf.to_container(config.trainer, resolve=True)
    assert isinstance(keys, dict)
    if isinstance(keys.get("strategy"), dict):
        keys["strategy"] = build(keys["strategy"], "trainer.strategy")
    chosen = keys.pop("plugins", None) or []
    plugins = [*(chosen if isinstance(chosen, list) else [chosen]), AtomicCheckpointIO()]
    try:
        trainer = pl.Trainer(
            **keys,
            **arguments,
            plugins=plugins,
            use_distributed_sampler=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except (TypeError, ValueError, MisconfigurationException, RuntimeError) as error:
        raise InputError(f"trainer: {str(error).splitlines()[0]}") from error
    # Its handler of SIGTERM ends a run in the middle of a step, and hangs where not all processes get the
    # signal; see interruption.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    if (
        isinstance(trainer.accelerator, CPUAccelerator)
        and trainer.world_size == 1
        and "OMP_NUM_THREADS" not in os.environ
    ):
        torch.set_num_threads(max(1, num_cores() - config.data.num_workers))
    return trainer
