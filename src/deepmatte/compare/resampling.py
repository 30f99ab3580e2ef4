"""Resample seeds and foregrounds together, for what has no closed form: the chance to be best, the effect size's interval.

Both are drawn with replacement, independently, and every image of a drawn foreground comes along (Owen's two-way
bootstrap). It counts the remainder of a cell up to three times, so it errs on the wide side.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from deepmatte.compare.panel import Floats

DRAWS = 2000


@lru_cache(maxsize=32)
def multiplicities(num: int, draws: int, stream: tuple[int, ...]) -> Floats:
    """Return (draws, num): how often each of ``num`` things is drawn, over ``num``; every row sums to 1.

    The same ``stream`` of numbers gives the same draws, so that a report can be repeated.
    """
    rng = np.random.default_rng(stream)
    return rng.multinomial(num, np.full(num, 1 / num), size=draws) / num


FOREGROUNDS = (0,)
"""The stream that draws foregrounds; runs are drawn by the stream (1, their seeds)."""


@lru_cache(maxsize=4)
def shares_of_foregrounds(weights: tuple[float, ...], draws: int) -> Floats:
    """Return (draws, foregrounds): the weight of each foreground in the mean of a draw; every row sums to 1."""
    shares = multiplicities(len(weights), draws, FOREGROUNDS) * np.array(weights)
    return shares / shares.sum(axis=1, keepdims=True)


def resample_means(cells: Sequence[Floats], seeds: Sequence[Sequence[int]], weights: Floats, draws: int = DRAWS) -> Floats:
    """Return (draws, settings): the mean of every setting under common draws of foregrounds and seeds.

    ``cells[s]`` is (seeds, foregrounds). Settings with the same list of seeds share the draw of seeds, so that what a
    common seed does to both cancels in their difference.
    """
    shares = shares_of_foregrounds(tuple(weights), draws)
    means = np.empty((draws, len(cells)))
    for number, (table, labels) in enumerate(zip(cells, seeds, strict=True)):
        runs = multiplicities(len(table), draws, (1, *(label % 2**32 for label in labels)))
        means[:, number] = ((shares @ table.T) * runs).sum(axis=1)
    return means


def chance_to_be_best(means: Floats, sign: int) -> Floats:
    """Return (settings,): the share of draws in which each setting has the smallest ``sign * mean``."""
    best = np.argmin(sign * means, axis=1)
    return np.bincount(best, minlength=means.shape[1]) / len(means)


def effect_size(cells: Floats, weights: Floats, level: float, draws: int = DRAWS // 2) -> tuple[float, float, float]:
    """Return Cohen's d of paired differences over foregrounds (mean over standard deviation) and its percentile interval.

    ``cells`` (seeds, foregrounds) are differences. NaN where one foreground or no variation leaves it undefined.
    """
    if cells.shape[1] < 2:
        return (np.nan,) * 3
    seeds = np.full((1, len(cells)), 1 / len(cells))
    shares = np.vstack([weights, shares_of_foregrounds(tuple(weights), draws)])
    runs = np.vstack([seeds, multiplicities(len(cells), draws, (1,))])
    mean = np.einsum("ds,ds->d", shares @ cells.T, runs)
    # sum over f of share[f] * (sum over s of run[s] * cell[s, f])^2, multiplied out: no array of draws x seeds x foregrounds
    products = np.einsum("sf,tf->stf", cells, cells).reshape(-1, cells.shape[1])
    square = np.einsum("dst,ds,dt->d", (shares @ products.T).reshape(-1, len(cells), len(cells)), runs, runs)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.where(deviation > 1e-6 * np.abs(mean), mean / deviation, np.nan)
    if np.isnan(sizes[0]):
        return (np.nan,) * 3
    low, high = np.nanquantile(sizes[1:], [level / 2, 1 - level / 2])
    return float(sizes[0]), float(low), float(high)
