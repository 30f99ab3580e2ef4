"""Samplers and pruners of a search by name: Optuna's classes, made of ``hydra.sweeper``."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from deepmatte.errors import InputError, did_you_mean
from deepmatte.sweeps import search

if TYPE_CHECKING:
    import optuna

SAMPLERS = {
    "tpe": "TPESampler",
    "random": "RandomSampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "qmc": "QMCSampler",
    "nsgaii": "NSGAIISampler",
    "nsgaiii": "NSGAIIISampler",
}
"""Names of ``hydra.sweeper.sampler.name``, and Optuna's classes."""

PRUNERS = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "threshold": "ThresholdPruner",
}
"""Names of ``hydra.sweeper.pruner.name``, and Optuna's classes."""


def make_sampler(sweeper: DictConfig, earlier: int) -> optuna.samplers.BaseSampler:
    """Return the sampler that ``hydra.sweeper.sampler`` describes.

    Its seed differs each time that the search is resumed, with ``earlier`` trials: it would repeat its first
    draws.
    """
    from optuna import samplers

    options = _options(sweeper, "sampler", "tpe")
    if options["name"] == "tpe":
        options.setdefault("n_startup_trials", 8)
    options["seed"] = int(options.get("seed") or 0) + earlier
    return _made("sampler", samplers, SAMPLERS, options)


def make_pruner(sweeper: DictConfig) -> optuna.pruners.BasePruner:
    """Return the pruner that ``hydra.sweeper.pruner`` describes."""
    from optuna import pruners

    return _made("pruner", pruners, PRUNERS, _options(sweeper, "pruner", "none"))


def pruner_name(hydra: DictConfig) -> str:
    """Return which pruner Hydra's own configuration chooses: none in a grid."""
    return str(_options(hydra.sweeper, "pruner", "none")["name"])


def check_strategies(config: DictConfig) -> None:
    """Check sampler and pruner before the first trial.

    Raises:
        InputError: one of them or an option is unknown, or the pruner judges what only a finished run has.
    """
    make_sampler(config.hydra.sweeper, 0)
    make_pruner(config.hydra.sweeper)
    name, names = pruner_name(config.hydra), search.objectives(config)
    if name != "none" and (len(names) > 1 or not names[0].startswith("val/")):
        raise InputError(
            f"hydra.sweeper.pruner.name={name}: judges one score of the validation, not {', '.join(names)}; "
            "leave it out, or let objective=val/sad be all that is searched for"
        )


def _options(sweeper: DictConfig, kind: str, default: str) -> dict[str, Any]:
    """Return the options of the sampler or the pruner, with its ``name``."""
    node = sweeper.get(kind)
    plain: Any = OmegaConf.to_container(node, resolve=True) if node is not None else {}
    return {"name": default} | plain


def _made(kind: str, module: ModuleType, classes: Mapping[str, str], options: dict[str, Any]) -> Any:
    """Return the sampler or the pruner (``kind``) of its name and the arguments of Optuna's class.

    Raises:
        InputError: the name or an argument is unknown.
    """
    name = options.pop("name")
    if name not in classes:
        meant = did_you_mean(str(name), classes) or f"; choose one of {', '.join(classes)}"
        raise InputError(f"hydra.sweeper.{kind}.name={name}: is no {kind}{meant}")
    try:
        return getattr(module, classes[name])(**options)
    except (TypeError, ValueError, ImportError) as error:
        raise InputError(f"hydra.sweeper.{kind}: {' '.join(str(error).split())}") from error
