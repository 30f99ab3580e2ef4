"""What a design can detect, and which design detects a wanted difference: seeds x foregrounds x minutes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import special

from deepmatte.compare.inference.infer import LEVEL, LUCK, contrast_errors, null_family, total
from deepmatte.compare.inference.simultaneous import chi_squares, from_score, normals
from deepmatte.compare.inference.variance import PRIOR_DF, Floats, Variances, worth_of_prior

POWER = 0.8
"""The share of repetitions of a sweep that find the minimum detectable difference."""

DRAWS = 4000
MOST_SEEDS = 64
MOST_FOREGROUNDS = 2000
WANTED = 10.0
"""Per cent of difference for which a sweep's first line says how many seeds it takes."""

USUAL_FOREGROUNDS = 32
"""Test foregrounds of a sweep whose data are not read yet: those of the embedded data set."""

RECORDED = Path(__file__).with_name("components.json")


@dataclass(frozen=True)
class Components:
    """Standard deviations relative to a setting's mean, of one seed, one foreground.

    Attributes:
        common: what a seed does to all settings alike; it cancels where settings share their seeds.
        own: what a seed does to one setting beyond that.
        setting_by_foreground: by how much a setting likes one foreground better than another, beyond its
            difficulty.
        cell: what is left, of one training on one foreground.
    """

    common: float
    own: float
    setting_by_foreground: float
    cell: float


@dataclass(frozen=True)
class Option:
    """A design, the per cent that it detects with 80 % power, and its minutes of training."""

    seeds: int
    foregrounds: int
    percent: float
    minutes: float


def recorded() -> Components:
    """Return the components that were measured on real sweeps, as ``components.json`` has them."""
    words = json.loads(RECORDED.read_text(encoding="utf-8"))
    return Components(*(float(words[key]) for key in ("common", "own", "setting_by_foreground", "cell")))


def components_of(parts: Variances) -> Components | None:
    """Return the components of a sweep; None where one seed, one setting or a mean of 0 hides them."""
    alive = np.flatnonzero(parts.seeds)
    if not parts.relative or len(alive) < 2 or parts.residual_df < 1 or np.isnan(parts.own[alive]).any():
        return None
    seeds, foregrounds = parts.seeds[alive], parts.columns.shape[1]
    cell = float(np.mean(parts.cells[alive] * seeds)) * foregrounds
    own = max(float(np.mean(parts.own[alive] * seeds)) - cell / foregrounds, 0.0)
    columns = parts.columns[alive] - parts.columns[alive].mean(axis=0)
    liking = 0.0
    if foregrounds > 1:
        over = float(np.square(columns).sum()) / (len(alive) - 1)
        liking = max(over * foregrounds - float(np.mean(cell / seeds)), 0.0)
    return Components(math.sqrt(parts.common), math.sqrt(own), math.sqrt(liking), math.sqrt(cell))


def detectable(
    found: Components,
    seeds: int,
    foregrounds: int,
    settings: int,
    comparisons: int | None = None,
    power: float = POWER,
    level: float = LEVEL,
) -> float:
    """Return the difference in per cent that a design finds with this power; infinite with one seed.

    The test is that of the comparison: its family of ``comparisons`` (those with one baseline, if not given),
    its moderated variances, which are drawn as the repetition will estimate them.
    """
    if seeds < 2 or settings < 2:
        return math.inf
    needed = _needed(found, seeds, foregrounds, settings, comparisons or settings - 1, power, level)
    return 100 * math.expm1(needed) if needed < 50 else math.inf


@lru_cache(maxsize=512)
def _needed(
    found: Components,
    seeds: int,
    foregrounds: int,
    settings: int,
    comparisons: int,
    power: float,
    level: float,
) -> float:
    """Return the logarithm of the ratio that is found with a probability of ``power``."""
    parts = _expected(found, seeds, foregrounds, settings)
    matrix = _family(settings, comparisons)
    errors = contrast_errors(parts, matrix)
    score = null_family(parts, matrix, errors, DRAWS).critical(level)
    cells = float(parts.cells[0]) if foregrounds > 1 else 0.0
    seeds_part, seeds_df = _repeated(float(parts.own[0]), cells, seeds, settings)
    df = max(foregrounds - 1, 1)
    over = float(errors.foregrounds[0]) * chi_squares(DRAWS, (float(df),), 23)[:, 0]
    upper = seeds_part * seeds_df / special.chdtri(seeds_df, 1 - LUCK)
    both = np.asarray(2 * cells)
    variance = total(seeds_part, over, both)
    freedom = np.maximum(total(upper, over, both) ** 2 / (upper**2 / seeds_df + over**2 / df), 1.0)
    critical = special.stdtrit(freedom, 1 - level / 2) if comparisons == 1 else from_score(score, freedom)
    true = float(errors.variance[0])
    return float(
        np.quantile(critical * np.sqrt(variance) - normals(DRAWS, 1, 24)[:, 0] * math.sqrt(true), power)
    )


def _repeated(own: float, cells: float, seeds: int, settings: int) -> tuple[Floats, Floats]:
    """Return draws of the variance between seeds that repetitions will estimate, and of its df."""
    spare, residual = seeds - 1, float((settings - 1) * (seeds - 1))
    if settings == 2:  # both have the same deviations, with opposite signs
        pooled = 2 * own * chi_squares(DRAWS, (float(spare),), 21)[:, 0]
        return np.maximum(pooled, 2 * cells), np.full(DRAWS, residual)
    single = own * chi_squares(DRAWS, (float(spare),) * settings, 22)
    prior = worth_of_prior(single, residual)[:, None]
    moderated = np.maximum(
        (prior * single.mean(axis=1, keepdims=True) + spare * single[:, :2]) / (prior + spare), cells
    )
    df = np.minimum(prior + spare, residual)
    sums = moderated.sum(axis=1)
    return sums, np.minimum(sums**2 / (moderated**2 / df).sum(axis=1), residual)


def _expected(found: Components, seeds: int, foregrounds: int, settings: int) -> Variances:
    """Return the variance parts that a sweep has on average."""
    cells = found.cell**2 / (seeds * foregrounds)
    own = found.own**2 / seeds + cells
    residual = float((settings - 1) * (seeds - 1))
    over = found.setting_by_foreground**2 / foregrounds + cells
    # As many orthogonal columns as settings have the covariance that foregrounds have on average;
    # foregrounds_df is that of the columns.
    columns = np.zeros((settings, max(foregrounds, settings) if foregrounds > 1 else 1))
    if foregrounds > 1:
        columns[np.arange(settings), np.arange(settings)] = math.sqrt(over)
    return Variances(
        means=np.ones(settings),
        relative=True,
        own=np.full(settings, own),
        own_df=np.full(settings, min(PRIOR_DF + seeds - 1, residual)),
        common=found.common**2,
        common_df=float(seeds - 1),
        shares=np.full((settings, seeds), 1 / seeds),
        cells=np.full(settings, cells),
        columns=columns,
        residual_df=residual,
    )


def _family(settings: int, comparisons: int) -> Floats:
    """Return ``comparisons`` contrasts: those with the first setting, then those of other pairs."""
    couples = [(first, second) for second in range(settings) for first in range(second + 1, settings)][
        :comparisons
    ]
    matrix = np.zeros((len(couples), settings))
    for row, (first, second) in enumerate(couples):
        matrix[row, first], matrix[row, second] = 1, -1
    return matrix


def seeds_for(
    found: Components,
    percent: float,
    foregrounds: int,
    settings: int,
    comparisons: int | None = None,
    fewest: int = 2,
    level: float = LEVEL,
) -> int | None:
    """Return the fewest seeds that detect ``percent``; None where `MOST_SEEDS` do not."""
    low, high = max(fewest, 2), MOST_SEEDS
    if detectable(found, high, foregrounds, settings, comparisons, level=level) > percent:
        return None
    while low < high:
        middle = (low + high) // 2
        if detectable(found, middle, foregrounds, settings, comparisons, level=level) <= percent:
            high = middle
        else:
            low = middle + 1
    return low


def foregrounds_for(
    found: Components,
    percent: float,
    seeds: int,
    settings: int,
    comparisons: int | None = None,
    level: float = LEVEL,
) -> int | None:
    """Return about the fewest foregrounds that detect ``percent``; None where `MOST_FOREGROUNDS` do not."""
    low, high = 2, MOST_FOREGROUNDS
    if detectable(found, seeds, high, settings, comparisons, level=level) > percent:
        return None
    while high - low > max(low // 50, 0):
        middle = (low + high) // 2
        if detectable(found, seeds, middle, settings, comparisons, level=level) <= percent:
            high = middle
        else:
            low = middle + 1
    return high


def design_for(
    found: Components, percent: float, foregrounds: int, settings: int, family: int, fewest: int, level: float
) -> tuple[int, int] | None:
    """Return seeds and foregrounds that detect ``percent``, where ``fewest`` and ``foregrounds`` do not.

    There are more foregrounds only where they halve the seeds, or where no number of seeds does without them;
    None where nothing does.
    """
    chosen: tuple[int, int] | None = None
    for count in sorted(
        {foregrounds, *(num for num in (200, 500, 1000, MOST_FOREGROUNDS) if num > foregrounds)}
    ):
        least = fewest + (count == foregrounds)
        seeds = seeds_for(found, percent, count, settings, family, least, level)
        if seeds and (chosen is None or 2 * seeds <= chosen[0]):
            fewer = foregrounds_for(found, percent, seeds, settings, family, level) or count
            chosen = seeds, max(min(fewer, count), foregrounds)
    return chosen


def options(
    found: Components,
    settings: int,
    minutes: float,
    seeds: Sequence[int],
    foregrounds: Sequence[int],
    comparisons: int | None = None,
) -> list[Option]:
    """Return every design of these seeds and foregrounds; ``minutes`` is what one training takes."""
    return [
        Option(num, items, detectable(found, num, items, settings, comparisons), num * settings * minutes)
        for num in seeds
        for items in foregrounds
    ]


def design_line(
    num_settings: int, num_seeds: int, num_foregrounds: int | None = None, found: Components | None = None
) -> str:
    """Say what a sweep can detect, before it starts; empty where it has nothing to compare.

    ``num_foregrounds`` are those of the test split, 32 where they are not known yet; ``found`` are the
    components to expect, those of recorded sweeps by default. The line begins with "Warning" where the design
    detects only differences that exceed the reference's own score, or none.
    """
    if num_settings < 2:
        return ""
    found = found or recorded()
    foregrounds = num_foregrounds or USUAL_FOREGROUNDS
    size = detectable(found, num_seeds, foregrounds, num_settings)
    seeds = seeds_for(found, WANTED, foregrounds, num_settings)
    more = f"{WANTED:g} % takes " + (f"about {seeds} seeds" if seeds else "more test foregrounds")
    what = f"{num_settings} settings x {num_seeds} seed{'s' * (num_seeds != 1)}"
    where = f"{foregrounds} test foregrounds" + ("" if num_foregrounds else " (assumed)")
    if math.isinf(size):
        return (
            f"Warning: {what} can't show any difference, since it can't separate seeds from settings; {more}"
        )
    if size > 100:
        return (
            f"Warning: {what} on {where} detect only differences above {size:.0f} %, "
            f"more than the reference's own score; {more}"
        )
    least = f"{what} on {where} detect differences of {size:.2g} % or more with 80 % power"
    return f"{least}; {more}" if size > WANTED else least


def design_of_jobs(jobs: Sequence[Sequence[str]], num_foregrounds: int | None = None) -> str:
    """Return the `design_line` of a grid's jobs, given as lists of overrides, of which ``seed=`` is one."""
    settings = {tuple(word for word in job if not word.startswith("seed=")) for job in jobs}
    return design_line(len(settings), len(jobs) // max(len(settings), 1), num_foregrounds)
