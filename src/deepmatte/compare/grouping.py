"""Name what was varied: a setting is a configuration without its seed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from deepmatte.compare.records import Run, lookup, one_line
from deepmatte.errors import InputError

ABSENT = "default"
"""Level of a factor in a run that neither overrides it nor has its key in the config."""

LOCAL_KEYS = ("hydra", "seed", "force", "resume", "logger", "loggers")
"""First words of keys that say how a run was carried out, not what was run."""

KEY = r"(?:^|(?<=, )|(?<=, at ))(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?=[=: ])"
"""A key in the name of a setting, ``key=value, key=value``, or of an effect, ``key: one to other, at key one against other``."""


@dataclass(frozen=True)
class Setting:
    """A configuration that differs from the others in ``levels`` (factor -> value); ``runs`` are its seeds, in their order."""

    name: str
    levels: dict[str, str]
    runs: list[Run]

    @property
    def seeds(self) -> list[int]:
        """The seeds of the runs, ascending."""
        return [run.seed for run in self.runs]

    @property
    def deterministic(self) -> bool:
        """Whether it has no seeds: a method without a network, which gives the same matte always."""
        return all(run.deterministic for run in self.runs)

    def mean_cost(self, key: str) -> float:
        """Return the mean over the runs of a cost of ``result.json``, such as seconds; NaN where a run lacks it."""
        costs = [(run.result.get("cost") or {}).get(key) for run in self.runs]
        return sum(math.nan if cost is None else float(cost) for cost in costs) / len(costs)


def group_settings(runs: Sequence[Run]) -> list[Setting]:
    """Group runs that differ by their seed only and name each group by the overrides that vary between the groups.

    Where the overrides can't tell two runs of one seed apart (another default, say), the keys of
    ``.hydra/config.yaml`` that differ are factors, too. The same configuration and seed twice is an
    InputError.
    """
    factors = varying([overrides_of(run) for run in runs])
    levels = [levels_of(run, factors) for run in runs]
    clash = first_clash(runs, levels)
    if clash is not None:
        flat = [flatten(read_config(run)) for run in runs]
        factors = factors + [key for key in varying(flat) if key not in factors]
        levels = [
            {key: known.get(key, config.get(key, ABSENT)) for key in factors}
            for known, config in zip(levels, flat, strict=True)
        ]
        clash = first_clash(runs, levels)
    if clash is not None:
        first, second = clash
        raise InputError(
            f"{first.path} and {second.path}: the same configuration and seed ({first.seed}); exclude one of them"
        )
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, level in enumerate(levels):
        groups.setdefault(tuple(level.values()), []).append(number)
    return [
        Setting(
            setting_name(levels[members[0]]),
            levels[members[0]],
            sorted((runs[number] for number in members), key=lambda run: run.seed),
        )
        for members in groups.values()
    ]


def setting_name(levels: Mapping[str, str]) -> str:
    """Return a short name: the choice itself where one group varies, else ``key=value`` pairs without what all keys share.

    A number alone says nothing, so it keeps its key.

    >>> setting_name({"loss": "dice"}), setting_name({"loss": "dice", "model.width": "0.5"})
    ('dice', 'loss=dice, model.width=0.5')
    >>> setting_name({"w_l": "0.5"})
    'w_l=0.5'
    >>> setting_name({"loss.dice.weight": "1", "loss.laplacian.weight": "0"})
    'dice=1, laplacian=0'
    """
    if not levels:
        return "the only setting"
    (key, value), *others = levels.items()
    if not others and "." not in key and not re.fullmatch(r"[-+.\d]+(e[-+]?\d+)?", value):
        return value
    return ", ".join(
        f"{key}={value}" for key, value in zip(short_keys(list(levels)), levels.values(), strict=True)
    )


def short_keys(keys: Sequence[str]) -> list[str]:
    """Return dotted keys without the first and last words that all of them share.

    >>> short_keys(["loss.dice.weight", "loss.focal.gamma"]), short_keys(["loss.dice.weight"])
    (['dice.weight', 'focal.gamma'], ['loss.dice.weight'])
    """
    words = [key.split(".") for key in keys]
    for end in (0, -1):
        while (
            len(words) > 1
            and all(len(item) > 1 for item in words)
            and len({item[end] for item in words}) == 1
        ):
            for item in words:
                del item[end]
    return [".".join(item) for item in words]


def last_words(name: str) -> str:
    """Return a name of settings or of an effect with the last word of each key alone; as it is where two keys have the same one.

    >>> last_words("model.norm=batch, loss.alpha.weight=0.5"), last_words("loss.bce.weight=1, loss.dice.weight=0")
    ('norm=batch, weight=0.5', 'loss.bce.weight=1, loss.dice.weight=0')
    >>> last_words("step: a to b, at composition.augment 0.5 against 0")
    'step: a to b, at augment 0.5 against 0'
    """
    keys = set(re.findall(KEY, name))
    if len({key.rpartition(".")[2] for key in keys}) < len(keys):
        return name
    return re.sub(KEY, lambda found: found[0].rpartition(".")[2], name)


def overrides_of(run: Run) -> dict[str, str]:
    """Return the overrides of a run as ``{key: value}``, without those that only say how it was carried out.

    ``+key=v`` and ``++key=v`` are ``key=v``; a deletion ``~key`` has the value ``(removed)``.
    """
    pairs: dict[str, str] = {}
    for text in run.result.get("overrides") or []:
        key, _, value = one_line(text).partition("=")
        removed = key.startswith("~")
        key = re.sub(r"^[+~]+", "", key)
        if key.split(".")[0].split("/")[0] not in LOCAL_KEYS:
            pairs[key] = "(removed)" if removed else value.strip("'\"")
    return pairs


def levels_of(run: Run, factors: Sequence[str]) -> dict[str, str]:
    """Return the run's level of every factor; one that it does not override is read from its config."""
    overrides = overrides_of(run)
    missing = [key for key in factors if key not in overrides]
    config = read_config(run) if missing else {}
    found = {key: lookup(config, key) for key in missing}
    return {
        key: overrides.get(key, ABSENT if isinstance(found.get(key), dict | None) else str(found.get(key)))
        for key in factors
    }


def varying(mappings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the keys that do not have one and the same value in all mappings, in order of first sight."""
    keys = dict.fromkeys(key for mapping in mappings for key in mapping)
    return [key for key in keys if len({mapping.get(key) for mapping in mappings}) > 1]


def first_clash(runs: Sequence[Run], levels: Sequence[Mapping[str, str]]) -> tuple[Run, Run] | None:
    """Return the first two runs of equal levels and equal seed, or None."""
    keys = [(tuple(level.values()), run.seed) for run, level in zip(runs, levels, strict=True)]
    twice = next((key for key, count in Counter(keys).items() if count > 1), None)
    if twice is None:
        return None
    first, second = [run for run, key in zip(runs, keys, strict=True) if key == twice][:2]
    return first, second


def read_config(run: Run) -> dict[str, Any]:
    """Return ``.hydra/config.yaml`` as nested dicts, {} where it is missing or unreadable."""
    try:
        config = yaml.load(
            (run.path / ".hydra" / "config.yaml").read_text(encoding="utf-8"),
            Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
        )
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return config if isinstance(config, dict) else {}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested dicts as dotted keys, without the keys that only say how a run was carried out.

    >>> flatten({"loss": {"dice": {"weight": 1}}, "seed": 3})
    {'loss.dice.weight': '1'}
    """
    flat: dict[str, str] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if not prefix and name in LOCAL_KEYS:
            continue
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = str(value)
    return flat
