"""The keys that a run, an evaluation or a sweep reads itself, as pydantic models. Nothing here imports torch.

The arguments of models, sources, recipes, methods and loss terms are checked by their own signatures
(`deepmatte.errors.check_arguments`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, Interval, MinLen, MultipleOf
from omegaconf import DictConfig, OmegaConf
from pydantic import AfterValidator, BaseModel, ConfigDict

from deepmatte.config.initial import check_initial
from deepmatte.config.length import check_length
from deepmatte.errors import InputError, check_arguments
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
    fork: bool = True
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
    artifacts: bool = False


class Mlflow(Section):
    """``mlflow``: the server or database of the loggers of that name."""

    tracking_uri: str | None = None


class PictureFolder(Section):
    """``data.cache``: decoded pictures on disk. What is left out has the default of the cache itself."""

    dir: str | Path | None = None
    max_gb: Annotated[float, Ge(0), "give a size in GB, 0 to keep nothing"] = 0


class GuideFolder(PictureFolder):
    """``data.guides``: classical mattes on disk, and how much of a training sample is shown."""

    crop: Annotated[
        Annotated[int, Gt(0)] | None, "give the side of a training sample's part in pixels, or null"
    ] = None


class Examine(Section):
    """``examine``: what is done in place of a run (``debug=profile | lr_find | batch_size``)."""

    what: Literal["profile", "lr_find", "batch_size"]
    steps: Annotated[int, Ge(15)] = 100  # Lightning judges no rate by fewer
    lowest: Annotated[float, Gt(0)] = 1e-7
    highest: Annotated[float, Gt(0)] = 1.0
    most: Annotated[int, Ge(2)] = 256


EXTRAS = ("tensorboard", "mlflow")
"""Loggers whose package is an extra of ours; all three have one name."""


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
    tile: Annotated[int, Ge(0), MultipleOf(128), "give 0, or a multiple of 128 pixels"] = 0
    objective: Annotated[str, AfterValidator(_objective)] = CHOSEN_BY[0]
    examine: Examine | None = None
    schedule: Schedule = Schedule()
    sweep: Sweep = Sweep()
    wandb: Wandb = Wandb()
    mlflow: Mlflow = Mlflow()


def check_own_keys(config: DictConfig) -> None:
    """Refuse wrong values of the keys that belong to no part of a run or an evaluation.

    Keys that are not there are not missed.

    Raises:
        InputError: it names the key, its value and what fits, or the extra that a logger needs.
    """
    check_length(config)
    check_initial(config)
    for name in EXTRAS:
        if OmegaConf.select(config, f"logger.{name}") is not None and find_spec(name) is None:
            raise InputError(f"logger={name}: needs an extra; pip install 'deepmatte[{name}]'")
    visible = OmegaConf.masked_copy(config, [key for key in config if key in Run.model_fields])
    plain: Any = OmegaConf.to_container(visible, resolve=True)
    check_arguments(Run, plain)
