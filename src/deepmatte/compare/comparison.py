"""One metric of a sweep compared: every setting's mean, every pair's difference, each with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepmatte.compare import resampling
from deepmatte.compare.moderation import ALONE, Prior, typical
from deepmatte.compare.panel import Floats, Panel, make_panel, paired_rows, pairs, shared_metrics
from deepmatte.compare.power import smallest_visible
from deepmatte.compare.records import LeftOut, Run, read_records
from deepmatte.compare.settings import Setting, group_settings
from deepmatte.compare.statistics import LEVEL, Estimate, Spread, estimate, holm, spread, wilcoxon
from deepmatte.errors import InputError


@dataclass(frozen=True)
class Score:
    """A setting's mean of one metric; ``sd`` is between seeds (NaN with one), ``chance`` that of being the best."""

    setting: str
    rank: int
    estimate: Estimate
    sd: float
    seeds: int
    chance: float


@dataclass(frozen=True)
class Difference:
    """``first`` minus ``second`` on the same images; ``p_holm`` is corrected over the metric's comparisons.

    ``wins`` is the share of images on which ``first`` is better (ties count half), ``effect`` Cohen's d over foregrounds with its
    interval (only for pairs with the best setting or the baseline, else NaN), ``visible`` the smallest difference that the
    design could have seen.
    """

    first: str
    second: str
    estimate: Estimate
    percent: float
    p_holm: float
    p_wilcoxon: float
    wins: float
    effect: tuple[float, float, float]
    visible: float
    pairs_of_seeds: int

    @property
    def distinguishable(self) -> bool:
        """Whether the corrected test rejects equality; never with one seed."""
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class Metric:
    """The comparison of one metric; ``scores`` stand in the order of rank."""

    panel: Panel
    scores: list[Score]
    differences: list[Difference]

    @property
    def name(self) -> str:
        """The name of the metric."""
        return self.panel.metric

    def score(self, setting: str) -> Score:
        """Return the score of a setting."""
        return next(score for score in self.scores if score.setting == setting)

    def between(self, first: str, second: str) -> Difference | None:
        """Return the difference of these two settings, in the order in which it was taken."""
        return next((item for item in self.differences if {item.first, item.second} == {first, second}), None)


@dataclass(frozen=True)
class Comparison:
    """Everything that was found out; ``metrics`` maps names to comparisons, ``main`` is the one that decides."""

    main: str
    settings: list[Setting]
    metrics: dict[str, Metric]
    left_out: list[LeftOut]
    baseline: str | None

    @property
    def decisive(self) -> Metric:
        """The comparison of the main metric."""
        return self.metrics[self.main]

    def setting(self, name: str) -> Setting:
        """Return the setting of this name."""
        return next(setting for setting in self.settings if setting.name == name)

    @property
    def runs(self) -> list[Run]:
        """All runs that take part."""
        return [run for setting in self.settings for run in setting.runs]

    @property
    def fewest_seeds(self) -> int:
        """The smallest number of seeds that a setting has."""
        return min(len(setting.runs) for setting in self.settings)


def compare(paths: Sequence[Path | str], metric: str = "sad", baseline: str | None = None) -> Comparison:
    """Read run or sweep directories and compare all metrics that the runs share; ``metric`` is the one that decides.

    ``baseline`` names a setting that the others are compared with, instead of every one with every other. InputError where
    no run is finished or the metric or baseline is unknown; a single setting gives scores without differences.
    """
    records = read_records(paths)
    if not records.runs:
        counts = ", ".join(f"{item.path} ({item.status}: {item.reason})" for item in records.left_out[:3])
        raise InputError(f"no finished run among {len(records.left_out)}: {counts}; finish or repeat them first")
    settings = group_settings(records.runs)
    names = [setting.name for setting in settings]
    if baseline is not None and baseline not in names:
        raise InputError(f"--baseline {baseline}: no such setting; give one of {', '.join(names)}")
    known = shared_metrics(records.runs)
    if metric not in known:
        raise InputError(f"--metric {metric}: not in every per_image.csv; give one of {', '.join(known)}")
    index = None if baseline is None else names.index(baseline)
    metrics = {name: compare_metric(make_panel(settings, name), index) for name in known}
    return Comparison(metric, settings, metrics, records.left_out, baseline)


def compare_metric(panel: Panel, baseline: int | None = None) -> Metric:
    """Compare all settings in one metric; differences stand in the order of rank, the better setting first (a baseline second)."""
    cells = [panel.cells(number) for number in range(len(panel.settings))]
    alone = [spread(table, panel.weights) for table in cells]
    scores = rank_settings(panel, cells, alone)
    names = [setting.name for setting in panel.settings]
    reference = names.index(scores[0].setting) if baseline is None else baseline
    order = [names.index(score.setting) for score in scores]
    couples = [(order[a], order[b]) for a, b in pairs(len(order), None if baseline is None else order.index(baseline))]
    rows = [paired_rows(panel.settings[a].seeds, panel.settings[b].seeds) for a, b in couples]
    tables = [cells[a][left] - cells[b][right] for (a, b), (left, right) in zip(couples, rows, strict=True)]
    spreads = [spread(table, panel.weights) for table in tables]
    spare = [part.seeds - 1 for part in alone]
    prior = prior_of(spreads, alone, sum(spare) - max(spare))  # one setting's worth goes into what all have in common
    estimates = [estimate(part, prior) for part in spreads]
    corrected = holm([item.p for item in estimates])
    tests = sum(not math.isnan(item.p) for item in estimates)
    checks = wilcoxon(np.array([table.mean(axis=0) for table in tables])) if tables else []
    differences = []
    for number, (a, b) in enumerate(couples):
        left, right = rows[number]
        result = estimates[number]
        difference = panel.sign * (panel.scores[a][left].mean(axis=0) - panel.scores[b][right].mean(axis=0))
        base = float(panel.scores[b][right].mean())
        differences.append(
            Difference(
                first=names[a],
                second=names[b],
                estimate=result,
                percent=100 * result.mean / base if base else math.nan,
                p_holm=corrected[number],
                p_wilcoxon=float(checks[number]),
                wins=float(np.mean((difference < 0) + 0.5 * (difference == 0))),
                effect=resampling.effect_size(tables[number], panel.weights, LEVEL) if reference in (a, b) else (math.nan,) * 3,
                visible=smallest_visible(spreads[number], prior, tests),
                pairs_of_seeds=len(left),
            )
        )
    return Metric(panel, scores, differences)


def prior_of(spreads: Sequence[Spread], settings: Sequence[Spread], most: int) -> Prior:
    """Return what the sweep says of the variance between seeds of such ``spreads`` (means or differences) of its ``settings``."""
    repeated = [part for part in settings if part.seeds > 1]
    share, df = typical([part.between_seeds * part.seeds for part in repeated], [part.seeds - 1 for part in repeated])
    known = [part.between_seeds * part.seeds for part in spreads if part.seeds > 1]
    return Prior(share * float(np.mean(known)), df, most) if known else ALONE


def rank_settings(panel: Panel, cells: Sequence[Floats], spreads: Sequence[Spread]) -> list[Score]:
    """Return the settings from best to worst; equal means share a rank."""
    prior = prior_of(spreads, spreads, sum(part.seeds - 1 for part in spreads))
    draws = resampling.resample_means(cells, [setting.seeds for setting in panel.settings], panel.weights)
    chances = resampling.chance_to_be_best(draws, panel.sign)
    values = panel.sign * panel.means()
    scores = [
        Score(
            setting=setting.name,
            rank=1 + int(np.sum(values < values[number])),
            estimate=estimate(spreads[number], prior),
            sd=float(panel.scores[number].mean(axis=1).std(ddof=1)) if len(setting.runs) > 1 else math.nan,
            seeds=len(setting.runs),
            chance=float(chances[number]),
        )
        for number, setting in enumerate(panel.settings)
    ]
    return sorted(scores, key=lambda score: score.rank)
