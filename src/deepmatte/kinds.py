"""What kinds of values a constructor takes, by its annotations: a text where a number belongs is told by its key."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deepmatte.errors import InputError

_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    os.PathLike: "a path",
    types.NoneType: "null",
    Sequence: "a list",
    Mapping: "keys with values",
}


def check_kinds(target: Callable[..., Any], arguments: Mapping[str, Any], place: str) -> None:
    """Refuse arguments that are of another kind than the annotations say; what is annotated otherwise is left to the target.

    Raises:
        InputError: it names the key below ``place``, its value and the kinds that fit.

    >>> def crop(size: int, sides: Sequence[float] | None = None) -> None: ...
    >>> check_kinds(crop, {"size": 320, "sides": [0.5, 1]}, "composition")
    >>> check_kinds(crop, {"sides": [1, "a"]}, "composition")
    Traceback (most recent call last):
        ...
    deepmatte.errors.InputError: composition.sides=[1, 'a']: has to be a list (of a number) or null
    """
    try:
        hints = typing.get_type_hints(target.__init__ if isinstance(target, type) else target)  # type: ignore[misc]
    except (NameError, TypeError, AttributeError):
        return
    for name, value in arguments.items():
        if name in hints:
            for key, wrong, hint in _misfits(value, hints[name], f"{place}.{name}"):
                raise InputError(f"{key}={wrong}: has to be {_words(hint)}")


def _misfits(value: Any, hint: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield place, value and wanted kind of what does not fit."""
    kind = typing.get_origin(hint) or hint
    if kind in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if all(any(_misfits(value, option, place)) for option in options):
            inside = [option for option in options if typing.get_origin(option) is Mapping and isinstance(value, Mapping)]
            yield from _misfits(value, inside[0], place) if inside else [(place, value, hint)]
    elif kind not in _WORDS or (isinstance(value, Mapping) and "_target_" in value):
        return
    elif kind is Mapping and isinstance(value, Mapping):
        for name, child in value.items():
            yield from _misfits(child, (typing.get_args(hint) or (Any, Any))[1], f"{place}.{name}")
    elif kind is Sequence and isinstance(value, list | tuple):
        if any(True for child in value for _ in _misfits(child, (typing.get_args(hint) or (Any,))[0], place)):
            yield place, value, hint
    elif kind in (int, float):
        if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
            yield place, value, hint
    elif kind in (Mapping, Sequence) or not isinstance(value, kind):
        yield place, value, hint


def _words(hint: Any) -> str:
    options = typing.get_args(hint) if (typing.get_origin(hint) or hint) in (typing.Union, types.UnionType) else (hint,)
    texts = []
    for option in options:
        kind = typing.get_origin(option) or option
        of = typing.get_args(option)[:1] if kind is Sequence else ()
        texts.append(_WORDS.get(kind, str(option)) + (f" (of {_words(of[0])})" if of and of[0] in _WORDS else ""))
    return " or ".join(dict.fromkeys(texts))
