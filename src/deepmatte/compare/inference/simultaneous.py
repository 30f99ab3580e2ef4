"""Many comparisons under one error rate, by the largest t of a family (Dunnett, Westfall and Young).

Comparisons that share a setting go right and wrong together, which Bonferroni and Holm ignore. Here the
family's joint distribution is drawn: correlated numerators, Student's denominators. Statistics of unequal
degrees of freedom are made comparable by a normal score that grows with |t|, so that one critical score gives
every interval, and every p agrees with its interval exactly: p < level where the interval leaves out 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

DRAWS = 10_000
MOST_NUMBERS = 1_000_000
"""Draws times comparisons at most."""

TAIL = 40
"""Fewer exceedances than this among the draws are too few for a p: beyond them it is scaled from the single
test's.
"""


def to_score(t: Floats, df: Floats | float) -> Floats:
    """Return the normal score of Student's ``t`` (Wallace 1959); it keeps the sign.

    >>> round(float(to_score(np.array(2.571), 5.0)), 2)
    1.96
    """
    df = np.minimum(df, 1e6)
    factor = (8 * df + 1) / (8 * df + 3)
    return np.sign(t) * factor * np.sqrt(df * np.log1p(np.square(t) / df))


def from_score(score: Floats | float, df: Floats) -> Floats:
    """Return the t of a normal score: the inverse of `to_score`."""
    df = np.minimum(df, 1e6)
    factor = (8 * df + 1) / (8 * df + 3)
    with np.errstate(over="ignore"):
        return np.sign(score) * np.sqrt(df * np.expm1(np.square(score / factor) / df))


@dataclass(frozen=True)
class Family:
    """The largest absolute scores of a family where nothing differs, ascending, (draws,)."""

    largest: Floats

    def critical(self, level: float) -> float:
        """Return the score that the largest of the family exceeds with a probability of ``level``."""
        return float(self.largest[len(self.largest) - math.ceil(level * len(self.largest))])

    def adjusted(self, scores: Floats) -> Floats:
        """Return adjusted p-values: the chance that the largest score of a null family is as large.

        Far out, where few draws are, the single test's p is scaled by the number of tests that the family is
        worth there.
        """
        draws = len(self.largest)
        sizes = np.abs(scores)
        p = (draws - np.searchsorted(self.largest, sizes, side="left")) / draws
        edge = self.largest[draws - TAIL]
        worth = TAIL / draws / (2 * special.ndtr(-edge))
        return np.where(sizes > edge, np.minimum(worth * 2 * special.ndtr(-sizes), TAIL / draws), p)


@lru_cache(maxsize=32)
def normals(draws: int, num: int, stream: int) -> Floats:
    """Return (draws, num) standard normal numbers, the same ones for the same ``stream``."""
    return np.random.default_rng((stream, num, draws)).standard_normal((draws, num))


@lru_cache(maxsize=32)
def chi_squares(draws: int, dfs: tuple[float, ...], stream: int) -> Floats:
    """Return (draws, len(dfs)) draws of chi-squared over its degrees of freedom; ones for infinitely many."""
    rng = np.random.default_rng((stream, len(dfs), draws))
    drawn = [rng.chisquare(df, draws) / df if math.isfinite(df) and df > 0 else np.ones(draws) for df in dfs]
    return np.stack(drawn, axis=1)
