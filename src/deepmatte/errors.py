"""The one error that a user's input can cause, and arguments that don't fit their annotations."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails


class InputError(ValueError):
    """What the user gave can't be used: a file, a folder, a configuration key or a checkpoint.

    The message is one line that names the file or key, says what is wrong with it and what to do. The
    commands print it without a traceback and exit with status 2; everything else that is raised is a defect
    of deepmatte.
    """


def one_line(error: object) -> str:
    r"""Return what an error says in one line.

    Of one that was raised in a loader's process it is the error's own words alone.

    >>> one_line("Caught InputError.\nOriginal Traceback (…):\ndeepmatte.errors.InputError: a.png: damaged")
    'a.png: damaged'
    """
    text = str(error)
    if "Original Traceback" in text:
        text = text.rpartition("errors.InputError: ")[2]
    return visible(text)


def visible(text: object) -> str:
    r"""Return a text in one line, with what a terminal would obey or hide written as escapes.

    Names and messages may come from a stranger's files.

    >>> visible("a\n  b"), visible("\x1b[2J"), visible("Grüße 猫\u202e")
    ('a b', '\\x1b[2J', 'Grüße 猫\\u202e')
    """
    line = " ".join(str(text).split())
    if line.isprintable():
        return line
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line
    )


class RunError(RuntimeError):
    """A run can't continue, though its input was well formed.

    The loss is not finite, a process died, time ran out.

    Printed like an `InputError`, in one line; the run's ``result.json`` says ``failed`` and repeats the line.
    """


def did_you_mean(word: str, choices: Iterable[str], form: str = "{}") -> str:
    """Return ``; did you mean `CHOICE`?`` for the choice that is spelt most like ``word``, or nothing.

    >>> did_you_mean("trian", ["train", "predict"])
    '; did you mean `train`?'
    >>> did_you_mean("logger", ["loss", "seed"])
    ''
    """
    close = difflib.get_close_matches(word, sorted(choices), n=1)
    return f"; did you mean `{form.format(close[0])}`?" if close else ""


# ---- arguments ---------------------------------------------------------------------------------------------

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
_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_Path = tuple[str, Any, Any]


def check_arguments(target: Callable[..., Any], arguments: Mapping[str, Any], place: str = "") -> None:
    """Refuse arguments that don't fit the annotations of what they are for.

    Numbers, true and false, texts, paths, lists, keys with values and choices are checked as YAML writes
    them, and strictly: a text is no number. Bounds count, and a text beside them is the advice that the
    message gives: ``Annotated[float, Gt(0), "give minutes above 0"]``. A dataclass or a pydantic model as an
    annotation says which keys there may be. An argument without annotation is judged by its default, and one
    that is annotated otherwise is left to the target.

    Args:
        target: a class, a function, or a pydantic model (`Section`) of a part of the configuration.
        arguments: by name. Names that a class or function doesn't know are left to it.
        place: the key of the arguments in the configuration, which begins the message.

    Raises:
        InputError: it names the key below ``place``, its value and what fits.

    >>> def crop(size: int, sides: Sequence[float] | None = None) -> None: ...
    >>> check_arguments(crop, {"size": 320, "sides": [0.5, 1]}, "composition")
    >>> check_arguments(crop, {"sides": [1, "a"]}, "composition")
    Traceback (most recent call last):
        ...
    deepmatte.errors.InputError: composition.sides=[1, 'a']: has to be a list (of a number) or null
    """
    from pydantic import ValidationError

    model = _model(target)
    try:
        model.model_validate(dict(arguments))
    except ValidationError as error:
        raise input_error(error, place, model, arguments) from None


def input_error(
    error: ValidationError, place: str, model: type[BaseModel], values: Mapping[str, Any]
) -> InputError:
    """Return in one line what pydantic has found wrong with ``values``: the one translation of its errors."""
    # Where several annotations are possible, each has its complaint: the one that reads furthest into the
    # value is meant, and a bound says more than a kind.
    found = [(_follow(item["loc"], place, model, values), item) for item in error.errors()]
    path, item = max(found, key=lambda pair: (len(pair[0]), pair[1]["type"] in _BOUNDS))
    (key, value, hint), above = path[-1], path[-2]
    if item["type"] == "missing":
        return InputError(f"{key} is missing: it has to be {_words(hint)}")
    if item["type"] == "extra_forbidden":
        known = list(_keys(above[2]) or ())
        meant = did_you_mean(str(item["loc"][-1]), known, f"{above[0]}.{{}}".lstrip("."))
        return InputError(f"{key}: there is no such key{meant or '; the keys are ' + ', '.join(known)}")
    return InputError(f"{key}={' '.join(str(value).split())[:200]}: {_complaint(item, hint)}")


def _follow(steps: Sequence[int | str], place: str, model: Any, values: Any) -> list[_Path]:
    """Return key, value and annotation at ``place`` and at each of ``steps`` below it."""
    path: list[_Path] = [(place, values, model)]
    for step in steps:
        key, value, hint = path[-1]
        hints = _keys(hint)
        if hints is None or not isinstance(value, Mapping) or not (step in value or step in hints):
            continue  # a place in a list, or pydantic's name of one of several annotations
        path.append((f"{key}.{step}".lstrip("."), value.get(step), hints.get(step, hints.get("*", Any))))
    return path


def _keys(hint: Any) -> dict[Any, Any] | None:
    """Return the annotations of the keys of an annotation, ``*`` for any key; None where it has no keys."""
    for option in map(_bare, _options(hint)):
        if hasattr(option, "model_fields"):
            fields: Any = option.model_fields
            return {field.alias or name: field.rebuild_annotation() for name, field in fields.items()}
        if get_origin(option) is Mapping:
            return {"*": get_args(option)[1]}
    return None


def _complaint(item: ErrorDetails, hint: Any) -> str:
    """Return what is wrong with a value, after its key."""
    if said := next((part for part in getattr(hint, "__metadata__", ()) if isinstance(part, str)), None):
        return said
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    if item["type"] == "finite_number":
        return "has to be a finite number"
    if item["type"] == "literal_error" and get_origin(_bare(hint)) is Literal:
        return f"is none of {', '.join(map(str, get_args(_bare(hint))))}"
    return f"has to be {_range(hint) if item['type'] in _BOUNDS else _words(hint)}"


def _range(hint: Any) -> str:
    """Return the bounds of a number in words."""
    from annotated_types import GroupedMetadata

    bounds: dict[str, Any] = {}
    for bound in (bound for option in _options(hint) for bound in getattr(option, "__metadata__", ())):
        for part in bound if isinstance(bound, GroupedMetadata) else [bound]:
            bounds |= {
                word: end
                for word in ("ge", "gt", "le", "lt")
                if (end := getattr(part, word, None)) is not None
            }
    if "ge" in bounds and "le" in bounds:
        return f"from {bounds['ge']} to {bounds['le']}"
    forms = {"ge": "{} or more", "gt": "above {}", "le": "{} or less", "lt": "below {}"}
    return " and ".join(forms[word].format(end) for word, end in bounds.items())


def _words(hint: Any) -> str:
    """Return in words what fits an annotation."""
    texts = []
    for whole in _options(hint):
        option = _bare(whole)
        kind, of = get_origin(option) or option, get_args(option)
        lengths = [
            part.max_length for part in getattr(whole, "__metadata__", ()) if hasattr(part, "max_length")
        ]
        if kind is Literal:
            text = f"one of {', '.join(map(str, of))}" if len(of) > 1 else str(of[0])
        elif hasattr(kind, "model_fields"):
            text = _WORDS[Mapping]
        else:
            text = _WORDS.get(kind, str(option))
        if kind is Sequence and of and (item := _bare(of[0])) in _WORDS:
            text += f" of {lengths[0]} (each {_WORDS[item]})" if lengths else f" (of {_WORDS[item]})"
        texts.append(text)
    return " or ".join(dict.fromkeys(texts))


def _options(hint: Any) -> tuple[Any, ...]:
    """Return the annotations of which one has to fit."""
    inner = _bare(hint)
    return get_args(inner) if get_origin(inner) in (Union, types.UnionType) else (hint,)


def _bare(hint: Any) -> Any:
    """Return an annotation without its bounds."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


@functools.cache
def _model(target: Any, closed: bool = False) -> type[BaseModel]:
    """Return the pydantic model of a target's arguments.

    ``closed`` refuses other keys, and needs those that have no default.
    """
    from pydantic import BaseModel, ConfigDict, Field, create_model

    if isinstance(target, type) and issubclass(target, BaseModel):
        return target
    fields: dict[str, Any] = {}
    for number, (name, hint, required) in enumerate(_annotations(target)):
        # Under names of their own: that of an argument may be one that pydantic's models have themselves.
        default = ... if required and closed else None
        # A class that holds itself, as `Matte` its coarse one, is nothing that YAML writes.
        kind = Any if target in get_args(hint) else _checked(hint)
        fields[f"argument_{number}"] = (kind, Field(default, alias=name))
    config = ConfigDict(strict=True, extra="forbid" if closed else "ignore", allow_inf_nan=False)
    return create_model(f"Arguments of {target}", __config__=config, **fields)


def _annotations(target: Callable[..., Any]) -> Iterator[tuple[str, Any, bool]]:
    """Yield name and annotation of each argument, and whether it has no default."""
    function: Any = target
    if isinstance(target, type):
        function = target.__init__  # type: ignore[misc]  # mypy thinks of instances
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):  # imported for type checkers alone, or there are none
        hints = {}
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = parameter.default
        known = default is not parameter.empty and default is not None
        guess = Any if not known else float if type(default) is int else type(default)
        yield name, hints.get(name, guess), default is parameter.empty


def _checked(hint: Any) -> Any:
    """Return what pydantic is to check of an annotation: as YAML writes it; Any of what YAML can't write."""
    kind, of = get_origin(hint) or hint, get_args(hint)
    if kind is Annotated:
        return Annotated[(_checked(of[0]), *hint.__metadata__)]
    if kind in (Union, types.UnionType):
        return Union[tuple(map(_checked, of))]  # noqa: UP007
    if kind is Literal or kind in (int, float, bool, str, types.NoneType):
        return hint
    if not isinstance(kind, type):
        return Any
    # What follows is no annotation to mypy, since it is made at run time.
    mapping, sequence, union = (typing.cast(Any, generic) for generic in (Mapping, Sequence, Union))
    if issubclass(kind, os.PathLike):
        from pydantic import InstanceOf

        return InstanceOf[os.PathLike]
    if dataclasses.is_dataclass(kind) or hasattr(kind, "model_fields"):
        return _model(typing.cast(Any, kind), closed=True)
    if issubclass(kind, Mapping):
        return mapping[Any, _checked(of[1]) if of else Any]
    if issubclass(kind, tuple) and of and of[-1] is not ...:
        from annotated_types import Len

        return Annotated[sequence[_checked(union[of])], Len(len(of), len(of))]
    if issubclass(kind, Sequence):
        return sequence[_checked(of[0]) if of else Any]
    return Any
