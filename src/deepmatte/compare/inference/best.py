"""How likely each setting is the best, and how large differences are beside what foregrounds vary."""

from __future__ import annotations

import numpy as np
from scipy import special

from deepmatte.compare.inference.infer import LEVEL, against, contrast_errors
from deepmatte.compare.inference.simultaneous import chi_squares, normals
from deepmatte.compare.inference.variance import Floats, Variances

DRAWS = 4000


def chance_to_be_best(parts: Variances, sign: int, draws: int = DRAWS) -> Floats:
    """Return (S,): the probability that each setting has the smallest ``sign * mean``.

    It is for new seeds and foregrounds. The settings' true means are drawn around the observed ones with the
    moderated variances and Student's tails, so that of two equal settings one reaches 95 % in 10 % of sweeps,
    as it has to. Equal means share
    their chance.
    """
    count = len(parts.means)
    if count < 2:
        return np.ones(count)
    leader = int(np.argmin(sign * parts.means))
    errors = contrast_errors(parts, against(count, leader))
    df = float(np.median(errors.df)) if np.isfinite(errors.df).all() else 1.0
    own = parts.own - parts.cells if parts.foregrounds_df > 0 else parts.own
    noise = normals(draws, count, 11) * np.sqrt(np.maximum(np.nan_to_num(own), 0))
    if parts.common > 0:
        noise = noise + np.sqrt(parts.common) * (normals(draws, parts.shares.shape[1], 12) @ parts.shares.T)
    if parts.foregrounds_df > 0:
        columns = parts.compact_columns
        noise = noise + normals(draws, columns.shape[1], 13) @ columns.T
    drawn = sign * (parts.values + noise / np.sqrt(chi_squares(draws, (round(df, 1),), 14)))
    first = drawn == drawn.min(axis=1, keepdims=True)
    return (first / first.sum(axis=1, keepdims=True)).mean(axis=0)


def effect_sizes(parts: Variances, matrix: Floats, low: Floats, high: Floats) -> Floats:
    """Return (K, 3): Cohen's d over foregrounds, mean over standard deviation, with its interval.

    ``low`` and ``high`` are the interval of the contrasts ``matrix``; that of d has the same side of 0, as
    only its unit is uncertain beside. NaN where one foreground, or no variation, leaves d undefined.
    """
    num = parts.columns.shape[1]
    if num < 2:
        return np.full((len(matrix), 3), np.nan)
    deviation = np.sqrt(num * np.square(matrix @ parts.columns).sum(axis=1))
    values = matrix @ parts.values
    deviation = np.where(deviation > 1e-6 * np.abs(values), deviation, np.nan)
    small, large = np.sqrt(special.chdtri(num - 1, [1 - LEVEL / 2, LEVEL / 2]) / (num - 1))
    bottom = low / deviation * np.where(low > 0, small, large)
    top = high / deviation * np.where(high > 0, large, small)
    return np.stack([values / deviation, bottom, top], axis=1)
