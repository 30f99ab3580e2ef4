"""Where the configuration lives, and what identifies a run. Nothing here imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

NOT_IDENTITY = (
    "hydra",
    "output_root",
    "force",
    "resume",
    "sweep",
    "wandb",
    "seeds",
    "laptop",
    "length",  # hashed as what it makes of stages.STAGE.epochs, and laptop as what length makes of it
    "stages.*.share",
    "num_pictures",
    "study",
    "save_every",
    "data.num_workers",
    "data.cache",
    "data.source.cache_dir",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.enable_progress_bar",
)
"""Keys that say where, how loudly and on what machine a run takes place, not what is computed."""

ADDED_SINCE: dict[str, Any] = {
    "composition.widen": None,  # not 1: experiments/trimap_width.yaml has hashed its 1 from the start
}
"""Keys that are younger than the first runs, and the value at which they compute what was computed without
them: a run that leaves them there keeps the hash that it had before."""

REMOVED_SINCE = ("plan",)
"""Keys that the first runs have in their hashes; `_removed` says with which value."""


def config_hash(config: DictConfig | Mapping[str, Any]) -> str:
    """Return 16 hex digits that identify what a run computes: the resolved configuration without `NOT_IDENTITY`.

    Keys of `ADDED_SINCE` count only where they differ from the value there; `REMOVED_SINCE` still count.

    >>> config_hash({"seed": 1, "output_root": "a"}) == config_hash({"output_root": "b", "seed": 1})
    True
    """
    root = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
    # `hydra` must go before anything is resolved: its run directory is itself made from this hash.
    visible = OmegaConf.masked_copy(root, [str(key) for key in root if key != "hydra"])
    plain: Any = OmegaConf.to_container(visible, resolve=True)
    removed = {key: _removed(plain) for key in REMOVED_SINCE}
    for key in NOT_IDENTITY:
        for parent, last in _places(plain, key):
            del parent[last]
    for key, value in ADDED_SINCE.items():
        for parent, last in _places(plain, key):
            if parent[last] == value:
                del parent[last]
    plain = removed | plain
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _places(plain: Any, key: str) -> Iterator[tuple[dict[Any, Any], str]]:
    """Yield each mapping that has ``a.b.c`` as an entry, with the entry's name; a ``*`` is any name.

    >>> [parent for parent, _ in _places({"a": {"b": {"c": 1}, "d": {"c": 2}, "e": 3}}, "a.*.c")]
    [{'c': 1}, {'c': 2}]
    """
    first, _, rest = key.partition(".")
    if not isinstance(plain, dict):
        return
    for name in list(plain) if first == "*" else [first] if first in plain else []:
        if rest:
            yield from _places(plain[name], rest)
        else:
            yield plain, name


def _removed(plain: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the value of ``plan`` in a configuration of the first edition.

    It was null, or the step of a study that is chosen by ``step``: what is now its ``shares`` stood beside
    its other values.
    """
    steps = (plain.get("study") or {}).get("steps") or {}
    step = steps.get(plain.get("step")) if isinstance(steps, dict) else None
    if not isinstance(step, dict) or not isinstance(step.get("shares"), dict):
        return None
    return {key: value for key, value in step.items() if key != "shares"} | step["shares"]


def run_dir(config: DictConfig | Mapping[str, Any]) -> Path:
    """Return the directory of a run: ``OUTPUT_ROOT/NAME/<first 8 digits of the hash>``, or the one to resume."""
    if config.get("resume"):
        return Path(config["resume"])
    return Path(config["output_root"]) / str(config["name"]) / config_hash(config)[:8]


def label(overrides: Sequence[str]) -> str:
    """Return what sets a job apart: its overrides without those that say where, how and on what machine it runs.

    >>> label(["loss=dice", "trainer=ddp", "seed=1", "name=mine"])
    'loss=dice seed=1'
    """
    shared = (
        "experiments=",
        "budget=",
        "trainer=",
        "output_root=",
        "name=",
        "force=",
        "wandb.",
        "sweep.",
        "hydra",
    )
    return " ".join(override for override in overrides if not override.startswith(shared)) or "defaults"
