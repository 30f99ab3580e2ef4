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

from deepmatte.errors import InputError, did_you_mean

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

ADDED_SINCE: dict[str, Any] = {
    "composition.widen": None,  # not 1: experiments/trimap_width.yaml has hashed its 1 from the start
}
"""Keys that are younger than the first runs, and the value at which they compute what was computed without
them: a run that leaves them there keeps the hash that it had before."""


def conf_dir() -> Path:
    """Return the folder of the configuration: the one inside the installed wheel, else the checkout's ``conf/``."""
    packaged = _PACKAGE / "conf"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "conf"


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


def known_keys(page: str) -> set[str]:
    """Return the top-level keys and the groups that ``conf/PAGE.yaml`` lists; `page` is train or evaluate."""
    listed = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{page}.yaml"))
    assert isinstance(listed, dict)
    groups = {str(key) for entry in listed.pop("defaults") if isinstance(entry, dict) for key in entry}
    return {str(key) for key in listed} | {group for group in groups if not group.startswith("override ")}


def check_keys(config: DictConfig, page: str, hydra: Any = None) -> None:
    """Refuse a top-level key that nothing reads, such as ``+experiment=stages``, which Hydra adds without a word.

    Keys of a user's own are welcome where something in the configuration refers to them, as ``plan`` refers to
    ``step`` in ``plan: ${study.steps.${step}}``; such references are also looked for in ``hydra``.

    Raises:
        InputError: it names the key and the one that was probably meant.
    """
    known = known_keys(page)
    strange = [str(key) for key in config if key not in known]
    if not strange:
        return
    texts = [str(OmegaConf.to_container(node, resolve=False)) for node in (config, hydra) if node is not None]
    used = {name for text in texts for name in re.findall(r"\$\{(?:oc\.select:\s*)?([A-Za-z_]\w*)", text)}
    for key in strange:
        if key not in used:
            meant = did_you_mean(key, known, "{}=") or _listed(page)
            raise InputError(f"unknown key `{key}`, which nothing reads{meant}")


def explained(error: Exception, page: str = "train") -> str:
    """Return the message of an error of Hydra or OmegaConf in one line, with what was probably meant."""
    message = str(error).partition("\nConfig search path:")[0]
    if unknown := re.match(r"Could not override '([\w.]+)'\.\nTo append to your config use (.+)", message):
        return _unknown(unknown[1], unknown[2], getattr(error.__cause__, "parent_node", None), page)
    if missing := re.search(r"Could not find '(.+)/([^/']*)'\s+Available options in .*:([\s\w-]+)", message):
        (group, word), choices = missing.groups()[:2], missing[3].split()
        meant = did_you_mean(word, choices, f"{group}={{}}")
        return f"there is no {group}/{word}{meant} (there are {', '.join(choices)})"
    return " ".join(line.strip() for line in message.splitlines() if "HYDRA_FULL_ERROR" not in line).strip()


def _unknown(key: str, addition: str, parent: Any, page: str) -> str:
    """Return what to say of a ``key`` that is not there; ``parent`` is the last node on its way that is."""
    siblings = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
    above = str(parent._get_full_key(None)) if siblings else ""
    if not above:
        word = key.partition(".")[0]
        meant = did_you_mean(word, known_keys(page) | set(siblings), "{}=") or _listed(page)
        return f"unknown key `{word}`{meant}"
    word = key.removeprefix(f"{above}.").partition(".")[0]
    there = ", ".join(name for name in siblings if not name.startswith("_"))
    meant = did_you_mean(word, siblings, f"{above}.{{}}") or f"; {above} has {there} ({addition} would add it)"
    return f"unknown key `{above}.{word}`{meant}"


def _listed(page: str) -> str:
    return f"; conf/{page}.yaml lists the keys, `deepmatte {page} --cfg job` prints them"


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
