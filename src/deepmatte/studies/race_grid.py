"""The settings of an experiment's grid, and the overrides that run some of them with some seeds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf

from deepmatte.compare.records.naming import setting_names
from deepmatte.config.compose import explained
from deepmatte.errors import InputError
from deepmatte.studies.study import Study
from deepmatte.sweeps.sweep_file import is_grid

Point = tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """The keys of a grid that have several values, without the seed, and its settings by name."""

    keys: tuple[str, ...]
    settings: dict[str, Point]

    def setting_of(self, overrides: Sequence[str]) -> str | None:
        """Return the setting of a job with these overrides; None where it is of none."""
        given = set(overrides)
        return next(
            (
                name
                for name, point in self.settings.items()
                if {f"{key}={value}" for key, value in zip(self.keys, point, strict=True)} <= given
            ),
            None,
        )

    def sweeps(self, study: Study, names: Sequence[str], seeds: Sequence[int]) -> list[Study]:
        """Return the study restricted to these settings and seeds: one sweep for each block of the grid."""
        own = {*self.keys, "seed"}
        others = tuple(word for word in study.overrides if word.partition("=")[0] not in own)
        seed = f"seed={','.join(map(str, seeds))}"
        return [
            replace(
                study,
                overrides=(
                    *others,
                    *(f"{key}={','.join(values)}" for key, values in zip(self.keys, block, strict=True)),
                    seed,
                ),
            )
            for block in blocks([self.settings[name] for name in names])
        ]


def blocks(points: Sequence[Point]) -> list[list[list[str]]]:
    """Return few products of values that hold each of the points once, as lists of values of each key.

    >>> blocks([("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("c", "2")])
    [[['a', 'b'], ['1', '2']], [['c'], ['2']]]
    """
    if not points[0]:
        return [[]]
    tails: dict[str, list[Point]] = {}
    for first, *rest in points:
        tails.setdefault(first, []).append(tuple(rest))
    alike: dict[tuple[Point, ...], list[str]] = {}
    for value, found in tails.items():
        alike.setdefault(tuple(sorted(found)), []).append(value)
    return [[values, *block] for found, values in alike.items() for block in blocks(found)]


def grid_of(study: Study) -> Grid:
    """Return the grid of a study.

    Raises:
        InputError: it is a search, seeds were given, or there is nothing to compare.
    """
    if not is_grid(study.hydra):
        raise InputError(f"{study.name}: is a search; a race needs a grid of settings (hydra/sweeper=basic)")
    for word in study.overrides:
        if word.partition("=")[0] in ("seed", "seeds"):
            raise InputError(f"{word}: a race chooses its seeds; leave it out (--most limits their number)")
    params = OmegaConf.to_container(study.hydra.sweeper.get("params") or OmegaConf.create({}), resolve=True)
    assert isinstance(params, dict)
    words = [f"{key!s}={value}" for key, value in params.items()] + list(study.overrides)
    try:
        parsed = OverridesParser.create().parse_overrides(words)
        # A key that is given twice counts once, with its last values, as in the sweep.
        values = {override.get_key_element(): values_of(override) for override in parsed}
    except HydraException as error:
        raise InputError(f"{study.name}: {explained(error)}") from error
    varied = {key: found for key, found in values.items() if len(found) > 1 and key != "seed"}
    points = list(itertools.product(*varied.values()))
    if len(points) < 2:
        raise InputError(f"{study.name}: has only one setting; a race needs at least 2")
    names = setting_names([dict(zip(varied, point, strict=True)) for point in points])
    return Grid(tuple(varied), dict(zip(names, points, strict=True)))


def values_of(override: Override) -> list[str]:
    """Return the values of an override, each as one word that Hydra reads back."""
    if override.is_sweep_override():
        if not override.is_discrete_sweep():
            raise InputError(f"{override.input_line}: a range is for a search; list the values")
        return list(dict.fromkeys(override.sweep_string_iterator()))
    return [override.get_value_element_as_str()]
