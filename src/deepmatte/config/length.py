"""How many epochs each stage of a run takes: a total, shared out among the stages of the model.

``stages`` says what the stages are (``conf/stages/``, chosen by the model), ``length`` how long all of them
take together; ``${deepmatte.epochs:STAGE}`` in a file of stages joins the two. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from omegaconf import DictConfig, OmegaConf

from deepmatte.config.releases import register_resolver
from deepmatte.errors import InputError, did_you_mean

WORDS = ("first", "last", "each")
"""What ``length.shares`` can be beside shares by name, and null for those that the stages state."""


def shared_out(epochs: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Share ``epochs`` out: in proportion, at least one for each positive share (Sainte-Laguë's method).

    >>> shared_out(40, {"encoder_decoder": 30, "refine": 5, "joint": 5})
    {'encoder_decoder': 30, 'refine': 5, 'joint': 5}
    >>> shared_out(8, {"encoder_decoder": 30, "refine": 5, "joint": 0})
    {'encoder_decoder': 7, 'refine': 1, 'joint': 0}

    Raises:
        InputError: there are fewer epochs than positive shares.
    """
    taken = {name: 1 for name, share in shares.items() if share > 0}
    if epochs < len(taken):
        cure = "give each at least one, or length.shares=last to train only the last"
        raise InputError(
            f"length.epochs={epochs}: too few for {len(taken)} stages ({', '.join(taken)}); {cure}"
        )
    for _ in range(epochs - len(taken)):
        taken[max(taken, key=lambda name: shares[name] / (2 * taken[name] + 1))] += 1
    return {name: taken.get(name, 0) for name in shares}


def epochs_of_stages(stages: Mapping[str, Any], length: Mapping[str, Any]) -> dict[str, int]:
    """Return the epochs of each stage that the model has.

    Args:
        stages: ``stages`` of a configuration. Entries without ``learn`` are no stages of the model, but what
            an experiment says of another model's stage; they get no epochs.
        length: ``epochs`` in all; ``shares``: a number for each stage that is trained, by name; ``first`` or
            ``last``, the one stage that takes all epochs; ``each``, which gives every stage that many epochs;
            null, the shares that the stages state themselves (1 where one states none).

    Raises:
        InputError: it names the key, what is wrong with it and what to give.
    """
    names = own_stages(stages)
    epochs, shares = length.get("epochs"), length.get("shares")
    if type(epochs) is not int or epochs < 1:
        raise InputError(f"length.epochs={epochs}: give the epochs of all stages together, 1 or more")
    if isinstance(shares, Mapping):
        return shared_out(epochs, dict.fromkeys(names, 0.0) | _checked(shares, "length.shares.{}", names))
    if shares == "each":
        return dict.fromkeys(names, epochs)
    if shares in ("first", "last"):
        chosen = names[0 if shares == "first" else -1]
        return {name: epochs * (name == chosen) for name in names}
    if shares is not None:
        words = f"{', '.join(WORDS)}, null, or a share for each stage, {{{names[0]}: 1}}"
        raise InputError(f"length.shares={shares}: choose among {words}")
    stated = {name: stages[name].get("share", 1) for name in names}
    return shared_out(epochs, _checked(stated, "stages.{}.share", names))


def own_stages(stages: Mapping[str, Any]) -> list[str]:
    """Return the names of the model's stages, in order.

    Raises:
        InputError: there is none, or another entry looks like one of them misspelt.
    """
    plain = {str(name): keys for name, keys in stages.items()}
    names = [name for name, keys in plain.items() if isinstance(keys, Mapping) and "learn" in keys]
    if not names:
        raise InputError("stages: none says which parts of the model `learn`; choose stages=joint")
    for name in set(plain) - set(names):
        if meant := did_you_mean(name, names, "stages.{}"):
            raise InputError(f"stages.{name}: is no stage of the model{meant}")
    return names


def _checked(shares: Mapping[str, Any], key: str, names: list[str]) -> dict[str, float]:
    """Return ``shares`` if they are numbers, of stages in ``names``; ``key`` is that of the stage ``{}``."""
    for name, share in shares.items():
        if name not in names:
            raise InputError(f"{key.format(name)}: is no stage of the model; it has {', '.join(names)}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < float("inf"):
            raise InputError(f"{key.format(name)}={share}: has to be a number, 0 or more")
    if not any(shares.values()):
        raise InputError(f"{key.format(names[-1])}: every stage has a share of 0; give one of them 1")
    return dict(shares)


def check_length(config: DictConfig) -> None:
    """Refuse a ``length`` that does not fit the stages; nothing of a configuration that has none.

    Raises:
        InputError: it names the key.
    """
    if "length" not in config or "stages" not in config:
        return
    plan = config.get("plan")
    if isinstance(plan, DictConfig) and set(plan) & set(config.stages):
        raise InputError("plan: is now called length.shares; give length: {epochs: 8, shares: {STAGE: 7, …}}")
    _epochs(config)


def _epochs(config: DictConfig) -> dict[str, int]:
    """Return the epochs of each stage; ``stages.STAGE.epochs`` refer to them and so are not read."""
    read = ("learn", "share")
    stages = {
        str(name): {key: keys[key] for key in read if key in keys} if isinstance(keys, DictConfig) else None
        for name, keys in config.stages.items()
    }
    given = config.length
    length: Any = OmegaConf.to_container(given, resolve=True) if OmegaConf.is_config(given) else given
    return epochs_of_stages(stages, length if isinstance(length, dict) else {"epochs": length})


def register() -> None:
    """Make ``${deepmatte.epochs:STAGE}`` known to OmegaConf.

    It is null where ``length`` is wrong: `check_length` says why in one line, OmegaConf would in three.
    """

    def epochs(stage: str, *, _root_: DictConfig) -> int | None:
        with suppress(InputError):
            return _epochs(_root_).get(stage, 0)
        return None

    register_resolver("deepmatte.epochs", epochs)
