"""The keys that a run, an evaluation or a sweep reads itself, as pydantic models. Nothing here imports torch.

The arguments of models, sources, recipes, methods and loss terms are checked by their own signatures
(`deepmatte.errors.check_arguments`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, Interval, MinLen
from omegaconf import DictConfig, OmegaConf
from pydantic import AfterValidator, BaseModel, ConfigDict

from deepmatte.config.initial import check_initial
from deepmatte.config.length import check_length
from deepmatte.errors import check_arguments
from deepmatte.metrics.names import DEFAULT_SCORES, higher_is_better

CHOSEN_BY = tuple(f"val/{name}" for name in DEFAULT_SCORES if not higher_is_better(name))
"""The scores by which a run can choose its best checkpoint, beside ``val/loss`` and its terms."""


def _objective(name: str) -> str:
    if name not in CHOSEN_BY and not re.fullmatch(r"val/loss(/.+)?", name):
        raise ValueError(f"has to be {', '.join(CHOSEN_BY)} or val/loss; the lowest is kept")
    return name


Mode = Literal["online", "offline", "shared", "disabled", "dryrun", "run"]
Reuse = Literal["always", "same", "never"]
Fraction = Annotated[float, Interval(ge=0, le=1)]
Count = Annotated[int, Ge(0)]


class Section(BaseModel):
    """A part of the configuration: which keys it may have, and what they may be."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Schedule(Section):
    """``schedule``: the learning rate over a stage."""

    name: str = "cosine"
    warmup: Fraction = 0.05
    final: float = 0.01
    milestones: Sequence[float] = ()
    gamma: float = 0.1


class Acceleration(Section):
    """Keys of ``trainer`` beside Lightning's: how the device computes.

    Attributes:
        matmul_precision: of products of float32 matrices and convolutions: highest is float32, high TF32.
        channels_last: the memory format that tensor cores want.
        compile: torch.compile's mode for training; null: not compiled.
    """

    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    channels_last: bool = False
    compile: Literal["default", "reduce-overhead", "max-autotune"] | None = None


class Sweep(Section):
    """``sweep``: how the jobs of a sweep are carried out."""

    time_limit: Annotated[Annotated[float, Gt(0)] | None, "give minutes above 0, or null"] = None
    devices: Annotated[
        Literal["auto"] | Sequence[int | str] | None,
        "give auto, null or a list of ids such as [0,1]",
    ] = "auto"
    trials: Annotated[int, Ge(1), "give a whole number above 0"] = 30
    objectives: Annotated[
        Annotated[Sequence[str], MinLen(1)] | None,
        "give a list such as [val/sad,cost/seconds], or null",
    ] = None


class Wandb(Section):
    """``wandb``: where a run is logged."""

    mode: Annotated[Mode, f"give one of {', '.join(get_args(Mode))}"] = "offline"
    project: str = "deepmatte"
    tags: Sequence[str] = ()


class Run(Section):
    """The keys at the top of a run's or an evaluation's configuration that it reads itself."""

    model_config = ConfigDict(extra="ignore")

    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)] = 0
    force: bool = False
    reuse: Annotated[Reuse, f"give one of {', '.join(get_args(Reuse))}"] = "always"
    init: str | None = None
    init_ignore: Sequence[str] = ()
    ema: Fraction | None = None
    validate_every: Annotated[int, Ge(1)] = 1
    early_stopping: Count | None = None
    save_every: Mapping[str, float | None] | None = None
    impose_trimap: bool | None = True
    num_pictures: Count = 16
    objective: Annotated[str, AfterValidator(_objective)] = CHOSEN_BY[0]
    schedule: Schedule = Schedule()
    sweep: Sweep = Sweep()
    wandb: Wandb = Wandb()


def check_own_keys(config: DictConfig) -> None:
    """Refuse wrong values of the keys that belong to no part of a run or an evaluation.

    Keys that are not there are not missed.

    Raises:
        InputError: it names the key, its value and what fits.
    """
    check_length(config)
    check_initial(config)
    visible = OmegaConf.masked_copy(config, [key for key in config if key in Run.model_fields])
    plain: Any = OmegaConf.to_container(visible, resolve=True)
    check_arguments(Run, plain)
