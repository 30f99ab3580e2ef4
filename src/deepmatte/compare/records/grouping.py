"""Name what was varied: a setting is a configuration without its seed."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from deepmatte.compare.records.naming import setting_name, setting_names
from deepmatte.compare.records.reading import Run, first_line, lookup
from deepmatte.errors import InputError
from deepmatte.files import check_yaml
from deepmatte.runs.identity import identifies

ABSENT = "default"
"""Level of a factor in a run that neither overrides it nor has its key in the config."""

_SPELT = {"True": "true", "False": "false", "None": "null"}
"""Values as YAML spells them: of a grid, Hydra records the Python objects that it has read."""

TUNING_FILE = "tuning.json"
"""In a sweep whose settings were tuned: the key, the scores of its values, and the chosen ones."""


@dataclass(frozen=True)
class Setting:
    """A configuration that differs from the others in ``levels`` (factor -> value); ``runs`` by seed."""

    name: str
    levels: dict[str, str]
    runs: list[Run]

    @property
    def full_name(self) -> str:
        """The name with all keys, also where `name` leaves out those at their common levels."""
        return setting_name(self.levels)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the runs, ascending."""
        return [run.seed for run in self.runs]

    @property
    def deterministic(self) -> bool:
        """Whether it has no seeds: a method without a network, which gives the same matte always."""
        return all(run.deterministic for run in self.runs)

    def mean_cost(self, key: str) -> float:
        """Return a cost of ``result.json``, such as seconds, as mean of the runs; NaN where one lacks it."""
        costs = [(run.result.get("cost") or {}).get(key) for run in self.runs]
        return sum(math.nan if cost is None else float(cost) for cost in costs) / len(costs)


def group_settings(runs: Sequence[Run]) -> list[Setting]:
    """Group runs that differ by their seed only and name each group by the overrides that vary.

    Where the overrides can't tell two runs of one seed apart (another default, say), the keys of
    ``.hydra/config.yaml`` that differ are factors, too. The same configuration and seed twice is an
    InputError.
    """
    factors = varying([overrides_of(run) for run in runs])
    levels = [levels_of(run, factors) for run in runs]
    if tuned := tuned_keys(runs) & set(factors):
        others = [{key: value for key, value in level.items() if key not in tuned} for level in levels]
        if first_clash(runs, others) is None:  # they tell the settings apart
            factors, levels = [key for key in factors if key not in tuned], others
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
            f"{first.path} and {second.path}: the same configuration and seed ({first.seed}); "
            "exclude one of them"
        )
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, level in enumerate(levels):
        groups.setdefault(tuple(level.values()), []).append(number)
    names = setting_names([levels[members[0]] for members in groups.values()])
    return [
        Setting(name, levels[members[0]], sorted((runs[item] for item in members), key=lambda run: run.seed))
        for name, members in zip(names, groups.values(), strict=True)
    ]


def tuned_keys(runs: Sequence[Run]) -> set[str]:
    """Return the keys that were tuned for each setting, by the `TUNING_FILE` of the runs' sweeps."""
    found = set()
    for home in {run.path.parent for run in runs}:
        try:
            found.add(str(json.loads((home / TUNING_FILE).read_text(encoding="utf-8"))["key"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def find_setting(settings: Sequence[Setting], name: str) -> Setting | None:
    """Return the setting of this name, in short or in full; None where there is none."""
    name = re.sub(r"(?<==)(True|False|None)(?=,|$)", lambda found: _SPELT[found[0]], name)
    return next((item for item in settings if name in (item.name, item.full_name)), None)


def overrides_of(run: Run) -> dict[str, str]:
    """Return the overrides of a run as ``{key: value}``, without those that only say how it was carried out.

    ``+key=v`` and ``++key=v`` are ``key=v``; a deletion ``~key`` has the value ``(removed)``.
    """
    pairs: dict[str, str] = {}
    for text in run.result.get("overrides") or []:
        key, _, value = first_line(text).partition("=")
        removed = key.startswith("~")
        key = re.sub(r"^[+~]+", "", key)
        if key != "seed" and identifies(key, given=True):
            value = value.strip("'\"")
            pairs[key] = "(removed)" if removed else _SPELT.get(value, value)
    return pairs


def levels_of(run: Run, factors: Sequence[str]) -> dict[str, str]:
    """Return the run's level of every factor; one that it does not override is read from its config."""
    overrides = overrides_of(run)
    missing = [key for key in factors if key not in overrides]
    config = read_config(run) if missing else {}
    found = {key: lookup(config, key) for key in missing}
    own = {
        key: ABSENT if isinstance(value, dict | None) else _SPELT.get(str(value), str(value))
        for key, value in found.items()
    }
    return {key: overrides[key] if key in overrides else own[key] for key in factors}


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
    file = run.path / ".hydra" / "config.yaml"
    try:
        check_yaml(file)
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        config = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506  # both make plain data
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
        if name == "seed" or not identifies(name):
            continue
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = str(value)
    return flat
