"""Contrasts of settings with simultaneous intervals and adjusted p-values that agree with each other, always.

Two statements are possible of every comparison. *On this test set*: other seeds would be drawn, the
foregrounds stay; only seeds are random. *For new foregrounds*: both are drawn again; the variance is
clustered two ways (Cameron, Gelbach and Miller 2011), over seeds plus over foregrounds minus what both count.
The second is the one that verdicts use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from deepmatte.compare.inference.simultaneous import (
    DRAWS,
    MOST_NUMBERS,
    Family,
    chi_squares,
    from_score,
    normals,
    to_score,
)
from deepmatte.compare.inference.variance import Floats, Variances

LEVEL = 0.05
"""Error rate of a family of comparisons; intervals are of simultaneous confidence ``1 - LEVEL``."""


LUCK = 0.5
"""The limit of a variance between seeds that degrees of freedom reckon with has this chance of being too low.

Satterthwaite's formula with the estimate itself takes a lucky small one for a small share: 8.7 % false
positives with two settings and two seeds, where one degree of freedom meets many foregrounds.
"""


@dataclass(frozen=True)
class Errors:
    """Variances of K contrasts and Satterthwaite's degrees of freedom; NaN where unknown."""

    seeds: Floats
    foregrounds: Floats
    variance: Floats
    df: Floats


@dataclass(frozen=True)
class Result:
    """K contrasts with simultaneous intervals, on the scale of `Variances.values`.

    Attributes:
        values, errors, df: (K,) contrast, its standard error, its degrees of freedom.
        p: (K,) two-sided p against 0 of each contrast alone; NaN where unknown.
        adjusted: (K,) p adjusted over the family: below `LEVEL` exactly where the interval leaves out 0.
        low, high: (K,) the simultaneous interval of confidence ``1 - LEVEL``.
        inner: (K,) half width of the simultaneous interval of confidence ``1 - 2 * LEVEL``, for two one-sided
            tests of equivalence.
    """

    values: Floats
    errors: Floats
    df: Floats
    p: Floats
    adjusted: Floats
    low: Floats
    high: Floats
    inner: Floats


def contrast_errors(parts: Variances, matrix: Floats, *, fixed_foregrounds: bool = False) -> Errors:
    """Return the variances of the contrasts ``matrix`` (K, S).

    With ``fixed_foregrounds`` the seeds alone are random. Otherwise a setting whose variance between seeds is
    unknown makes the contrast's unknown.
    """
    squares = matrix**2
    used = squares > 0
    own = np.where(used, squares * np.where(used, parts.own, 0.0), 0.0)
    common = parts.common * np.square(matrix @ parts.shares).sum(axis=1)
    seeds = own.sum(axis=1) + common
    # Moderated variances share their prior, so together they know no more than the whole sweep does.
    spent = np.square(own) / np.maximum(parts.own_df, 1.0)
    seeds_df = _satterthwaite(own.sum(axis=1), spent.sum(axis=1), max(parts.residual_df, 1.0))
    seeds_df = _satterthwaite(seeds, own.sum(axis=1) ** 2 / seeds_df + common**2 / parts.common_df)
    if not fixed_foregrounds and parts.foregrounds_df < 1:
        seeds = np.where(seeds > 0, seeds, math.nan)  # nothing random here generalises to other foregrounds
    if fixed_foregrounds or parts.foregrounds_df < 1:
        return Errors(seeds, np.zeros_like(seeds), seeds, seeds_df)
    foregrounds = np.square(matrix @ parts.columns).sum(axis=1)
    cells = np.where(used, squares * np.where(used, parts.cells, 0.0), 0.0).sum(axis=1)
    # A variance that comes out small by luck must not count as one that is small: its share is taken from its
    # upper limit.
    upper = seeds * seeds_df / special.chdtri(seeds_df, 1 - LUCK)
    df = _satterthwaite(
        total(upper, foregrounds, cells), upper**2 / seeds_df + foregrounds**2 / parts.foregrounds_df
    )
    return Errors(seeds, foregrounds, total(seeds, foregrounds, cells), df)


def total(seeds: Floats, foregrounds: Floats, cells: Floats) -> Floats:
    """Return the variance clustered two ways, at least that over seeds and that over foregrounds."""
    return np.maximum(seeds + foregrounds - cells, np.maximum(seeds, foregrounds))


def _satterthwaite(variance: Floats, spent: Floats, most: float = math.inf) -> Floats:
    """Return the degrees of freedom of a sum of variances; 1 where nothing varies."""
    df = np.divide(np.square(variance), spent, out=np.full_like(variance, 1.0), where=spent > 0)
    return np.minimum(df, most)


def null_family(parts: Variances, matrix: Floats, errors: Errors, draws: int) -> Family:
    """Return the family of the contrasts where no setting differs from another.

    Numerators are drawn as the settings' own seed effects, the common ones that do not cancel, and deviations
    of foregrounds, so that contrasts are correlated as the sweep's are; denominators are Student's, those of
    seeds shared by the contrasts of a setting.
    """
    count, num = matrix.shape
    draws = max(min(draws, MOST_NUMBERS // count), 1000)
    seed_part = np.maximum(errors.variance - errors.foregrounds, 0.0)
    own = np.sqrt(np.nan_to_num(parts.own))
    noise = (normals(draws, num, 1) * own) @ matrix.T
    if parts.common > 0:
        noise += math.sqrt(parts.common) * (
            normals(draws, parts.shares.shape[1], 2) @ (matrix @ parts.shares).T
        )
    scale = np.sqrt(np.divide(seed_part, errors.seeds, out=np.zeros(count), where=errors.seeds > 0))
    noise *= scale
    if errors.foregrounds.any():
        columns = parts.compact_columns
        noise += normals(draws, columns.shape[1], 3) @ (matrix @ columns).T
    spread = chi_squares(draws, tuple(np.round(errors.df, 1)), 4)
    t = np.abs(noise) / np.sqrt(errors.variance * spread)
    return Family(np.sort(to_score(t, errors.df).max(axis=1)))


def infer(
    parts: Variances,
    matrix: Floats,
    *,
    fixed_foregrounds: bool = False,
    screening: bool = False,
    absolute: bool = False,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Result:
    """Return the contrasts ``matrix`` (K, S) of `Variances.values` with one error rate over all of them.

    With ``absolute`` they are contrasts of the means instead, on the metric's own scale. ``screening``
    controls the false discovery rate instead (Benjamini and Hochberg 1995), with intervals that fit it
    (Benjamini and Yekutieli 2005).
    """
    values = matrix @ (parts.means if absolute else parts.values)
    if absolute and parts.relative:
        matrix = matrix * parts.means
    errors = contrast_errors(parts, matrix, fixed_foregrounds=fixed_foregrounds)
    size = np.sqrt(errors.variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(size > 0, values / size, np.where(values == 0, 0.0, np.copysign(math.inf, values)))
    t = np.where(np.isnan(size), math.nan, t)
    p = 2 * special.stdtr(errors.df, -np.abs(t))
    adjusted, critical, inner = (
        np.full_like(p, math.nan),
        np.full_like(p, math.inf),
        np.full_like(p, math.inf),
    )
    known = np.flatnonzero(~np.isnan(t))
    uncertain = known[size[known] > 0]
    critical[known], inner[known], adjusted[known] = 0.0, 0.0, (values[known] == 0).astype(float)
    if screening:
        adjusted[known] = false_discovery(p[known])
        at = max(int((adjusted[known] < level).sum()), 1) * level / max(len(known), 1)
        critical[uncertain] = special.stdtrit(errors.df[uncertain], 1 - at / 2)
        inner[uncertain] = special.stdtrit(errors.df[uncertain], 1 - at)
    elif len(uncertain) == 1:
        adjusted[uncertain] = p[uncertain]
        critical[uncertain] = special.stdtrit(errors.df[uncertain], 1 - level / 2)
        inner[uncertain] = special.stdtrit(errors.df[uncertain], 1 - level)
    elif len(uncertain):
        some = Errors(
            *(getattr(errors, name)[uncertain] for name in ("seeds", "foregrounds", "variance", "df"))
        )
        family = null_family(parts, matrix[uncertain], some, draws)
        adjusted[uncertain] = np.maximum(family.adjusted(to_score(t[uncertain], some.df)), p[uncertain])
        critical[uncertain] = from_score(family.critical(level), some.df)
        inner[uncertain] = from_score(family.critical(2 * level), some.df)
    with np.errstate(invalid="ignore"):
        half = np.where(np.isfinite(critical), critical * size, math.inf)
        inner = np.where(np.isfinite(inner), inner * size, math.inf)
    return Result(values, size, errors.df, p, adjusted, values - half, values + half, inner)


def false_discovery(p: Floats) -> Floats:
    """Return p-values adjusted by Benjamini and Hochberg's step-up method.

    >>> false_discovery(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    order = np.argsort(p)[::-1]
    result = np.empty_like(p)
    result[order] = np.minimum(np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1)), 1.0)
    return result


def against(settings: int, baseline: int) -> Floats:
    """Return the contrasts (settings - 1, settings) of every other setting minus ``baseline``."""
    matrix = np.delete(np.eye(settings), baseline, axis=0)
    matrix[:, baseline] = -1
    return matrix


def difference_matrix(settings: int, couples: list[tuple[int, int]]) -> Floats:
    """Return the contrasts (pairs, settings) of the first minus the second of each pair."""
    matrix = np.zeros((len(couples), settings))
    for row, (first, second) in enumerate(couples):
        matrix[row, first], matrix[row, second] = 1, -1
    return matrix
