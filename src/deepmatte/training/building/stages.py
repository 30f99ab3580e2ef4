"""The stages of a run: what each of them trains, in which order and for how long."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from deepmatte.config.length import own_stages
from deepmatte.errors import InputError
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

    def progress(self, done: float) -> tuple[float, float]:
        """Return how much of the run and of the stage is over after ``done`` epochs of the run, up to 1.

        >>> Stage(epochs=2, first_epoch=3, run_epochs=5).progress(3.5)
        (0.7, 0.25)
        """
        return min(1.0, done / self.run_epochs), min(1.0, (done - self.first_epoch) / self.epochs)

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
