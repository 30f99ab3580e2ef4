"""Options of a term, checked against the signature of its function: a new term has nothing to register."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from deepmatte.errors import InputError
from deepmatte.ops.regions import parse_region


@dataclass(frozen=True)
class Range:
    """The valid values of a number: [low, high], or (low, high] with ``above``."""

    low: float
    high: float = inf
    above: bool = False

    def holds(self, value: float) -> bool:
        """Return whether ``value`` is finite and in the range."""
        return (
            isfinite(value) and (self.low < value if self.above else self.low <= value) and value <= self.high
        )

    def __str__(self) -> str:
        return f"{'>' if self.above else '>='} {self.low:g}" + (
            "" if self.high == inf else f" and <= {self.high:g}"
        )


Positive = Annotated[float, Range(0, above=True)]
NonNegative = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, 1)]
REQUIRED = inspect.Parameter.empty
"""In place of the default of an option that has none."""

NumLevels = Annotated[int, Range(1, 16)]
Form = Literal["proper", "textbook"]
Distance = Literal["charbonnier", "l1", "l2"]


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the options of a term, its arguments after ``matte`` and ``batch``, with their defaults.

    An option without a default has `REQUIRED` in its place.

    >>> defaults_of(lambda matte, batch, power=3.0, *, region="unknown": ...)
    {'power': 3.0, 'region': 'unknown'}
    """
    options = list(inspect.signature(function).parameters.values())[2:]
    named = [p for p in options if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return {p.name: p.default for p in named}


def check_options(key: str, function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``options`` with the defaults of ``function`` for the rest.

    Raises:
        InputError: an option that the term has not, or a value of the wrong kind or range; the message starts
            with ``key``.
    """
    known = defaults_of(function)
    for name in options:
        if name not in known:
            valid = ", ".join(("weight", "term", *known))
            raise InputError(f"{key}.{name}: this term has no such option; choose among {valid}")
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError:  # a user's own function whose annotations are imported for type checkers only
        hints = {}
    for name, default in known.items():
        if default is REQUIRED and name not in options:
            raise InputError(f"{key}.{name} is missing: this term has no default for it")
    for name, value in options.items():
        hint = hints.get(name, _hint_of(known[name]))
        complaint = _region_complaint(value) if name == "region" else _complaint(value, hint)
        if complaint:
            raise InputError(f"{key}.{name}={value!r} {complaint}")
    return {**known, **options}


def _hint_of(default: Any) -> Any:
    """Return the type of an option without annotation, inferred from its default (int allows float)."""
    if default is REQUIRED or default is None:
        return Any
    return float if type(default) is int else type(default)


def _region_complaint(value: Any) -> str | None:
    """Return what is wrong with a region, or None."""
    try:
        parse_region(value)
    except ValueError as error:
        return str(error).partition("' ")[2]
    return None


def _complaint(value: Any, hint: Any) -> str | None:
    """Return what is wrong with ``value`` under the annotation of its argument, or None."""
    if hint is Any:
        return None
    if get_origin(hint) in (Union, types.UnionType):
        complaints = [_complaint(value, part) for part in get_args(hint)]
        return None if None in complaints else " or ".join(c for c in complaints if c)
    if hint is type(None):
        return None if value is None else "is not null"
    if get_origin(hint) is Literal:
        valid = isinstance(value, str) and value in get_args(hint)
        return None if valid else f"is none of {', '.join(get_args(hint))}"
    kind, limits = (hint.__origin__, hint.__metadata__[0]) if get_origin(hint) is Annotated else (hint, None)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return "is not a number"
    elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return f"is not of type {kind.__name__}"
    return None if limits is None or limits.holds(value) else f"is not {limits}"
