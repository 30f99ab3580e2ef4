"""Whether model, losses and data fit one another: found before a run starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omegaconf import DictConfig, OmegaConf

from deepmatte.batch import CURES
from deepmatte.errors import InputError
from deepmatte.losses import LossTable
from deepmatte.models import MattingModel
from deepmatte.training.building.stages import Stage
from deepmatte.training.datamodule import MattingData


def check_inputs(model: MattingModel, data: MattingData, splits: Sequence[str]) -> None:
    """Refuse a model that reads what the samples of a split do not have.

    Raises:
        InputError: it names the first such key, and the cure.
    """
    for split in splits:
        for key in model.reads:
            if key not in data.serves(split):
                cure = CURES.get(key, "choose data that has it, or a model that reads less")
                raise InputError(
                    f"model: {type(model).__name__} reads {key}, which the {split} data of "
                    f"{data.source.name} does not have; {cure}"
                )


def check_losses(
    losses: Mapping[str, LossTable],
    stages: Sequence[Stage],
    model: MattingModel,
    data: MattingData,
    objective: str,
) -> None:
    """Refuse losses that data and model can't serve, and a critic that has a say before it learns.

    On validation data losses matter only as the objective.

    Args:
        losses: those of each stage, by its name.
        stages: the stages of the run.
        model: what is trained.
        data: what it is trained on.
        objective: the score that chooses the best checkpoint.

    Raises:
        InputError: it names the term or the stage, and the cure.
    """
    taught: set[str] = set()
    for stage in stages:
        table = losses[stage.name]
        table.check((*data.serves("train"), *model.critics))
        table.check_outputs(model.gives)
        if objective == "val/loss":
            table.refuse_critics("objective=val/loss")
            table.check(data.serves("val"), "the validation data")
        taught |= {critic for row in table.rows for critic in row.teaches if critic in stage.learn}
        for row in table.rows:
            for critic in set(row.reads) & set(model.critics) - taught:
                cure = f"set loss.{critic}.weight=1, or loss.{row.name}.weight=0"
                raise InputError(
                    f"loss.{row.name}: in stage {stage.name} no {critic} has learned yet; {cure}"
                )


def check_sharding(model: MattingModel, config: DictConfig) -> None:
    """Refuse what weights that are sharded over GPUs don't allow.

    Raises:
        InputError: it names the key.
    """
    strategy = config.trainer.get("strategy")
    if not (OmegaConf.is_dict(strategy) and str(strategy.get("_target_")).endswith("FSDPStrategy")):
        return
    if config.get("ema"):
        raise InputError(f"ema={config.ema}: averages whole weights, trainer=fsdp shards them; ema=null")
    if model.critics and config.trainer.get("gradient_clip_val"):
        raise InputError(
            f"trainer.gradient_clip_val: trainer=fsdp can't clip the {model.critics[0]}'s gradient alone; "
            "set it to null, or choose trainer=ddp"
        )
