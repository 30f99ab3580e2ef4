"""Say in words what the numbers allow to say, and no more."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from deepmatte.compare.comparison import Comparison, Metric
from deepmatte.compare.inference.difference import Difference
from deepmatte.compare.inference.infer import LEVEL
from deepmatte.compare.inference.planning import POWER, components_of, design_for
from deepmatte.compare.words import OPEN, distance, evidence, listing, listing_percent, p_words, percent

LINES = 4
"""Details of a verdict at most: with its headline, five lines."""


@dataclass(frozen=True)
class Verdict:
    """The answer, the strength of the evidence, and at most `LINES` lines that belong to it."""

    headline: str
    confidence: str
    details: list[str]


@dataclass(frozen=True)
class Sides:
    """The settings that are shown to be better or worse than the reference, and the open ones, by rank."""

    reference: str
    better: list[Difference]
    worse: list[Difference]
    open: list[Difference]


def decide(comparison: Comparison) -> Verdict:
    """Return the verdict on the primary metric, for new seeds and new foregrounds."""
    metric = comparison.decisive
    best = metric.scores[0]
    if not metric.differences:
        headline = f"Only one setting is finished ({best.setting}): there is nothing to compare it with."
        return Verdict(headline, "nothing to compare", missing(comparison))
    if not metric.differences[0].estimate.generalises:
        headline = (
            f"One seed decides nothing. {best.setting} has the {extreme(metric)} {label(metric)} "
            f"({best.estimate.mean:.4g}) of these trained networks; another seed may turn the order round."
        )
        return Verdict(
            headline,
            "one seed",
            ["Run at least 2 seeds of each setting, better 3.", *missing(comparison)][:LINES],
        )
    sides = sides_of(metric, comparison.baseline or best.setting)
    if comparison.screening:
        headline, confidence = screened(metric, sides)
    elif sides.better:
        headline, confidence = improved(metric, sides)
    elif sides.open:
        headline, confidence = undecided(comparison, sides), OPEN
    else:
        headline, confidence = won(metric, sides)
    lines = [
        *needed(comparison, sides),
        *clearly_worse(sides),
        *equality(comparison, sides),
        *on_test_set(comparison, sides),
        *missing(comparison),
    ]
    return Verdict(headline, confidence, lines[:LINES])


def sides_of(metric: Metric, reference: str) -> Sides:
    """Sort the settings into those shown to be better or worse than ``reference`` and those that are open."""
    rank = {score.setting: number for number, score in enumerate(metric.scores)}
    items = sorted(
        (item for item in metric.differences if item.second == reference), key=lambda item: rank[item.first]
    )
    shown = [item for item in items if item.distinguishable]
    better = [item for item in shown if metric.table.sign * item.estimate.mean < 0]
    worse = [item for item in shown if metric.table.sign * item.estimate.mean > 0]
    return Sides(reference, better, worse, [item for item in items if not item.distinguishable])


def won(metric: Metric, sides: Sides) -> tuple[str, str]:
    """Return the headline and the evidence where the reference is better than all others."""
    score, nearest = metric.score(sides.reference), sides.worse[0]
    p = max(item.p_adjusted for item in sides.worse)
    count = len(sides.worse) - 1
    others = (
        ""
        if not count
        else "; the other one is further behind"
        if count == 1
        else f"; the other {count} are further behind"
    )
    headline = (
        f"{sides.reference} is best in {label(metric)} ({score.estimate.mean:.4g}): {nearest.first} is "
        f"{distance(nearest)}{others}. "
        f"{evidence(p).capitalize()} evidence ({p_words(p)})."
    )
    return headline, f"{evidence(p)} evidence"


def improved(metric: Metric, sides: Sides) -> tuple[str, str]:
    """Return the headline and the evidence where settings are better than the baseline."""
    first = sides.better[0]
    score = metric.score(first.first)
    others = (
        ""
        if len(sides.better) == 1
        else f"; also better: {listing([item.first for item in sides.better[1:]])}"
    )
    headline = (
        f"{first.first} is better in {label(metric)} ({score.estimate.mean:.4g}) than {sides.reference}: "
        f"{distance(first)}{others}. "
        f"{evidence(first.p_adjusted).capitalize()} evidence ({p_words(first.p_adjusted)})."
    )
    return headline, f"{evidence(first.p_adjusted)} evidence"


def undecided(comparison: Comparison, sides: Sides) -> str:
    """Return the headline where none is shown to be better than the reference, and some are open."""
    metric = comparison.decisive
    best = metric.scores[0]
    rival, name, gap = open_lead(metric, sides)
    seeds = "1 seed" if comparison.fewest_seeds == 1 else f"{comparison.fewest_seeds} seeds"
    count = metric.table.num_foregrounds
    design = (
        f"{seeds} on {count} foreground{'s' * (count > 1)}"
        if comparison.fewest_seeds
        else f"{count} foreground{'s' * (count > 1)}"
    )
    side = "below" if metric.table.sign > 0 else "above"
    lead = (
        f"{best.estimate.mean:.4g}, {percent(gap)} {side} {name}"
        if gap >= 0.05
        else f"{best.estimate.mean:.4g}, as {name}"
    )
    return (
        f"No clear winner. {best.setting} has the {extreme(metric)} {label(metric)} ({lead}), but {design} "
        f"cannot rule out chance ({p_words(rival.p_adjusted)})."
    )


def open_lead(metric: Metric, sides: Sides) -> tuple[Difference, str, float]:
    """Return the difference of the best setting that is open, the other setting, and the lead in per cent.

    It is the baseline where another one is best, the nearest open setting where the reference is. The lead
    is NaN beside a score of 0.
    """
    best = metric.scores[0]
    rival = next((item for item in sides.open if item.first == best.setting), sides.open[0])
    name = rival.first if best.setting == sides.reference else sides.reference
    other = metric.score(name).estimate.mean
    return rival, name, abs(100 * (best.estimate.mean / other - 1)) if other else math.nan


def screened(metric: Metric, sides: Sides) -> tuple[str, str]:
    """Return the headline of a screening, which lets one in twenty of its finds be chance."""
    shown = [*sides.better, *sides.worse]
    total = len(shown) + len(sides.open)
    found = f"better: {listing_percent(sides.better)}" if sides.better else "none is better"
    headline = (
        f"Screening in {label(metric)}: {len(shown)} of {total} settings differ from {sides.reference}, "
        f"{found}. About one in twenty of these may be chance; confirm them with new seeds."
    )
    return headline, "screening"


def needed(comparison: Comparison, sides: Sides) -> list[str]:
    """Return what it takes to confirm the difference that is open: seeds, foregrounds, minutes."""
    metric = comparison.decisive
    if not sides.open or sides.better or comparison.screening:
        return []
    rival, _, gap = open_lead(metric, sides)
    found = components_of(metric.variances)
    ratio = 1 + rival.percent / 100
    if not ratio > 0:
        return []
    wanted, settings = 100 * math.expm1(abs(math.log(ratio))), len(metric.table.settings)
    if wanted < 0.1:
        return []
    text, count, family = percent(gap), metric.table.num_foregrounds, len(metric.differences)
    if found is None:
        return [] if comparison.fewest_seeds else _more_foregrounds(text, rival, count)
    design = design_for(found, wanted, count, settings, family, comparison.fewest_seeds, LEVEL)
    if design is not None:
        seeds, foregrounds = design
        more = f" on {foregrounds} test foregrounds" if foregrounds > count else ""
        return [f"To confirm {text}, run about {seeds} seeds of each setting{more}{cost(comparison, seeds)}."]
    return [
        f"To confirm {text} would take more seeds and foregrounds than anybody runs; this design finds "
        f"{percent(rival.detectable)} or more."
    ]


def _more_foregrounds(text: str, item: Difference, count: int) -> list[str]:
    """Return how many foregrounds methods without seeds take: the variance falls with their number.

    With 80 % power the difference is 0.84 standard errors beyond the critical value.
    """
    if count < 2 or not (item.percent_low > -100 and math.isfinite(item.percent_high)):
        return []
    wide = (math.log1p(item.percent_high / 100) - math.log1p(item.percent_low / 100)) / 2
    errors = special.ndtri(1 - LEVEL / 2) + special.ndtri(POWER)  # of many foregrounds
    needed = wide * errors / special.stdtrit(count - 1, 1 - LEVEL / 2)
    more = math.ceil(count * (needed / math.log1p(item.percent / 100)) ** 2)
    return [f"To confirm {text}, take about {more} test foregrounds."]


def cost(comparison: Comparison, seeds: int) -> str:
    """Return the minutes of training all settings with ``seeds`` seeds; empty where runs lack their cost."""
    seconds = [setting.mean_cost("seconds") for setting in comparison.settings if not setting.deterministic]
    total = seeds * sum(seconds) / 60
    return f" ({max(total, 1):.0f} minutes of training in all)" if math.isfinite(total) and total > 0 else ""


def clearly_worse(sides: Sides) -> list[str]:
    """Return the line that counts the settings that are clearly worse than the reference, the worst first."""
    if not sides.worse or not (sides.open or sides.better or len(sides.worse) > 1):
        return []
    names, verb = listing_percent(sides.worse[::-1]), " is" if len(sides.worse) == 1 else "s are"
    return [f"{len(sides.worse)} setting{verb} clearly worse than {sides.reference}: {names}."]


def equality(comparison: Comparison, sides: Sides) -> list[str]:
    """Return what is shown to be equal, or how large a difference can be excluded."""
    margin = comparison.equal_within
    equal = [item.first for item in sides.open if item.equal(margin)]
    rest = [item for item in sides.open if not item.equal(margin)]
    parts = [f"Shown to be equal to {sides.reference} within {margin:g} %: {listing(equal)}"] if equal else []
    bound = max((item.equal_within for item in rest), default=math.nan)
    if bound < 100:
        names = listing([item.first for item in rest])
        excluded = f"{names} can differ from {sides.reference} by {percent(bound)} at most"
        parts.append(excluded)
    return [f"{'; '.join(parts)} (with 95 % certainty)."] if parts else []


def on_test_set(comparison: Comparison, sides: Sides) -> list[str]:
    """Return what holds on these foregrounds, with other seeds, where that is more than for new ones."""
    metric = comparison.decisive
    if not comparison.fewest_seeds:  # there, differences of methods without seeds are exact
        return []
    shown = [item.first for item in sides.open if item.on_test_set.p_adjusted < LEVEL]
    if not shown:
        return []
    verb = "differs" if len(shown) == 1 else "differ"
    return [
        f"On this test set alone {listing(shown)} {verb} from {sides.reference} "
        f"(other seeds, the same {metric.table.num_foregrounds} foregrounds)."
    ]


def missing(comparison: Comparison) -> list[str]:
    """Return what limits the verdict: few foregrounds, and runs that are missing."""
    parts = []
    foregrounds, count = comparison.decisive.table.num_foregrounds, len(comparison.excluded)
    if foregrounds < 5:
        parts.append(
            f"only {foregrounds} foreground{'s' * (foregrounds > 1)} in the test set, so others may differ"
        )
    differences = comparison.decisive.differences
    if differences and differences[0].detectable > 100:
        parts.append(
            "this design detects only differences that exceed the score itself;"
            " it needs more seeds or test foregrounds"
        )
    if count:
        parts.append(
            f"{count} of {count + len(comparison.runs)} runs excluded (failed, pruned, unfinished or damaged)"
        )
    text = "; ".join(parts)
    return [f"{text[0].upper()}{text[1:]}."] if parts else []


def label(metric: Metric) -> str:
    """Return the name of the metric as it is written."""
    return metric.name.upper()


def extreme(metric: Metric) -> str:
    """Return which end of the scale is the better one."""
    return "lowest" if metric.table.sign > 0 else "highest"
