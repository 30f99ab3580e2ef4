"""Where the configuration lives, and what identifies a run. Nothing here imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

NOT_IDENTITY = (
    "hydra",
    "output_root",
    "force",
    "reuse",
    "resume",
    "init",  # hashed as the digest of its content
    "sweep",
    "wandb",
    "mlflow",
    "logger",
    "metrics",
    "callbacks.pictures",
    "callbacks.learning_rate",
    "seeds",
    "laptop",
    "length",  # hashed as what it makes of stages.STAGE.epochs, and laptop as what length makes of it
    "stages.*.share",
    "num_pictures",
    "study",
    "save_every",
    "data.num_workers",
    "data.cache",
    "data.guides.dir",
    "data.guides.max_gb",
    "data.source.cache_dir",
    "composition.backend",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.channels_last",
    "trainer.compile",
    "trainer.enable_progress_bar",
)
"""Keys that don't say what is computed, but where, how loudly and on what machine: the one list of them.

The hash, the label and the factors of a comparison leave them out (`identifies`).
"""

FOR_OTHERS = ("init", "laptop", "length", "stages", "study")
"""Where those of `NOT_IDENTITY` are to which other keys refer: an override changes what is computed."""

CHOICES = ("trainer",)
"""Groups whose choices say where a run takes place; what they change beside that counts by its own key."""

SHARED = ("experiments", "budget", "name")
"""Keys that all jobs of a sweep share, so that they set none of them apart."""

_OFF = {"weight": 0, "output": "final", "region": "unknown", "reduction": "batch", "per": "region"}
_WITH_HARDEST = ("alpha", "composition", "gradient", "laplacian", "bce", "focal", "grad_metric")
_FIRST_LOSSES = (*_WITH_HARDEST, "smoothness", "gradient_penalty", "dice", "jaccard", "tversky", "lovasz")

_NO_PLATE = {
    "plate": False,
    "in_evaluation": False,
    "shadow": {
        "probability": 0.3,
        "strength": [0, 0.3],
        "rotation": 5,
        "shear": 5,
        "shift": 0.2,
        "scale": [0.5, 1.5],
        "blur": [0.05, 0.1],
    },
    "noise": {"probability": 0.4, "sigma": [0, 7.65]},
    "jitter": {"probability": 0.8, "brightness": 0.18, "contrast": 0.18, "saturation": 0.18, "hue": 0.1},
    "affine": {"probability": 0.3, "rotation": 1, "shift": 0.01},
}

ADDED_SINCE: dict[str, Any] = {
    "examine": None,
    "callbacks": {},  # those above leave it empty
    "composition.widen": None,  # not 1: experiments/trimap_width.yaml has hashed its 1 from the start
    "composition.captured": _NO_PLATE,
    "composition.clip": {"frames": 1, "shift": 0.02, "rotation": 1, "scale": 0.01, "background": 0.01},
    "composition.defocus": {"probability": 0.0, "sigma": [1.0, 6.0]},
    "data.guides": {"crop": None},
    "data.source.kinds": None,
    **{f"loss.{term}.output": "final" for term in _FIRST_LOSSES},
    **{f"loss.{term}.hardest": None for term in _WITH_HARDEST},
    "init_digest": None,
    "init_ignore": [],
    "model.conv6": 1,
    "stages.*.layer_decay": None,
    "trainer.matmul_precision": "highest",
    "loss.*.weight.over": "run",
    "loss.ddc": {**_OFF, "radius": 5, "neighbours": 11},
    "loss.temporal": {**_OFF, "hardest": None, "distance": "l2", "eps": 1e-6},
    "loss.foreground": {
        **_OFF,
        "region": "whole",
        "per": "image",
        "hardest": None,
        "distance": "l1",
        "eps": 1e-6,
    },
    "loss.error": {
        **_OFF,
        "region": "whole",
        "hardest": None,
        "distance": "l2",
        "eps": 1e-6,
        "detach": False,
    },
    "loss.ssim": {**_OFF, "hardest": None, "sigma": 1.5, "border": "replicate"},
    "loss.adversarial": {"weight": 0, "output": "final", "objective": "least_squares"},
    "loss.discriminator": {"weight": 0, "output": "final", "objective": "least_squares"},
}
"""Keys that were added after the first runs, and the value at which they compute what was computed before.

A run that leaves a key at this value keeps the hash that it had without it. A value may be a whole section,
such as a row of ``conf/loss/table.yaml``; with one option changed it counts, even while its weight is 0,
since a stage may turn it on.
"""

REMOVED_SINCE = ("plan",)
"""Keys that the first runs have in their hashes; `_removed` says with which value."""


def config_hash(config: DictConfig | Mapping[str, Any]) -> str:
    """Return 16 hex digits that identify what a run computes.

    They are of the resolved configuration without `NOT_IDENTITY`; keys of `ADDED_SINCE` count only where they
    differ from the value given there, and those of `REMOVED_SINCE` still count.

    >>> config_hash({"seed": 1, "output_root": "a"}) == config_hash({"output_root": "b", "seed": 1})
    True
    """
    root = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
    # These must go before anything is resolved: the directory to which they refer is made from this hash.
    visible = OmegaConf.masked_copy(root, [str(key) for key in root if key not in ("hydra", "logger")])
    plain: Any = OmegaConf.to_container(visible, resolve=True)
    assert isinstance(plain, dict)
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
    """Return the directory of a run: the one to resume, or ``OUTPUT_ROOT/NAME/HASH`` with 8 of its digits."""
    if config.get("resume"):
        return Path(config["resume"])
    return Path(config["output_root"]) / str(config["name"]) / config_hash(config)[:8]


def identifies(key: str, *, given: bool = False) -> bool:
    """Return whether a key says what a run computes; the seed does, too.

    Args:
        key: a dotted key, or that of an override, as in ``+trainer.devices`` or ``hydra/launcher``.
        given: whether it is an override; a reference to it counts then.

    >>> identifies("trainer.precision"), identifies("data.num_workers"), identifies("hydra/launcher")
    (True, False, False)
    >>> [identifies(key, given=True) for key in ("laptop.epochs", "trainer", "trainer.precision")]
    [True, False, True]
    """
    words = key.lstrip("+~").replace("/", ".")
    if given and words in CHOICES:
        return False
    if given and words.partition(".")[0] in FOR_OTHERS:
        return True
    return not any(fnmatch(f"{words}.", f"{other}.*") for other in NOT_IDENTITY)


def label(overrides: Sequence[str]) -> str:
    """Return what sets a job apart in its sweep: the overrides that identify it.

    >>> label(["loss=dice", "trainer=ddp", "data.num_workers=4", "seed=1", "name=mine"])
    'loss=dice seed=1'
    """
    keys = {override: override.partition("=")[0] for override in overrides}
    return (
        " ".join(o for o, key in keys.items() if identifies(key, given=True) and key not in SHARED)
        or "defaults"
    )
