"""Options of a term, checked against the signature of its function: a new term has nothing to register."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Gt, Interval

from deepmatte.errors import InputError, check_arguments
from deepmatte.ops.regions import parse_region

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Interval(ge=0)]
Fraction = Annotated[float, Interval(ge=0, le=1)]
NumLevels = Annotated[int, Interval(ge=1, le=16)]
Form = Literal["proper", "textbook"]
Distance = Literal["charbonnier", "l1", "l2"]

REQUIRED = inspect.Parameter.empty
"""In place of the default of an option that has none."""


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
            valid = ", ".join(dict.fromkeys(("weight", "term", "output", *known)))
            raise InputError(f"{key}.{name}: this term has no such option; choose among {valid}")
    for name, default in known.items():
        if default is REQUIRED and name not in options:
            raise InputError(f"{key}.{name} is missing: this term has no default for it")
    check_arguments(function, options, key)
    if "region" in options:
        try:
            parse_region(options["region"])
        except ValueError as error:
            complaint = str(error).partition("' ")[2]
            raise InputError(f"{key}.region={options['region']}: {complaint}") from error
    return {**known, **options}
