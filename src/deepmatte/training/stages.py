"""The stages of a run: what each of them trains, for how long, and how it is optimised."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
)

from deepmatte.config.build import build
from deepmatte.config.length import own_stages
from deepmatte.config.validation import Schedule
from deepmatte.errors import InputError, check_arguments
from deepmatte.losses import LossTable
from deepmatte.models import MattingModel


@dataclass(frozen=True)
class Stage:
    """What one stage of a run trains: which parts learn, whether the refiner runs, and when it takes place.

    ``first_epoch`` counts over the whole run, so that curves and the sample stream continue from stage to
    stage; ``run_epochs`` is the length of all stages together, and ``start`` says which checkpoint of the
    stage before is taken over: last or best.
    """

    name: str = "joint"
    learn: tuple[str, ...] = ()
    refine: bool = True
    epochs: int = 1
    first_epoch: int = 0
    run_epochs: int = 1
    start: str = "last"

    @property
    def last_epoch(self) -> int:
        """The epoch at which the stage is over."""
        return self.first_epoch + self.epochs

    def freeze_others(self, model: MattingModel) -> None:
        """Give gradients to the parts of ``model`` that learn, and to no other part."""
        for part in model.parts:
            getattr(model, part).requires_grad_(part in self.learn)


def plan_stages(config: DictConfig, model: MattingModel) -> list[Stage]:
    """Return the stages that have epochs, in order, as if none ended early.

    Raises:
        InputError: a key of a stage does not fit, or no stage has epochs.
    """
    names = own_stages(config.stages)
    for name in names:
        epochs = config.stages[name].get("epochs")
        if type(epochs) is not int or epochs < 0:
            share = f"${{deepmatte.epochs:{name}}} is its share of length.epochs"
            raise InputError(f"stages.{name}.epochs={epochs}: give a whole number; {share}, 0 leaves it out")
    total = sum(config.stages[name].epochs for name in names)
    if total == 0:
        raise InputError(
            "stages: every stage has epochs: 0, so nothing would be trained; give one of them epochs"
        )
    stages: list[Stage] = []
    for name in names:
        keys = config.stages[name]
        if keys.epochs > 0:
            stages.append(
                Stage(
                    name=name,
                    learn=_parts(keys.learn, model, f"stages.{name}.learn"),
                    refine=bool(keys.get("refine", True)),
                    epochs=keys.epochs,
                    first_epoch=stages[-1].last_epoch if stages else 0,
                    run_epochs=total,
                    start=keys.get("start", "last"),
                )
            )
            if stages[-1].start not in ("last", "best"):
                raise InputError(f"stages.{name}.start={keys.start}: give last or best")
    return stages


def without_idle_critics(
    stages: Sequence[Stage], model: MattingModel, losses: Mapping[str, LossTable]
) -> list[Stage]:
    """Return the stages with the critics only where a loss of the stage teaches them.

    Any loss then trains any model: one without an adversarial term, its generator alone.
    """
    return [
        dataclasses.replace(
            stage,
            learn=tuple(
                part for part in stage.learn if part not in model.critics or losses[stage.name].teaches(part)
            ),
        )
        for stage in stages
    ]


def _parts(learn: Any, model: MattingModel, key: str) -> tuple[str, ...]:
    """Return the parts that learn: those of a list, or ``all``."""
    if learn == "all":
        return model.parts
    if not OmegaConf.is_list(learn):
        raise InputError(f"{key}={learn}: give a list of the model's parts, or all")
    for part in learn:
        if part not in model.parts:
            there = f"it has {', '.join(model.parts)}" if model.parts else "it names none"
            raise InputError(
                f"{key}: '{part}' is no part of the model; {there}; stages=joint trains all in one stage"
            )
    return tuple(learn)


@dataclass(frozen=True)
class Optimisation:
    """How parts are optimised: a constructor of the optimiser, and the keys of ``schedule``."""

    optimizer: Callable[..., torch.optim.Optimizer] | None = None
    schedule: Mapping[str, Any] = field(default_factory=lambda: {"name": "constant"})

    def check(self, model: nn.Module, place: str) -> None:
        """Refuse options that the optimiser or the schedule does not take.

        Args:
            model: what would be optimised; it is left as it is.
            place: names the stage for the message.
        """
        assert self.optimizer is not None
        try:
            schedule(self.optimizer(model.parameters()), 10, **self.schedule)
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(f"optimizer, schedule or {place}.lr: {error}") from error


def build_optimisation(config: DictConfig, stage: Stage) -> Optimisation:
    """Return the optimiser's constructor at the stage's learning rate, and the schedule."""
    rate = config.stages[stage.name].get("lr")
    if rate is not None and not _is_number(rate):
        place = f"stages.{stage.name}.lr={rate}"
        raise InputError(f"{place}: has to be a number, or null for the optimiser's own rate")
    keys: Any = OmegaConf.to_container(config.schedule, resolve=True)
    check_arguments(Schedule, keys, "schedule")
    settings: Any = OmegaConf.merge(config.optimizer, {} if rate is None else {"lr": rate})
    optimizer = build(settings, "optimizer")
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
            is_list = isinstance(value, list | tuple) and len(value) == len(default)
            if not (is_list and all(map(_is_number, value))):
                raise InputError(
                    f"optimizer.{key}={value}: has to be {len(default)} numbers, as {list(default)}"
                )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def schedule(
    optimizer: torch.optim.Optimizer,
    steps: int,
    name: str = "cosine",
    warmup: float = 0.0,
    final: float = 0.0,
    milestones: tuple[float, ...] = (0.5, 0.75),
    gamma: float = 0.1,
) -> LRScheduler:
    """Return a learning-rate schedule over ``steps`` optimiser steps, made of PyTorch's own schedulers.

    ``warmup``, ``milestones`` are fractions of the steps; ``final`` is the last rate of ``cosine`` as a
    fraction of the first.
    """
    warm = min(round(warmup * steps), steps - 1)
    rest = max(steps - warm, 1)
    after: LRScheduler
    if name == "cosine":
        after = CosineAnnealingLR(optimizer, rest, eta_min=final * optimizer.param_groups[0]["lr"])
    elif name == "step":
        ends = [round(fraction * steps) - warm for fraction in milestones]
        after = MultiStepLR(optimizer, ends, gamma=gamma)
    elif name == "constant":
        after = LambdaLR(optimizer, lambda _: 1.0)
    else:
        raise InputError(f"schedule.name={name}: choose one of cosine, step, constant")
    if warm == 0:
        return after
    rise = LinearLR(optimizer, 1 / (warm + 1), total_iters=warm)
    return SequentialLR(optimizer, [rise, after], milestones=[warm])
