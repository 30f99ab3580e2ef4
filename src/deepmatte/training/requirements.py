"""Whether model, losses and data fit one another: found before a run starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omegaconf import DictConfig, OmegaConf

from deepmatte.errors import InputError
from deepmatte.losses import LossTable
from deepmatte.models import MattingModel
from deepmatte.training.datamodule import MattingData
from deepmatte.training.stages import Stage


def check_inputs(model: MattingModel, data: MattingData, splits: Sequence[str]) -> None:
    """Refuse a model that reads what the samples of a split do not have.

    Raises:
        InputError: it names the first such key.
    """
    for split in splits:
        for key in model.reads:
            if key not in data.serves(split):
                raise InputError(
                    f"model: {type(model).__name__} reads {key}, which the {split} data of "
                    f"{data.source.name} does not have; choose data that has it, or a model that reads less"
                )


def check_losses(
    losses: Mapping[str, LossTable],
    stages: Sequence[Stage],
    model: MattingModel,
    data: MattingData,
    objective: str,
) -> None:
    """Refuse losses that data and model can't serve, and a critic that learns without a loss.

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
    for stage in stages:
        table = losses[stage.name]
        table.check((*data.serves("train"), *model.critics))
        table.check_outputs(model.gives)
        if objective == "val/loss":
            table.refuse_critics("objective=val/loss")
            table.check(data.serves("val"), "the validation data")
        for critic in model.critics:
            if critic in stage.learn and not table.reads(critic):
                cure = f"leave it out, or set the weight of a term that reads the {critic}"
                raise InputError(f"stages.{stage.name}.learn: no loss reads the {critic}; {cure}")


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
