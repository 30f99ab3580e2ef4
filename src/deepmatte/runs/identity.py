"""Where the configuration lives, and what identifies a run. Nothing here imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
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

_OFF = {"weight": 0, "output": "final", "region": "unknown", "reduction": "batch", "per": "region"}
_WITH_HARDEST = ("alpha", "composition", "gradient", "laplacian", "bce", "focal", "grad_metric")
_FIRST_LOSSES = (*_WITH_HARDEST, "smoothness", "gradient_penalty", "dice", "jaccard", "tversky", "lovasz")

ADDED_SINCE: dict[str, Any] = {
    "composition.widen": None,  # not 1: experiments/trimap_width.yaml has hashed its 1 from the start
    **{f"loss.{term}.output": "final" for term in _FIRST_LOSSES},
    **{f"loss.{term}.hardest": None for term in _WITH_HARDEST},
    "loss.ddc": {**_OFF, "radius": 5, "neighbours": 11},
    "loss.temporal": {**_OFF, "hardest": None, "distance": "l2", "eps": 1e-6},
    "loss.ssim": {**_OFF, "hardest": None, "sigma": 1.5, "border": "replicate"},
}
"""Keys that are younger than the first runs, and the value at which they compute what was computed without
them: a run that leaves them there keeps the hash that it had before. A value may be a whole section, such as
a row of ``conf/loss/table.yaml``; with one option changed it counts, even while its weight is 0, since a
stage may turn it on."""


def config_hash(config: DictConfig | Mapping[str, Any]) -> str:
    """Return 16 hex digits that identify what a run computes: the resolved configuration without `NOT_IDENTITY`.

    Keys of `ADDED_SINCE` count only where they differ from the value that stands there.

    >>> config_hash({"seed": 1, "output_root": "a"}) == config_hash({"output_root": "b", "seed": 1})
    True
    """
    root = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
    # `hydra` must go before anything is resolved: its run directory is itself made from this hash.
    visible = OmegaConf.masked_copy(root, [key for key in root if key != "hydra"])
    plain = OmegaConf.to_container(visible, resolve=True)
    assert isinstance(plain, dict)
    for key in NOT_IDENTITY:
        parent, last = _place(plain, key)
        parent.pop(last, None)
    for key, value in ADDED_SINCE.items():
        parent, last = _place(plain, key)
        if last in parent and parent[last] == value:
            del parent[last]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _place(plain: dict[Any, Any], key: str) -> tuple[dict[Any, Any], str]:
    """Return the mapping in which ``a.b.c`` is an entry (an empty one where there is none) and the entry's name."""
    *path, last = key.split(".")
    parent: Any = plain
    for step in path:
        parent = parent.get(step) if isinstance(parent, dict) else None
    return (parent if isinstance(parent, dict) else {}), last


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
