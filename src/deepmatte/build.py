"""From configuration to objects: the one call of Hydra's `instantiate`, behind a whitelist."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import hydra.utils
import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from deepmatte.data.parallel import num_cores
from deepmatte.datamodule import MattingData
from deepmatte.errors import InputError
from deepmatte.kinds import check_kinds
from deepmatte.losses import LossTable
from deepmatte.models import MattingModel
from deepmatte.module import Optimisation, Stage

ALLOWED_TARGETS = ("deepmatte.", "torch.optim.", "pytorch_lightning.")
"""Prefixes that a ``_target_`` may have; the environment variable DEEPMATTE_ALLOWED_TARGETS adds more, separated by commas."""


def allowed_targets() -> tuple[str, ...]:
    """Return the prefixes that a ``_target_`` may have, those of the environment included."""
    extra = os.environ.get("DEEPMATTE_ALLOWED_TARGETS", "")
    return ALLOWED_TARGETS + tuple(prefix.strip() for prefix in extra.split(",") if prefix.strip())


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


def build(config: DictConfig | dict[str, Any], key: str, **arguments: Any) -> Any:
    """Return the object that ``config`` describes by its ``_target_``; ``key`` is its place in the configuration, for messages.

    Raises:
        InputError: the target is outside the whitelist, can't be found, or does not take these arguments.
    """
    plain = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
    allowed = allowed_targets()
    for place, target, node in _targets(plain, key):
        if not target.startswith(allowed):
            names = ", ".join(allowed)
            raise InputError(
                f"{place}._target_={target}: only targets below {names} may be built (DEEPMATTE_ALLOWED_TARGETS adds prefixes)"
            )
        if target.startswith("deepmatte."):
            with contextlib.suppress(ImportError, InstantiationException):  # a target that is not there is told below
                check_kinds(hydra.utils.get_object(target), node, place)
    options: dict[str, Any] = {"_convert_": "all"}
    parameters = inspect.signature(hydra.utils.instantiate).parameters
    # Newer releases of Hydra ask for a whitelist of their own; its name is known by the installed version's signature.
    for name in ("_target_whitelist_", "_allowlist_", "_whitelist_"):
        if name in parameters:
            options[name] = [prefix + "*" for prefix in allowed]
    try:
        return hydra.utils.instantiate(plain, **options, **arguments)
    except InstantiationException as error:
        cause: BaseException | None = error.__cause__
        while cause is not None and not isinstance(cause, InputError):
            cause = cause.__cause__
        if cause is not None:
            raise cause from error
        reason = str(error.__cause__ or error).splitlines()[0]
        raise InputError(f"{key}: {reason}") from error


def _targets(node: Any, place: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield place, str(node["_target_"]), node
        for name, child in node.items():
            yield from _targets(child, f"{place}.{name}")
    elif isinstance(node, list):
        for child in node:
            yield from _targets(child, place)


def build_model(config: DictConfig) -> MattingModel:
    """Return the network of ``config.model``, its random weights drawn from ``config.seed`` where there is one."""
    pl.seed_everything(config.get("seed", 0), workers=True, verbose=False)
    return build(config.model, "model")


def build_data(config: DictConfig) -> MattingData:
    """Return the data module of ``config.data`` and ``config.composition``."""
    keys = dict(config.data)
    source = build(keys.pop("source"), "data.source")
    for alias in ("root", "image", "alpha", "trimap", "background", "parts", "weights"):  # short names that the source's own keys use
        keys.pop(alias, None)
    composition = build(config.composition, "composition")
    plain: Any = OmegaConf.to_container(OmegaConf.create(keys), resolve=True)
    check_kinds(MattingData, plain, "data")
    try:
        return MattingData(source, composition, seed=config.get("seed", 0), **plain)
    except TypeError as error:
        raise InputError(f"data: {error}") from error


def build_losses(config: DictConfig, stage: str) -> LossTable:
    """Return the losses of a stage: ``stages.STAGE.loss`` laid over the base table."""
    base = OmegaConf.to_container(config.loss, resolve=True)
    overlay = OmegaConf.to_container(config.stages[stage].get("loss") or OmegaConf.create({}), resolve=True)
    # Merged outside the configuration's struct: a stage may bring rows of its own, and the table names what it does not know.
    table = OmegaConf.to_container(OmegaConf.merge(base, overlay))
    return LossTable(table, allowed_modules=[prefix.rstrip(".") for prefix in allowed_targets()])  # type: ignore[arg-type]


def build_stages(config: DictConfig, model: MattingModel) -> list[Stage]:
    """Return the stages that are switched on, as if none ended early."""
    stages: list[Stage] = []
    plan = config.get("plan")
    if plan is not None and not (isinstance(plan, DictConfig) and set(config.stages) <= set(plan)):
        raise InputError(f"plan={plan}: give the epochs of each of {', '.join(map(str, config.stages))}, or null for those of the budget")
    for name, keys in config.stages.items():
        if type(keys.epochs) is not int or keys.epochs < 0:
            raise InputError(f"stages.{name}.epochs={keys.epochs}: give a whole number; 0 leaves the stage out")
    total = sum(keys.epochs for keys in config.stages.values())
    if total <= 0:
        raise InputError("stages: every stage has epochs: 0, so nothing would be trained; give one of them epochs")
    for name, keys in config.stages.items():
        for part in keys.learn:
            if part not in model.parts:
                raise InputError(f"stages.{name}.learn: '{part}' is no part of the model; it has {', '.join(model.parts)}")
        if keys.start not in ("last", "best"):
            raise InputError(f"stages.{name}.start={keys.start}: give last or best")
        if keys.epochs > 0:
            first = stages[-1].last_epoch if stages else 0
            stages.append(Stage(str(name), tuple(keys.learn), bool(keys.refine), keys.epochs, first, total, keys.start))
    return stages


def build_optimisation(config: DictConfig, stage: Stage) -> Optimisation:
    """Return the optimiser's constructor at the stage's learning rate, and the schedule."""
    rate = config.stages[stage.name].lr
    overlay = {} if rate is None else {"lr": rate}
    return Optimisation(
        build(OmegaConf.merge(config.optimizer, overlay), "optimizer"), OmegaConf.to_container(config.schedule, resolve=True)
    )


def quieten() -> None:
    """Keep Lightning's advice to developers away from the users of a finished program."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    for message in _NOT_FOR_USERS:
        warnings.filterwarnings("ignore", f".*{message}.*")


def build_trainer(config: DictConfig, **arguments: Any) -> pl.Trainer:
    """Return a Trainer of ``config.trainer``; ``arguments`` go on top.

    On a CPU it leaves each loader process a core, unless ``OMP_NUM_THREADS`` is set: threads that wait for one that has to share its
    core lose more than they gain (``benchmarks/training.py --threads``).
    """
    keys = OmegaConf.to_container(config.trainer, resolve=True)
    assert isinstance(keys, dict)
    if isinstance(keys.get("strategy"), dict):
        keys["strategy"] = build(keys["strategy"], "trainer.strategy")
    try:
        trainer = pl.Trainer(**keys, **arguments, use_distributed_sampler=False, enable_model_summary=False, num_sanity_val_steps=0)
    except (TypeError, ValueError, MisconfigurationException, RuntimeError) as error:
        raise InputError(f"trainer: {str(error).splitlines()[0]}") from error
    # Its handler of SIGTERM ends a run in the middle of a step, and hangs where not all processes get the signal; see interruption.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    if isinstance(trainer.accelerator, CPUAccelerator) and trainer.world_size == 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, num_cores() - config.data.num_workers))
    return trainer
