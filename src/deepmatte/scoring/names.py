"""Names of evaluations: what was scored, and how it differs from the usual, so that none is overwritten."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from deepmatte.config.places import conf_dir
from deepmatte.runs.directory import FINISHED, RunDir

MOST_KEYS = 2
"""Changed keys of the composition that a name spells out; more of them are a digest."""

DIGITS = 8
"""Hexadecimal digits of a digest in a name."""


def evaluation_name(config: DictConfig, settings: DictConfig, usual: DictConfig, source: str) -> str:
    """Return ``DATA_SPLIT`` and what differs from the usual: trimap, composition, imposition and so on.

    Args:
        config: of ``conf/evaluate.yaml``.
        settings: under which the evaluation is made.
        usual: those of the run, or of the method, without the command line's.
        source: name of the data set.
    """
    parts = [f"{source}_{config.split}"]
    trimap = config.data.get("trimap") if "source" in config.data else None
    if trimap is not None and str(trimap) not in _usual_trimaps():
        parts.append(str(trimap))
    if config.get("composition") is not None and usual.get("composition") is not None:
        parts += _changes(settings.composition, usual.composition)
    for key in ("protocol", "impose_trimap"):
        if key in usual and settings[key] != usual[key]:
            parts.append(f"{key}={settings[key]}".lower())
    if config.run is not None and config.checkpoint != "best":
        parts.append(f"checkpoint={Path(config.checkpoint).stem}")
    if config.tile:
        parts.append(f"tile={config.tile}")
    return _safe("_".join(parts))


def free_name(home: Path, name: str, digest: str) -> str:
    """Return ``name``, or ``name`` with a digest if other images were evaluated under it before."""
    before = RunDir(home / name).result() or {}
    known = (before.get("dataset") or {}).get("digest")
    if before.get("status") == FINISHED and known is not None and known != digest:
        return f"{name}_{digest[:DIGITS]}"
    return name


def _usual_trimaps() -> set[str]:
    """Return the trimaps that the files of ``conf/data`` choose themselves."""
    found = set()
    for file in (*conf_dir().glob("data/*.yaml"), *Path().glob("data/*.yaml")):
        try:
            plain = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(plain, dict) and plain.get("trimap") is not None:
            found.add(str(plain["trimap"]))
    return found


def _changes(new: DictConfig, old: DictConfig) -> list[str]:
    """Return the changed keys as ``key=value``, or a digest of them where there are many."""
    ours: Any = OmegaConf.to_container(new, resolve=True)
    theirs: Any = OmegaConf.to_container(old, resolve=True)
    changed = {key: value for key, value in ours.items() if key not in theirs or theirs[key] != value}
    if len(changed) <= MOST_KEYS:
        return [f"{key}={value}" for key, value in changed.items()]
    content = json.dumps(changed, sort_keys=True, default=str).encode()
    return [f"composition={hashlib.sha256(content).hexdigest()[:DIGITS]}"]


def _safe(text: str) -> str:
    """Return ``text`` as the name of a folder.

    >>> _safe("alphamatting_test_trimaps/loose *")
    'alphamatting_test_trimaps_loose_'
    """
    return re.sub(r"[^\w=.-]+", "_", text)
