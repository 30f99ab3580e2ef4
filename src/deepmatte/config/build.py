"""From a configuration to an object: what may be built, at which place, and nothing else.

A configuration may be a stranger's, in a run directory that is evaluated or repeated. A ``_target_`` is
therefore no path that Python follows wherever it leads, but the name of a class: of a module in `PLACES`, or
of a package that the user trusts, and of the right kind for its place. All names are checked before the
first module is imported, and all classes before the first one is called.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import Strategy
from torchmetrics import Metric

from deepmatte.classical import ClassicalMethod
from deepmatte.config.trust import TRUSTED, is_below, trusted_packages
from deepmatte.data import Composition
from deepmatte.errors import InputError, check_arguments
from deepmatte.models import MattingModel


@dataclass(frozen=True)
class Place:
    """A key of the configuration that takes an object.

    Attributes:
        kind: what may be there, in words.
        modules: the modules whose classes may be named, as they are written in a configuration.
        fits: whether a class is of that kind.
        inner: a key below it, at any depth, that takes an object of the same kind.
        later: whether the object is made later, with more arguments (``_partial_: true``).
    """

    kind: str
    modules: tuple[str, ...]
    fits: Callable[[type], bool]
    inner: str | None = None
    later: bool = False


def _is_source(found: type) -> bool:
    """Return whether a class has the methods of a source (`deepmatte.data.sources.protocols`)."""
    composes = hasattr(found, "foregrounds") and hasattr(found, "backgrounds")
    return (composes or hasattr(found, "images")) and not getattr(found, "_is_protocol", False)


def _is_logger(found: type) -> bool:
    """Return whether a class is a logger of ours or a user's: Lightning's own take any address and folder."""
    return issubclass(found, Logger) and not found.__module__.startswith("pytorch_lightning.")


def _is(base: type) -> Callable[[type], bool]:
    return lambda found: issubclass(found, base)


PLACES: dict[str, Place] = {
    "model": Place("a MattingModel", ("deepmatte.models",), _is(MattingModel)),
    "data.source": Place("a source", ("deepmatte.data", "deepmatte.data.procedural"), _is_source, "source"),
    "composition": Place("a Composition", ("deepmatte.data", "deepmatte.data.hard"), _is(Composition)),
    "method": Place("a ClassicalMethod", ("deepmatte.classical",), _is(ClassicalMethod)),
    "optimizer": Place("an Optimizer", ("torch.optim",), _is(torch.optim.Optimizer), later=True),
    "trainer.strategy": Place("a Strategy", ("pytorch_lightning.strategies",), _is(Strategy)),
    "logger.*": Place(
        "a Logger",
        tuple(f"deepmatte.training.tracking.{name}_run" for name in ("wandb", "tensorboard", "mlflow")),
        _is_logger,
        later=True,
    ),
    "metrics.*": Place("a torchmetrics Metric", (), _is(Metric)),
    "callbacks.*": Place(
        "a Callback", ("pytorch_lightning.callbacks", "deepmatte.training.callbacks"), _is(Callback)
    ),
}
"""Every key that takes an object, ``*`` for any name. The module of a new class has to be entered here."""


def place_of(key: str) -> Place:
    """Return the place of a key, such as ``model`` or ``callbacks.mine``."""
    return PLACES.get(key) or PLACES[f"{key.partition('.')[0]}.*"]


def build(config: DictConfig | dict[str, Any] | None, key: str) -> Any:
    """Return the object that ``config`` describes by its ``_target_``.

    Args:
        config: ``_target_`` and the arguments; references in it are resolved.
        key: its place in the configuration, one that `PLACES` has.

    Raises:
        InputError: the target may not be there, can't be found, or doesn't take these arguments; or a value
            is missing.
    """
    place = place_of(key)
    node: Any = config
    if OmegaConf.is_config(config):
        try:
            node = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        except OmegaConfBaseException as error:
            raise InputError(f"{key}: {_line(error)}") from error
    if not isinstance(node, dict) or "_target_" not in node:
        raise InputError(f"{key}: has no _target_; give {place.kind} of {', '.join(place.modules)}")
    for where, target in _targets(node, key, place, here=True):
        _check_name(target, where, place)
    # From here on a target is a class, and text is text: a reference in it isn't resolved a second time.
    return _made(_with_classes(node, key, place), key)


def _targets(node: Any, key: str, place: Place, here: bool) -> Iterator[tuple[str, Any]]:
    """Yield every ``_target_`` in ``node`` with its key.

    Refuse one where no object may be (``here`` is false), and every other key that Hydra would obey.
    """
    if isinstance(node, list):
        for number, child in enumerate(node):
            yield from _targets(child, f"{key}.{number}", place, here=False)
    elif isinstance(node, dict):
        for name, child in node.items():
            where = f"{key}.{name}"
            if here and name == "_target_":
                yield where, child
            elif here and place.later and name == "_partial_" and child is True:
                continue
            elif re.fullmatch(r"_\w+_", str(name)):
                raise InputError(f"{where}={_line(child)}: has no place there; leave it out")
            else:
                yield from _targets(child, where, place, here=name == place.inner)


def _check_name(target: Any, where: str, place: Place) -> None:
    """Refuse a target that is neither in a module of ``place`` nor in a trusted package. Import nothing."""
    module = target.rpartition(".")[0] if isinstance(target, str) else ""
    packages = trusted_packages()
    if module not in place.modules and not is_below(module, packages):
        known = ", ".join((*place.modules, *packages)) or "your own"
        advice = f"{TRUSTED}=package. adds a package of your own"
        raise InputError(f"{where}={_line(target)}: give {place.kind} of {known}; {advice}")


def _with_classes(node: Any, key: str, place: Place) -> Any:
    """Return ``node`` with classes in the place of their names, and refuse arguments of the wrong kinds."""
    if isinstance(node, list):
        return [_with_classes(child, f"{key}.{number}", place) for number, child in enumerate(node)]
    if not isinstance(node, dict):
        return node
    tree = {name: _with_classes(child, f"{key}.{name}", place) for name, child in node.items()}
    if "_target_" in node:
        tree["_target_"] = found = _class(node["_target_"], f"{key}._target_", place)
        if found.__module__.startswith("deepmatte."):
            check_arguments(found, node, key)
    return tree


def _class(target: str, where: str, place: Place) -> type:
    """Import and return the class of that name, if it is of the kind for its place."""
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a user's module may fail in any way
        raise InputError(f"{where}={target}: can't be imported ({_line(error)})") from error
    if not isinstance(found, type) or not place.fits(found):
        raise InputError(f"{where}={target}: is not {place.kind}")
    if module not in place.modules and not is_below(found.__module__, trusted_packages()):
        raise InputError(f"{where}={target}: is defined in {found.__module__}; name a class of your own")
    return found


def loss_function(key: str, name: str, packages: Sequence[str] | None = None) -> Callable[..., Any]:
    """Import and return a user's own loss function ``module:function``, a term of a `LossTable`.

    Args:
        key: the key of the configuration that names it.
        name: its value there.
        packages: those that are trusted; None: those of the environment.

    Raises:
        InputError: it is of no trusted package, can't be imported, or is no loss.
    """
    module, _, function = name.partition(":")
    packages = trusted_packages() if packages is None else packages
    if not is_below(module, packages):
        allowed = ", ".join(packages) or "none"
        raise InputError(f"{key}={name!r}: module {module} is not allowed; allowed are {allowed}")
    try:
        own = getattr(importlib.import_module(module), function)
    except Exception as error:  # a user's module may fail in any way
        raise InputError(f"{key}={name!r}: can't be imported ({_line(error)})") from error
    if not callable(own):
        raise InputError(f"{key}={name!r}: expected a function (matte, batch, *, options)")
    # Defined in the package, not only imported there.
    if not is_below(own.__module__, packages) or list(inspect.signature(own).parameters)[:2] != [
        "matte",
        "batch",
    ]:
        advice = f"define it in {module} as {function}(matte, batch, *, options)"
        raise InputError(f"{key}={name!r}: is no loss; {advice}")
    return own


def _made(node: Any, key: str) -> Any:
    """Return ``node`` with every class called, the innermost first."""
    if isinstance(node, list):
        return [_made(child, f"{key}.{number}") for number, child in enumerate(node)]
    if not isinstance(node, dict):
        return node
    words = ("_target_", "_partial_")
    options = {name: _made(child, f"{key}.{name}") for name, child in node.items() if name not in words}
    if "_target_" not in node:
        return options
    if "_partial_" in node:
        return functools.partial(node["_target_"], **options)
    try:
        return node["_target_"](**options)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{key}: {_line(error)}") from error


def _line(value: object) -> str:
    """Return a value, or what an error says, in one short line."""
    text = str(value) or type(value).__name__
    return " ".join(text.splitlines()[0].split())[:200]
