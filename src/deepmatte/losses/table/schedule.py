"""The weight of a term: a number, or a schedule over the run or the stage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from deepmatte.errors import InputError

KINDS = ("constant", "linear", "cosine")
SPANS = ("run", "stage")


@dataclass(frozen=True)
class Schedule:
    """A weight as a function of the progress of what it is ``over``, from 0 (first step) to 1 (end).

    That is the run, all stages together, or the stage in which it is read.
    ``constant`` is ``start`` between ``begin`` and ``until``, and 0 outside. ``linear`` and ``cosine`` stay
    at ``start`` before ``begin``, go to ``end`` until ``until``, and stay there; cosine leaves and arrives
    with slope 0.
    """

    kind: str
    start: float
    end: float
    begin: float = 0.0
    until: float = 1.0
    over: str = "run"

    def __call__(self, progress: float) -> float:
        """Return the weight at ``progress``.

        >>> ramp = Schedule("cosine", start=0.0, end=1.0, begin=0.2, until=0.6)
        >>> [round(ramp(progress), 6) for progress in (0.0, 0.4, 0.9)]
        [0.0, 0.5, 1.0]
        """
        if self.kind == "constant":
            inside = self.begin <= progress and (progress < self.until or self.until == 1)
            return self.start if inside else 0.0
        share = min(max((progress - self.begin) / (self.until - self.begin), 0.0), 1.0)
        if self.kind == "cosine":
            share = 0.5 - 0.5 * math.cos(math.pi * share)
        return self.start + share * (self.end - self.start)

    @property
    def is_zero(self) -> bool:
        """Whether the term is off all along."""
        return self.start == 0 and self.end == 0


def parse_weight(key: str, value: Any) -> Schedule:
    """Read the weight at ``key``: a number >= 0, or a mapping.

    >>> parse_weight("loss.dice.weight", 0.5)
    Schedule(kind='constant', start=0.5, end=0.5, begin=0.0, until=1.0, over='run')
    >>> parse_weight("loss.dice.weight", {"schedule": "linear", "start": 0, "end": 1, "until": 0.5})
    Schedule(kind='linear', start=0.0, end=1.0, begin=0.0, until=0.5, over='run')

    Raises:
        InputError: a negative weight, an unknown schedule, span or key, or a schedule outside its span.
    """
    if not isinstance(value, Mapping):
        weight = _number(key, value)
        return Schedule("constant", weight, weight)
    kind = value.get("schedule")
    if kind not in KINDS:
        raise InputError(f"{key}.schedule={kind!r}: choose among {', '.join(KINDS)}")
    levels = ("value",) if kind == "constant" else ("start", "end")
    allowed = ("schedule", *levels, "from", "until", "over")
    for name in value:
        if name not in allowed:
            valid = ", ".join(allowed)
            raise InputError(f"{key}.{name}: a {kind} schedule has no such key; choose among {valid}")
    for name in levels:
        if name not in value:
            raise InputError(f"{key}.{name} is missing: a {kind} schedule needs {' and '.join(levels)}")
    begin = _number(f"{key}.from", value.get("from", 0.0))
    until = _number(f"{key}.until", value.get("until", 1.0))
    if not 0 <= begin < until <= 1:
        raise InputError(f"{key} runs from {begin:g} until {until:g}: expected 0 <= from < until <= 1")
    over = value.get("over", "run")
    if over not in SPANS:
        raise InputError(f"{key}.over={over!r}: choose {' or '.join(SPANS)}")
    start, end = (_number(f"{key}.{name}", value[name]) for name in (levels[0], levels[-1]))
    return Schedule(kind, start, end, begin, until, over)


def _number(key: str, value: Any) -> float:
    """Return a finite number >= 0."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf:
        raise InputError(f"{key}={value!r}: expected a finite number >= 0")
    return float(value)


def first_gap(schedules: list[Schedule]) -> str | None:
    """Say in which part of the run or the stage every schedule is 0; None where there is no such part.

    Stages can lie anywhere in the run, so where both have such a part, it is taken that these meet.

    >>> first_gap([Schedule("constant", 1, 1, until=0.5), Schedule("constant", 1, 1, begin=0.75)])
    'from 0.5 to 0.75 of the run'
    >>> first_gap([Schedule("constant", 1, 1, until=0.5), Schedule("linear", 1, 1, over="stage")]) is None
    True
    """
    gaps = []
    for span in SPANS:
        within = [schedule for schedule in schedules if schedule.over == span]
        ends = sorted({0.0, 1.0, *(s.begin for s in within), *(s.until for s in within)})
        # Between two ends a schedule is 0 throughout or nowhere.
        off = [(a, b) for a, b in pairwise(ends) if not any(s((a + b) / 2) > 0 for s in within)]
        if not off:
            return None
        if within:
            begin, until = off[0]
            gaps.append(f"from {begin:g} to {until:g} of the {span}")
    return gaps[0] if gaps else None
