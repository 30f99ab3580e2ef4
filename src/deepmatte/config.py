"""Where the configuration lives, and what identifies a run. Nothing here imports torch."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

_PACKAGE = Path(__file__).parent

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


def conf_dir() -> Path:
    """Return the folder of the configuration: the one inside the installed wheel, else the checkout's ``conf/``."""
    packaged = _PACKAGE / "conf"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "conf"


def config_hash(config: DictConfig | Mapping[str, Any]) -> str:
    """Return 16 hex digits that identify what a run computes: the resolved configuration without `NOT_IDENTITY`.

    >>> config_hash({"seed": 1, "output_root": "a"}) == config_hash({"output_root": "b", "seed": 1})
    True
    """
    root = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
    # `hydra` must go before anything is resolved: its run directory is itself made from this hash.
    visible = OmegaConf.masked_copy(root, [key for key in root if key != "hydra"])
    plain = OmegaConf.to_container(visible, resolve=True)
    assert isinstance(plain, dict)
    for key in NOT_IDENTITY:
        *path, last = key.split(".")
        parent: Any = plain
        for step in path:
            parent = parent.get(step) if isinstance(parent, dict) else None
        if isinstance(parent, dict):
            parent.pop(last, None)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def run_dir(config: DictConfig | Mapping[str, Any]) -> Path:
    """Return the directory of a run: ``OUTPUT_ROOT/NAME/<first 8 digits of the hash>``, or the one to resume."""
    if config.get("resume"):
        return Path(config["resume"])
    return Path(config["output_root"]) / str(config["name"]) / config_hash(config)[:8]


def quoted(value: object) -> str:
    r"""Return a value as it may stand in an override of Hydra's, whatever characters it has.

    >>> quoted("it's"), quoted("a,b=${c}")
    ("'it\\'s'", "'a,b=\\${c}'")
    """
    # A backslash before `${` counts for OmegaConf, one before a quotation mark for Hydra.
    text = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", str(value))
    return QuotedString(text, Quote.single).with_quotes()


def label(overrides: Sequence[str]) -> str:
    """Return what sets a job apart: its overrides without those that say where, how and on what machine it runs.

    >>> label(["loss=dice", "trainer=ddp", "seed=1", "name=mine"])
    'loss=dice seed=1'
    """
    shared = ("experiments=", "budget=", "trainer=", "output_root=", "name=", "force=", "wandb.", "sweep.", "hydra")
    return " ".join(override for override in overrides if not override.startswith(shared)) or "defaults"


def register_resolvers() -> None:
    """Make ``${deepmatte.run_dir:}`` and ``${deepmatte.rest:WEIGHT}`` (1 - WEIGHT) known to OmegaConf, and `experiments/` to Hydra."""
    OmegaConf.register_new_resolver("deepmatte.rest", lambda weight: round(1 - weight, 12), replace=True)
    OmegaConf.register_new_resolver("deepmatte.run_dir", lambda *, _root_: str(run_dir(_root_)), replace=True)
    os.environ["DEEPMATTE_HOME"] = str(conf_dir().parent)  # conf/train.yaml puts it on Hydra's search path
