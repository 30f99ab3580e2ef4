"""What kinds of values a constructor takes, by its annotations, and a run's own keys: a text where a number belongs is told by its key."""

from __future__ import annotations

import math
import os
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from deepmatte.config.length import check_length
from deepmatte.errors import InputError

_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    os.PathLike: "a path",
    types.NoneType: "null",
    Sequence: "a list",
    Mapping: "keys with values",
}


MODES = ("online", "offline", "shared", "disabled", "dryrun", "run")
"""Of Weights & Biases."""

LOWER_IS_BETTER = re.compile(r"val/(sad|mse|grad|conn|loss(/.+)?)")
"""What a run can choose its best checkpoint by."""

RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "validate_every": (1, math.inf),
    "early_stopping": (0, math.inf),
    "num_pictures": (0, math.inf),
    "ema": (0, 1),
    "schedule.warmup": (0, 1),
}


def _run(
    *,
    seed: int,
    force: bool,
    ema: float | None,
    validate_every: int,
    early_stopping: int | None,
    save_every: Mapping[str, float | None] | None,
    impose_trimap: bool | None,
    num_pictures: int,
    objective: str,
) -> None:
    """What a run's own keys are, by annotations."""


def _schedule(*, name: str, warmup: float, milestones: Sequence[float], final: float, gamma: float) -> None:
    """The same of ``schedule``."""


def check_own_keys(config: DictConfig) -> None:
    """Refuse values of the keys that a run or an evaluation has itself, not its parts; a key that is not there is not missed.

    Raises:
        InputError: it names the key, its value and what fits.
    """
    check_length(config)
    plain: Any = OmegaConf.to_container(
        OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]), resolve=True
    )
    check_kinds(_run, plain, "")
    check_kinds(_schedule, plain.get("schedule") or {}, "schedule")
    for key, (least, most) in RANGES.items():
        value = OmegaConf.select(config, key)
        if value is not None and not least <= value <= most:
            raise InputError(
                f"{key}={value}: has to be "
                + (f"from {least} to {most}" if most < math.inf else f"{least} or more")
            )
    if "objective" in plain and not LOWER_IS_BETTER.fullmatch(plain["objective"]):
        raise InputError(
            f"objective={plain['objective']}: has to be val/sad, val/mse, val/grad, val/conn or val/loss; the lowest is kept"
        )
    mode = (plain.get("wandb") or {}).get("mode", MODES[0])
    if mode not in MODES:
        raise InputError(f"wandb.mode={mode}: give one of {', '.join(MODES)}")


def check_kinds(target: Callable[..., Any], arguments: Mapping[str, Any], place: str) -> None:
    """Refuse arguments that are of another kind than the annotations say; what is annotated otherwise is left to the target.

    Raises:
        InputError: it names the key below ``place``, its value and the kinds that fit.

    >>> def crop(size: int, sides: Sequence[float] | None = None) -> None: ...
    >>> check_kinds(crop, {"size": 320, "sides": [0.5, 1]}, "composition")
    >>> check_kinds(crop, {"sides": [1, "a"]}, "composition")
    Traceback (most recent call last):
        ...
    deepmatte.errors.InputError: composition.sides=[1, 'a']: has to be a list (of a number) or null
    """
    try:
        hints = typing.get_type_hints(target.__init__ if isinstance(target, type) else target)  # type: ignore[misc]
    except (NameError, TypeError, AttributeError):
        return
    for name, value in arguments.items():
        if name in hints:
            for key, wrong, hint in _misfits(value, hints[name], f"{place}.{name}" if place else name):
                raise InputError(f"{key}={wrong}: has to be {_words(hint)}")


def _misfits(value: Any, hint: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield place, value and wanted kind of what does not fit."""
    kind = typing.get_origin(hint) or hint
    if kind in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if all(any(_misfits(value, option, place)) for option in options):
            inside = [
                option
                for option in options
                if typing.get_origin(option) is Mapping and isinstance(value, Mapping)
            ]
            yield from _misfits(value, inside[0], place) if inside else [(place, value, hint)]
    elif kind not in _WORDS or (isinstance(value, Mapping) and "_target_" in value):
        return
    elif kind is Mapping and isinstance(value, Mapping):
        for name, child in value.items():
            yield from _misfits(child, (typing.get_args(hint) or (Any, Any))[1], f"{place}.{name}")
    elif kind is Sequence and isinstance(value, list | tuple):
        if any(True for child in value for _ in _misfits(child, (typing.get_args(hint) or (Any,))[0], place)):
            yield place, value, hint
    elif kind in (int, float):
        if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
            yield place, value, hint
    elif kind in (Mapping, Sequence) or not isinstance(value, kind):
        yield place, value, hint


def _words(hint: Any) -> str:
    options = (
        typing.get_args(hint)
        if (typing.get_origin(hint) or hint) in (typing.Union, types.UnionType)
        else (hint,)
    )
    texts = []
    for option in options:
        kind = typing.get_origin(option) or option
        of = typing.get_args(option)[:1] if kind is Sequence else ()
        texts.append(
            _WORDS.get(kind, str(option)) + (f" (of {_words(of[0])})" if of and of[0] in _WORDS else "")
        )
    return " or ".join(dict.fromkeys(texts))
