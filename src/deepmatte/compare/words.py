"""Differences, p-values and lists in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from deepmatte.compare.inference.difference import Difference
from deepmatte.compare.inference.infer import LEVEL
from deepmatte.metrics.names import heading, higher_is_better, titled

EVIDENCE = ((0.001, "very strong"), (0.01, "strong"), (LEVEL, "moderate"))
"""Largest adjusted p of each strength of evidence; above the last there is no clear winner."""

OPEN = "no clear winner"


def sentence(item: Difference) -> str:
    """Say one difference in words."""
    text = f"{item.first} minus {item.second}: {item.estimate.mean:+.4g}"
    if math.isfinite(item.percent):
        text += f" ({signed(item.percent)}"
        text += (
            f", 95 % interval {signed(item.percent_low)} to {signed(item.percent_high)})"
            if math.isfinite(item.percent_high)
            else ")"
        )
    if not math.isnan(item.p_adjusted):
        text += f", {p_words(item.p_adjusted)}"
    if not item.distinguishable and item.equal_within < 100:
        text += f"; equal within {percent(item.equal_within)}"
    return text + "."


def distance(item: Difference) -> str:
    """Say by how many per cent the first is above or below the second, with the interval."""
    if not math.isfinite(item.percent):
        return f"{item.estimate.mean:+.4g} away"
    low, high = sorted((abs(item.percent_low), abs(item.percent_high)))
    interval = f" (95 % interval {percent(low)} to {percent(high)})" if math.isfinite(high) else ""
    return f"{percent(abs(item.percent))} {'higher' if item.percent > 0 else 'lower'}{interval}"


def evidence(p: float) -> str:
    """Return the strength of the evidence of an adjusted p.

    >>> evidence(0.004), evidence(0.2)
    ('strong', 'no clear winner')
    """
    return next((word for limit, word in EVIDENCE if p < limit), OPEN)


def p_words(p: float) -> str:
    """Return an adjusted p as it is printed.

    >>> p_words(0.1412), p_words(1e-9)
    ('p = 0.14', 'p < 0.001')
    """
    if math.isnan(p):
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def percent(value: float) -> str:
    """Return a percentage to two digits, without decimals from 10 on.

    >>> percent(7.234), percent(0.42), percent(104.2)
    ('7.2 %', '0.42 %', '104 %')
    """
    if not math.isfinite(value):
        return "any amount"
    return f"{value:.0f} %" if abs(value) >= 9.95 else f"{value:.2g} %"


def signed(value: float) -> str:
    """Return a percentage with its sign.

    >>> signed(7.234), signed(-30.0)
    ('+7.2 %', '-30 %')
    """
    return f"{'-' if value < 0 else '+'}{percent(abs(value))}"


def listing_percent(items: Sequence[Difference], most: int = 4) -> str:
    """Return settings with their differences in per cent; beyond ``most`` they are counted."""
    parts = [
        f"{item.first} ({signed(item.percent)})" if math.isfinite(item.percent) else item.first
        for item in items
    ]
    rest = [f"{len(parts) - most} more"] if len(parts) > most else []
    return listing([*parts[:most], *rest], most + 1)


def listing(names: list[str], most: int = 4) -> str:
    """Join names by commas and 'and', or by semicolons; beyond ``most`` they are counted.

    >>> listing(["a", "b", "c"]), listing(["a", "b", "c"], most=2), listing(["x=1, y=0", "x=0, y=1"])
    ('a, b and c', '3 settings', 'x=1, y=0; x=0, y=1')
    """
    if len(names) > most:
        return f"{len(names)} settings"
    if any(", " in name for name in names):
        return "; ".join(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def axis_title(metric: str) -> str:
    """Return the title of a metric's axis.

    >>> axis_title("sad")
    'SAD /1000 (↓ lower is better)'
    """
    better = "↑ higher is better" if higher_is_better(metric) else "↓ lower is better"
    return f"{metric.upper()}{titled(metric).removeprefix(metric)} ({better})"


def short_title(metric: str) -> str:
    """Return the title of an axis without room for words.

    >>> short_title("sad")
    'SAD /1000 ↓'
    """
    return f"{metric.upper()}{heading(metric).removeprefix(metric)}"


def beside_reference(item: Difference | None) -> str:
    """Return a difference from the reference with its interval; "reference" for the reference itself."""
    if item is None:
        return "reference"
    if not math.isfinite(item.percent):
        return f"{item.estimate.mean:+.3g}"
    if not math.isfinite(item.percent_high):
        return signed(item.percent)
    return (
        f"{signed(item.percent)} ({signed(item.percent_low)} to {signed(item.percent_high)})".replace(
            " %", ""
        )
        + " %"
    )
