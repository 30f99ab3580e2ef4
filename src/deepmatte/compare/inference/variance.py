"""Where the variance of a sweep comes from: common seeds, a setting's own seeds, foregrounds, cells.

A score of (setting, seed, foreground), relative to the mean of its setting, is modelled as

    1 + common seed + own seed + difficulty of the foreground + setting x foreground + cell.

What a seed does to all settings and how difficult a foreground is cancel in every comparison of two settings
that share seeds; what is left decides. Everything is relative to the setting's mean because that is how
scores vary: a setting twice as bad varies twice as much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PRIOR_DF = 4.0
"""What the sweep's mean variance between seeds is worth beside a setting's own, in degrees of freedom.

Fixed, not estimated: an estimate from 20 variances of one degree of freedom each is noise, and believes that
settings vary alike where they do not. With 4, and fewer where settings vary very unlike (`worth_of_prior`),
simulated sweeps keep 5 % false positives, equal settings or not (docs/statistics.md has the exceptions).
"""


@dataclass(frozen=True)
class Variances:
    """Means of S settings and the parts of their variance, for K seeds and F foregrounds.

    Attributes:
        means: (S,) means over seeds and images, on the metric's own scale.
        relative: whether the parts are relative to ``means``; False where a mean is not above zero, and then
            they are in the metric's units.
        own: (S,) moderated variance of a mean from the setting's own seed effects, cells included; 0 for what
            has no seeds, NaN where unknown.
        own_df: (S,) its degrees of freedom.
        common: variance of what one seed does to all settings alike.
        common_df: its degrees of freedom, at least 1.
        shares: (S, K) the weight of each seed in a setting's mean; zeros for what has no seeds.
        cells: (S,) the part of ``own`` that stems from cells, which the foregrounds count, too.
        columns: (S, F) deviations of each foreground, scaled so that the sum of squares of a contrast's is
            its variance over foregrounds.
        residual_df: degrees of freedom between seeds that the whole sweep has.
    """

    means: Floats
    relative: bool
    own: Floats
    own_df: Floats
    common: float
    common_df: float
    shares: Floats
    cells: Floats
    columns: Floats
    residual_df: float

    @property
    def values(self) -> Floats:
        """(S,): what contrasts compare, the logarithms of the means or the means themselves."""
        return np.log(self.means) if self.relative else self.means

    @property
    def foregrounds_df(self) -> int:
        """The degrees of freedom between foregrounds; 0 where one foreground says nothing of others."""
        return self.columns.shape[1] - 1

    @property
    def compact_columns(self) -> Floats:
        """(S, at most S): columns of the same covariance, for which draws need fewer numbers."""
        return np.asarray(np.linalg.qr(self.columns.T, mode="r")).T

    @property
    def seeds(self) -> NDArray[np.intp]:
        """(S,): the number of seeds of each setting; 0 for what has none."""
        return np.count_nonzero(self.shares, axis=1)

    def as_trained(self) -> Variances:
        """Return the parts for the networks as they are, without seeds: the foregrounds alone are random."""
        zeros = np.zeros_like(self.own)
        return replace(
            self,
            own=zeros,
            own_df=zeros + math.inf,
            common=0.0,
            shares=np.zeros_like(self.shares),
            cells=zeros,
        )


def variances(
    tables: Sequence[Floats],
    seeds: Sequence[Sequence[int]],
    weights: Floats,
    fixed: Sequence[bool] | None = None,
) -> Variances:
    """Return where the variance comes from.

    Args:
        tables: for each setting (seeds, foregrounds), the mean over the images of a foreground.
        seeds: the seeds of each setting's rows; equal seeds saw the same samples.
        weights: (foregrounds,) each one's share of the images.
        fixed: which settings have no seeds, such as a closed form; all others are trained.
    """
    count = len(tables)
    rows = [table @ weights for table in tables]
    means = np.array([row.mean() for row in rows])
    relative = bool((means > 0).all())
    unit = means if relative else np.ones(count)
    fixed = [False] * count if fixed is None else fixed
    # Runs that agree to rounding, such as those of networks that have died, respond to no seed.
    dead = [
        (len(row) > 1 and bool(np.ptp(row) <= 1e-9 * abs(row.mean()))) or known
        for row, known in zip(rows, fixed, strict=True)
    ]
    labels = sorted({seed for found, still in zip(seeds, dead, strict=True) if not still for seed in found})
    shares = np.zeros((count, max(len(labels), 1)))
    for number, (found, still) in enumerate(zip(seeds, dead, strict=True)):
        if not still:
            shares[number, [labels.index(seed) for seed in found]] = 1 / len(found)
    own, own_df = np.zeros(count), np.full(count, math.inf)
    cells, common, common_df, residual_df = np.zeros(count), 0.0, 1.0, 0.0
    alive = [number for number in range(count) if not dead[number]]
    if alive:
        scaled = [tables[number] / unit[number] for number in alive]
        parts = between_seeds(scaled, tuple(tuple(seeds[number]) for number in alive), weights)
        own[alive], own_df[alive], cells[alive], common, residual_df = parts
        common_df = max(len(labels) - 1, 1)
    columns = np.stack([table.mean(axis=0) for table in tables]) / unit[:, None]
    num = len(weights)
    small = math.sqrt(num / (num - 1)) if num > 1 else math.nan
    columns = small * weights * (columns - (means / unit)[:, None])
    return Variances(means, relative, own, own_df, common, common_df, shares, cells, columns, residual_df)


def between_seeds(
    tables: Sequence[Floats], seeds: tuple[tuple[int, ...], ...], weights: Floats
) -> tuple[Floats, Floats, Floats, float, float]:
    """Return own variances of means, their df, cells, common variance and df in all of trained settings.

    ``tables`` are relative to the means. All is NaN where no setting has two seeds.
    """
    counts = np.array([len(item) for item in seeds])
    remove, kept, total = centring(seeds)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    stacked = np.concatenate(tables)
    if total < 1:
        unknown = np.full(len(counts), math.nan)
        return unknown, np.zeros(len(counts)), unknown, 0.0, 0.0
    rest = remove @ stacked
    effects = rest @ weights
    squares = np.add.reduceat(effects**2, starts)
    free = np.add.reduceat(kept, starts)
    pooled = float(squares.sum() / total)
    single = np.divide(squares, free, out=np.full(len(counts), pooled), where=free > 1e-9)
    mine = np.where(free > 1e-9, counts - 1.0, 0.0)
    num = len(weights)
    inner = np.add.reduceat(((rest - effects[:, None]) ** 2) @ weights**2, starts)
    inner = np.divide(inner, free, out=np.full(len(counts), float(inner.sum() / total)), where=free > 1e-9)
    cells = inner * num / (num - 1) if num > 1 else np.zeros(len(counts))
    prior = float(worth_of_prior(single, total))
    # A mean over foregrounds varies at least as much between seeds as its cells, whose variance many
    # foregrounds tell.
    moderated = np.maximum((prior * pooled + mine * single) / (prior + mine), cells)
    df = np.minimum(prior + mine, total)
    raw = stacked @ weights
    centred = raw - np.repeat(np.add.reduceat(raw, starts) / counts, counts)
    spare = counts.sum() - len(counts)
    common = max(float((centred**2).sum() / spare) - pooled, 0.0) if spare > total else 0.0
    return moderated / counts, df, cells / counts, common, total


def worth_of_prior(single: Floats, total: float) -> Floats:
    """Return the degrees of freedom of the prior: fewer than `PRIOR_DF` where settings vary very unlike.

    ``single`` (..., S) are the settings' variances, of ``total`` degrees of freedom in all. Their mean square
    over their squared mean says how unlike they are; settings that vary alike have (df + 2) S / (S df + 2) on
    average.
    """
    count = single.shape[-1]
    df = total / max(count, 1)
    squares = np.square(single.mean(axis=-1))
    expected = (df + 2) * count / (count * df + 2)
    ratio = np.divide(
        expected * squares, np.square(single).mean(axis=-1), out=np.ones_like(squares), where=squares > 0
    )
    return PRIOR_DF * np.minimum(ratio, 1.0) ** 2


@lru_cache(maxsize=64)
def centring(seeds: tuple[tuple[int, ...], ...]) -> tuple[Floats, Floats, float]:
    """Return the matrix that takes out setting and common seed, what it leaves of each row, and all df.

    Where no seed is shared, or one setting is alone, only the settings' means are taken out.

    >>> remove, kept, total = centring(((0, 1), (0, 1), (0, 1)))
    >>> kept.round(3)[0], round(total)  # (1 - 1/2) (1 - 1/3) a row, (3 - 1) (2 - 1) in all
    (np.float64(0.333), 2)
    """
    runs = [(setting, seed) for setting, found in enumerate(seeds) for seed in found]
    labels = sorted({seed for _, seed in runs})
    of_setting = np.array([[float(setting == number) for number in range(len(seeds))] for setting, _ in runs])
    of_seed = np.array([[float(seed == label) for label in labels] for _, seed in runs])
    for design in (np.hstack([of_setting, of_seed]), of_setting):
        remove = np.eye(len(runs)) - design @ np.linalg.pinv(design)
        total = float(np.trace(remove))
        if total > 0.5:
            break
    return remove, np.diag(remove).copy(), float(round(total))
