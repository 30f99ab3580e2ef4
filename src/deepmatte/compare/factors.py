"""Main effects and interactions of what was swept: does Dice help, and does it still help given Laplacian?

Every effect is a contrast of settings that differ in nothing but the factors in question, so an incomplete
grid compares like with like.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from deepmatte.compare.comparison import variances_of
from deepmatte.compare.inference.difference import Estimate
from deepmatte.compare.inference.infer import infer
from deepmatte.compare.inference.variance import Floats, Variances
from deepmatte.compare.score_table import ScoreTable

MOST_EFFECTS = 200
"""A sweep with more effects than this is described by its main effects only."""


@dataclass(frozen=True)
class Effect:
    """How a score changes when ``factor`` goes from ``reference`` to ``level``, over what else varies.

    With ``given`` (factor, reference, level) it is an interaction: how much that change differs between the
    two levels of ``given``, and ``at`` are the changes at these two levels: whether Dice helps without
    Laplacian, and with it. ``num`` is the number of matched pairs (or fours) of settings; ``p_adjusted`` and
    the interval are simultaneous over all effects of the sweep.
    """

    factor: str
    reference: str
    level: str
    given: tuple[str, str, str] | None
    estimate: Estimate
    p_adjusted: float
    num: int
    at: tuple[Estimate, Estimate] | None = None

    @property
    def name(self) -> str:
        """The effect in words."""
        text = f"{self.factor}: {self.reference} to {self.level}"
        return (
            text
            if self.given is None
            else f"{text}, at {self.given[0]} {self.given[2]} against {self.given[1]}"
        )


Contrast = tuple[str, str, str, tuple[str, str, str] | None, Floats, int, tuple[Floats, Floats] | None]
"""Factor, reference, level, given, weights of the settings, number of matches; an interaction's weights at
both levels of ``given``.
"""


def effects(table: ScoreTable) -> list[Effect]:
    """Return all main effects, then all interactions of two factors; [] where fewer than two factors vary."""
    levels = [setting.levels for setting in table.settings]
    factors = factor_levels(levels)
    if len(factors) < 2:
        return []
    contrasts = list(main_contrasts(levels, factors))
    crossed = list(interaction_contrasts(levels, factors))
    if len(contrasts) + len(crossed) <= MOST_EFFECTS:
        contrasts += crossed
    if not contrasts:
        return []
    parts = variances_of(table)
    found = estimates(parts, np.stack([contrast[4] for contrast in contrasts]))
    rows = [weights for contrast in contrasts if contrast[6] is not None for weights in contrast[6]]
    at = iter(estimates(parts, np.stack(rows)) if rows else [])
    return [
        Effect(
            *contrast[:4], result, p, contrast[5], None if contrast[6] is None else (next(at)[0], next(at)[0])
        )
        for contrast, (result, p) in zip(contrasts, found, strict=True)
    ]


def estimates(parts: Variances, matrix: Floats) -> list[tuple[Estimate, float]]:
    """Return contrasts of the means with simultaneous intervals, and their adjusted p."""
    generalises = not np.isnan(parts.own).any()
    result = infer(parts if generalises else parts.as_trained(), matrix, absolute=True)
    p, adjusted = (result.p, result.adjusted) if generalises else np.full((2, len(matrix)), math.nan)
    columns = (result.values, result.errors, result.df, result.low, result.high, p)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    found = [
        Estimate(mean, error, df, low, high, alone, generalises) for mean, error, df, low, high, alone in rows
    ]
    return list(zip(found, adjusted.tolist(), strict=True))


def factor_levels(levels: Sequence[dict[str, str]]) -> dict[str, list[str]]:
    """Return the factors that vary with their levels in order; the first level is the reference.

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


def interaction_contrasts(
    levels: Sequence[dict[str, str]], factors: dict[str, list[str]]
) -> Iterator[Contrast]:
    """Yield the difference of differences of every two factors at two levels that four settings match."""
    for one, two in combinations(factors, 2):
        for level in factors[one][1:]:
            for given in factors[two][1:]:
                zero, base = factors[one][0], factors[two][0]
                matched = matches(
                    levels, (one, two), ((zero, base), (level, base), (zero, given), (level, given))
                )
                if matched:
                    without, with_it = np.zeros((2, len(levels)))
                    for group in matched:
                        without[list(group[:2])] += np.array([-1, 1]) / len(matched)
                        with_it[list(group[2:])] += np.array([-1, 1]) / len(matched)
                    yield (
                        one,
                        zero,
                        level,
                        (two, base, given),
                        with_it - without,
                        len(matched),
                        (without, with_it),
                    )


def matches(
    levels: Sequence[dict[str, str]], keys: Sequence[str], wanted: Sequence[Sequence[str]]
) -> list[tuple[int, ...]]:
    """Return the groups of settings with the ``wanted`` levels of ``keys`` in turn, equal in all else."""
    table: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}
    for number, level in enumerate(levels):
        rest = tuple(value for key, value in level.items() if key not in keys)
        table.setdefault(rest, {})[tuple(level[key] for key in keys)] = number
    return [
        tuple(found[tuple(item)] for item in wanted)
        for found in table.values()
        if all(tuple(item) in found for item in wanted)
    ]
