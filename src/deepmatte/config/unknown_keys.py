"""Keys and choices that a configuration does not have: refused, with what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, QuotedString
from omegaconf import DictConfig, OmegaConf

from deepmatte.config.places import conf_dir, files_of
from deepmatte.errors import InputError, did_you_mean


def known_keys(page: str) -> set[str]:
    """Return the top-level keys and the groups that ``conf/PAGE.yaml`` lists; `page` is train or evaluate."""
    listed = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{page}.yaml"))
    assert isinstance(listed, dict)
    groups = {str(key) for entry in listed.pop("defaults") if isinstance(entry, dict) for key in entry}
    return {str(key) for key in listed} | {group for group in groups if not group.startswith("override ")}


def check_keys(config: DictConfig, page: str, hydra: Any = None) -> None:
    """Refuse a top-level key that nothing reads, such as ``+experiment=stages``, which Hydra adds silently.

    Keys of a user's own are welcome where something in the configuration refers to them, as
    ``length.shares`` refers to ``step`` in ``${study.steps.${step}.shares}``; such references are also looked
    for in ``hydra``.

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


def check_choices(words: Iterable[str]) -> None:
    """Refuse a choice that is no name, such as ``data=2`` or ``loss=[1]``, at which Hydra raises anything.

    Words that Hydra refuses by itself, and its options, pass.

    Raises:
        InputError: it names the word and the choices.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    for word in words:
        try:
            override = parser.parse_override(word)
            value = override.value()
        except HydraException:
            continue
        group = override.key_or_group
        names = files_of(group)
        in_hydra = group.partition("/")[0] == "hydra"  # of its groups we have not all files
        if not (names or in_hydra) or isinstance(value, dict | Glob):
            continue
        chosen = value.list if isinstance(value, ChoiceSweep) else [value]
        if all(_is_choice(choice, override.is_delete()) for choice in chosen):
            continue
        known = f" (there are {', '.join(names)})" if names else ""
        advice = f"; leave it out with ~{group}" if value is None else ""
        raise InputError(f"{word}: has to be the name of a file in {group}/{known}{advice}")


def _is_choice(value: Any, deletes: bool) -> bool:
    """Say whether a value can be a choice of a group, or what ``~GROUP=`` leaves out."""
    if deletes:
        return value is None or isinstance(value, str | QuotedString)
    names = value if isinstance(value, list) else [value]
    return all(isinstance(name, str | QuotedString) and str(name) != "_self_" for name in names)


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
    """Return what is wrong with an unknown ``key``; ``parent`` is the deepest node above it that exists."""
    siblings = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
    above = str(parent._get_full_key(None)) if siblings else ""
    if not above:
        word = key.partition(".")[0]
        meant = did_you_mean(word, known_keys(page) | set(siblings), "{}=") or _listed(page)
        return f"unknown key `{word}`{meant}"
    word = key.removeprefix(f"{above}.").partition(".")[0]
    there = ", ".join(name for name in siblings if not name.startswith("_"))
    meant = (
        did_you_mean(word, siblings, f"{above}.{{}}") or f"; {above} has {there} ({addition} would add it)"
    )
    return f"unknown key `{above}.{word}`{meant}"


def _listed(page: str) -> str:
    return f"; conf/{page}.yaml lists the keys, `deepmatte {page} --cfg job` prints them"
