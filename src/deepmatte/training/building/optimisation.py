"""How a stage is optimised: the optimiser, learning rates by part and layer, the schedule, the clipping."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
)

from deepmatte.config.build import build
from deepmatte.config.validation import Schedule
from deepmatte.errors import InputError, check_arguments
from deepmatte.models import MattingModel
from deepmatte.training.building.stages import Stage


@dataclass(frozen=True)
class Optimisation:
    """How parts are optimised.

    Attributes:
        optimizer: a constructor of the optimiser.
        schedule: the keys of ``schedule``.
        rates: learning rates of parts that have one of their own, by the part's name.
        layer_decay: the factor from one layer to the layer below it (`MattingModel.layers_above`); None
            gives all layers the rate of their part.
    """

    optimizer: Callable[..., torch.optim.Optimizer] | None = None
    schedule: Mapping[str, Any] = field(default_factory=lambda: {"name": "constant"})
    rates: Mapping[str, float] = field(default_factory=dict)
    layer_decay: float | None = None

    def build(self, model: MattingModel) -> torch.optim.Optimizer:
        """Return the optimiser of the parameters that learn.

        There is one group of parameters, or one for each part (and layer) that has a rate of its own, under
        the part's name.
        """
        assert self.optimizer is not None
        learning = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        if not self.rates and self.layer_decay is None:
            return self.optimizer(list(learning.values()))
        groups: dict[tuple[str, int], list[Tensor]] = {}
        for name, weight in learning.items():
            part, above = name.partition(".")[0], 0 if self.layer_decay is None else model.layers_above(name)
            groups.setdefault((part if part in self.rates else "others", above), []).append(weight)
        optimizer = self.optimizer(
            [
                {"params": weights, "name": f"{part}/{above}" if above else part}
                for (part, above), weights in groups.items()
            ]
        )
        for (part, above), group in zip(groups, optimizer.param_groups, strict=True):
            group["lr"] = self.rates.get(part, group["lr"]) * (self.layer_decay or 1.0) ** above
        return optimizer

    def check(self, model: MattingModel, place: str) -> None:
        """Refuse options that the optimiser or the schedule does not take.

        Args:
            model: what would be optimised; it is left as it is.
            place: names the stage for the message.
        """
        if self.layer_decay is not None and not any(
            model.layers_above(name) for name, _ in model.named_parameters()
        ):
            cure = "set it to null"
            raise InputError(f"{place}.layer_decay: {type(model).__name__} has no stack of layers; {cure}")
        try:
            schedule(self.build(model), 10, **self.schedule)
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(f"optimizer, schedule or {place}.lr: {error}") from error


def build_optimisation(config: DictConfig, stage: Stage) -> Optimisation:
    """Return the optimiser's constructor at the stage's learning rate, and the schedule.

    Raises:
        InputError: a rate is no number, or of a part that does not learn in the stage.
    """
    own = config.stages[stage.name]
    place, rate, decay = f"stages.{stage.name}", own.get("lr"), own.get("layer_decay")
    rates = _rates(rate, stage, f"{place}.lr") if OmegaConf.is_dict(rate) else {}
    if rate is not None and not rates and not _is_number(rate):
        kinds = "a number, a number for each part, or null for the optimiser's own rate"
        raise InputError(f"{place}.lr={rate}: has to be {kinds}")
    if decay is not None and not (_is_number(decay) and 0 < decay <= 1):
        raise InputError(f"{place}.layer_decay={decay}: has to be a number above 0, at most 1, or null")
    keys: Any = OmegaConf.to_container(config.schedule, resolve=True)
    check_arguments(Schedule, keys, "schedule")
    settings: Any = OmegaConf.merge(config.optimizer, {} if rate is None or rates else {"lr": rate})
    optimizer = build(settings, "optimizer")
    _check_numbers(optimizer)
    return Optimisation(optimizer, keys, rates, decay)


def _rates(rates: DictConfig, stage: Stage, key: str) -> dict[str, float]:
    """Return the learning rates of parts, checked."""
    for part, rate in ((str(key), value) for key, value in rates.items()):
        if part not in stage.learn:
            there = f"it learns {', '.join(stage.learn)}" if stage.learn else "the model names no parts"
            raise InputError(f"{key}.{part}: does not learn in this stage; {there}")
        if not _is_number(rate) or rate < 0:
            raise InputError(f"{key}.{part}={rate}: has to be a number, 0 or more")
    return {str(part): float(rate) for part, rate in rates.items()}


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

    It is a factor on the rate of every group of parameters. ``warmup``, ``milestones`` are fractions of the
    steps; ``final`` is the last rate of ``cosine`` as a fraction of the first.
    """
    warm = min(round(warmup * steps), steps - 1)
    rest = max(steps - warm, 1)
    after: LRScheduler
    if name == "cosine":
        after = Cosine(optimizer, rest, final)
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


class Cosine(CosineAnnealingLR):
    """Half a cosine down to a fraction of each group's own rate; PyTorch's has one floor for all groups."""

    def __init__(self, optimizer: torch.optim.Optimizer, steps: int, final: float) -> None:
        self.final = final
        super().__init__(optimizer, steps)

    def get_lr(self) -> list[Any]:
        """Return the next rate of each group."""
        rates = []
        for number, first in enumerate(self.base_lrs):
            self.eta_min = self.final * float(first)
            rates.append(super().get_lr()[number])
        return rates


def clip(players: Iterable[Iterable[Tensor]], limit: float, by_value: bool) -> None:
    """Clip the gradients of each set of parameters alone, by their norm over all of the set or by value.

    So no set's gradient has a say in how much another one's is shortened.
    """
    for parameters in players:
        if by_value:
            torch.nn.utils.clip_grad_value_(parameters, limit)
        else:
            torch.nn.utils.clip_grad_norm_(parameters, limit)
