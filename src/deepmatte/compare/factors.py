"""Main effects and interactions of what was swept: does Dice help, and does it still help given Laplacian?

Every effect is a contrast of settings that differ in nothing but the factors in question, so an incomplete grid compares like with like.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from deepmatte.compare.comparison import prior_of
from deepmatte.compare.moderation import Prior
from deepmatte.compare.panel import Floats, Panel
from deepmatte.compare.statistics import Estimate, estimate, holm, spread

MOST_EFFECTS = 200
"""A sweep with more effects than this is described by its main effects only."""


@dataclass(frozen=True)
class Effect:
    """How a score changes when ``factor`` goes from ``reference`` to ``level``, averaged over what else varies.

    With ``given`` (factor, reference, level) it is an interaction: how much that change differs between the two levels of
    ``given``, and ``at`` are the changes at these two levels: whether Dice helps without Laplacian, and with it. ``num`` is the
    number of matched pairs (or fours) of settings; ``p_holm`` is corrected over all effects of the sweep.
    """

    factor: str
    reference: str
    level: str
    given: tuple[str, str, str] | None
    estimate: Estimate
    p_holm: float
    num: int
    at: tuple[Estimate, Estimate] | None = None

    @property
    def name(self) -> str:
        """The effect in words."""
        text = f"{self.factor}: {self.reference} to {self.level}"
        return text if self.given is None else f"{text}, at {self.given[0]} {self.given[2]} against {self.given[1]}"


Contrast = tuple[str, str, str, tuple[str, str, str] | None, Floats, int, tuple[Floats, Floats] | None]
"""Factor, reference, level, given, weights of the settings, number of matches; an interaction's weights at both levels of ``given``."""


def effects(panel: Panel) -> list[Effect]:
    """Return all main effects, then all interactions of two factors; [] where fewer than two factors vary or no seed is shared."""
    levels = [setting.levels for setting in panel.settings]
    factors = factor_levels(levels)
    seeds = sorted(set.intersection(*(set(setting.seeds) for setting in panel.settings)))
    if len(factors) < 2 or not seeds:
        return []
    contrasts = list(main_contrasts(levels, factors))
    crossed = list(interaction_contrasts(levels, factors))
    if len(contrasts) + len(crossed) <= MOST_EFFECTS:
        contrasts += crossed
    runs = [[setting.seeds.index(seed) for seed in seeds] for setting in panel.settings]
    cells = np.stack([panel.cells(number)[row] for number, row in enumerate(runs)])
    prior = prior_of_difference(cells, panel.weights)

    def estimated(weights: Floats) -> Estimate:
        part = spread(np.tensordot(weights, cells, axes=1), panel.weights)
        return estimate(part, prior, scale=float(np.sum(weights**2)) / 2)  # a difference, whose variance is known, has 2 / 2

    estimates = [estimated(contrast[4]) for contrast in contrasts]
    corrected = holm([item.p for item in estimates])
    at = [None if contrast[6] is None else (estimated(contrast[6][0]), estimated(contrast[6][1])) for contrast in contrasts]
    rows = zip(contrasts, estimates, corrected, at, strict=True)
    return [Effect(*contrast[:4], result, p, contrast[5], both) for contrast, result, p, both in rows]


def factor_levels(levels: Sequence[dict[str, str]]) -> dict[str, list[str]]:
    """Return the factors that vary with their levels, numbers in their order; the first level is the reference.

    >>> factor_levels([{"w": "1"}, {"w": "0.5"}, {"w": "0"}])
    {'w': ['0', '0.5', '1']}
    """
    found = {key: list(dict.fromkeys(level[key] for level in levels)) for key in levels[0]}
    return {key: sorted(values, key=by_number) for key, values in found.items() if len(values) > 1}


def by_number(level: str) -> tuple[float, str]:
    """Order numbers by size and before words; among words 'default' and 'null' come first."""
    try:
        return float(level), ""
    except ValueError:
        return math.inf, "" if level in ("default", "null", "None") else level


def main_contrasts(levels: Sequence[dict[str, str]], factors: dict[str, list[str]]) -> Iterator[Contrast]:
    """Yield the contrast of every main effect that has a pair."""
    for factor, (reference, *others) in factors.items():
        for level in others:
            matched = matches(levels, (factor,), ((reference,), (level,)))
            if matched:
                weights = np.zeros(len(levels))
                for low, high in matched:
                    weights[high] += 1 / len(matched)
                    weights[low] -= 1 / len(matched)
                yield factor, reference, level, None, weights, len(matched), None


def interaction_contrasts(levels: Sequence[dict[str, str]], factors: dict[str, list[str]]) -> Iterator[Contrast]:
    """Yield the difference of differences of every two factors at every two non-reference levels that has four matched settings."""
    for one, two in combinations(factors, 2):
        for level in factors[one][1:]:
            for given in factors[two][1:]:
                zero, base = factors[one][0], factors[two][0]
                matched = matches(levels, (one, two), ((zero, base), (level, base), (zero, given), (level, given)))
                if matched:
                    without, with_it = np.zeros((2, len(levels)))
                    for group in matched:
                        without[list(group[:2])] += np.array([-1, 1]) / len(matched)
                        with_it[list(group[2:])] += np.array([-1, 1]) / len(matched)
                    yield one, zero, level, (two, base, given), with_it - without, len(matched), (without, with_it)


def matches(levels: Sequence[dict[str, str]], keys: Sequence[str], wanted: Sequence[Sequence[str]]) -> list[tuple[int, ...]]:
    """Return the groups of settings that have the ``wanted`` levels of ``keys`` in turn and agree in all other factors."""
    table: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}
    for number, level in enumerate(levels):
        rest = tuple(value for key, value in level.items() if key not in keys)
        table.setdefault(rest, {})[tuple(level[key] for key in keys)] = number
    return [tuple(found[tuple(item)] for item in wanted) for found in table.values() if all(tuple(item) in found for item in wanted)]


def prior_of_difference(cells: Floats, weights: Floats) -> Prior:
    """Return what the sweep says of the variance between seeds of a difference; ``cells`` is (settings, seeds, foregrounds)."""
    num, seeds, _ = cells.shape
    prior = prior_of([spread(table, weights) for table in cells - cells.mean(axis=0)], [spread(table, weights) for table in cells], 0)
    # the mean over pairs is twice the mean over settings of what a seed does beyond the common effect, times S / (S - 1)
    return Prior(2 * num / (num - 1) * prior.variance, prior.df, (num - 1) * (seeds - 1))
