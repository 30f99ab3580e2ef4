"""How sure a mean or a difference is when both seeds and foregrounds are samples of larger populations.

A score of (seed r, foreground f) is modelled as mean + seed effect + foreground effect + remainder. The variance of its
mean is the two-way clustered one (Cameron, Gelbach and Miller 2011): that over seeds plus that over foregrounds minus what
both count, the variance over cells. It is the limit that resampling seeds and foregrounds tends to (Owen 2007), without the
noise of a finite number of draws; `deepmatte.compare.resampling` draws where no closed form exists. Taking image pairs as
independent, as is often done, ignores the seeds and the common foreground of composites and finds differences in noise.
What a few seeds can't tell of their own variance is taken from the whole sweep (`deepmatte.compare.moderation`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from deepmatte.compare.moderation import ALONE, Prior, moderated
from deepmatte.compare.panel import Floats

FEW_SEEDS = 5
"""With fewer seeds than this the variance between seeds limits what can be said."""

LEVEL = 0.05
"""Significance level of the family of comparisons; intervals are of confidence ``1 - LEVEL``."""

Pair = tuple[Floats, Floats]


@dataclass(frozen=True)
class Spread:
    """Squared standard errors of a mean over ``seeds`` x ``foregrounds``; NaN for a part that one level can't show."""

    mean: float
    between_seeds: float
    between_foregrounds: float
    between_cells: float
    seeds: int
    foregrounds: int


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, degrees of freedom, 95 % interval and two-sided p against zero.

    ``generalises`` is False with one seed: the interval then holds for these trained networks, not for their settings,
    and ``p`` is NaN. With one foreground it holds for that foreground only.
    """

    mean: float
    error: float
    df: float
    low: float
    high: float
    p: float
    generalises: bool


def spread(cells: Floats, weights: Floats) -> Spread:
    """Return the parts of the variance of ``weights``-ed mean of ``cells`` (seeds, foregrounds)."""
    seeds, foregrounds = cells.shape
    rows, columns = cells @ weights, cells.mean(axis=0)
    mean = float(rows.mean())
    over_seeds = float(rows.var(ddof=1)) / seeds if seeds > 1 else math.nan
    small = foregrounds / (foregrounds - 1) if foregrounds > 1 else math.nan
    over_foregrounds = small * float(np.sum(weights**2 * (columns - mean) ** 2))
    rest = cells - rows[:, None] - columns + mean
    over_cells = small * float(np.sum(weights**2 * (rest**2).sum(axis=0))) / ((seeds - 1) * seeds) if seeds > 1 else math.nan
    return Spread(mean, over_seeds, over_foregrounds, over_cells, seeds, foregrounds)


def estimate(part: Spread, prior: Prior = ALONE, scale: float = 1.0) -> Estimate:
    """Return mean and interval of a `Spread`; ``prior`` is what the sweep says of the variance between seeds."""
    if part.seeds < 2:
        return finish(part.mean, part.between_foregrounds, max(part.foregrounds - 1, 1), generalises=False)
    seeds, seeds_df = moderated(part.between_seeds, part.seeds, prior, scale)
    if part.foregrounds < 2:
        return finish(part.mean, seeds, seeds_df, generalises=True)
    variance, df = combined(seeds, part.between_foregrounds, part.between_cells, seeds_df, part.foregrounds - 1)
    return finish(part.mean, float(variance), float(df), generalises=True)


def combined(seeds: Floats | float, foregrounds: Floats | float, cells: Floats | float, seeds_df: float, foregrounds_df: int) -> Pair:
    """Return the variance of a mean and its degrees of freedom from the three parts of a `Spread`.

    The degrees of freedom are Satterthwaite's, but those of the seeds alone while these are fewer than four: with so few a lucky
    small estimate would be believed.
    """
    variance = np.maximum(seeds + foregrounds - cells, np.maximum(seeds, foregrounds))
    df = np.full_like(variance, seeds_df)
    if seeds_df >= 4:
        parts = np.square(seeds) / seeds_df + np.square(foregrounds) / foregrounds_df
        np.divide(np.square(variance), parts, out=df, where=parts > 0)
    return variance, df


def finish(mean: float, variance: float, df: float, *, generalises: bool) -> Estimate:
    """Return the estimate with Student's interval; an unknown variance gives an interval without bounds."""
    if math.isnan(variance):
        return Estimate(mean, math.nan, df, -math.inf, math.inf, math.nan, generalises)
    error = math.sqrt(variance)
    half = float(special.stdtrit(df, 1 - LEVEL / 2)) * error
    p = math.nan
    if generalises:
        p = float(2 * special.stdtr(df, -abs(mean) / error)) if error > 0 else float(mean == 0)
    return Estimate(mean, error, df, mean - half, mean + half, p, generalises)


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method; NaN stays NaN and is no member of the family.

    >>> holm([0.01, 0.04, float("nan")])
    [0.02, 0.04, nan]
    """
    values = np.array(p, dtype=float)  # statsmodels has it too, but costs a second to import and collects garbage at each call
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]  # NaN sorts last
    values[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)), 1)
    return values.tolist()


def wilcoxon(differences: Floats) -> Floats:
    """Return (pairs,): p-values of Wilcoxon's signed-rank test of ``differences`` (pairs, foregrounds), averaged over seeds.

    A check on shape and outliers only: it takes the trained networks as given and is blind to the variance between seeds.
    NaN where there are no two foregrounds or no difference.
    """
    p = np.full(len(differences), math.nan)
    vary = np.any(differences, axis=1)
    if differences.shape[1] > 1 and vary.any():
        p[vary] = stats.wilcoxon(differences[vary], axis=1).pvalue
    return p
