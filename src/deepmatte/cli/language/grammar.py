"""A run is a positional argument: turns the words of a Hydra verb into overrides that Hydra reads."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from deepmatte.errors import InputError

_TAKE_A_VALUE = (
    *("--cfg", "-c", "--info", "-i", "--package", "-p", "--experimental-rerun"),
    *("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
)
"""Hydra's options whose value may be the next word."""


def hydra_words(verb: str, words: Sequence[str]) -> list[str]:
    """Return the overrides that ``words`` mean; an old spelling gets a hint on standard error.

    Raises:
        InputError: there are several runs, none where one is needed, or one where none belongs; or a key has
            hyphens before it.

    >>> hydra_words("evaluate", ["runs/train/1a2b3c4d", "data=folder"])
    ["run='runs/train/1a2b3c4d'", 'data=folder']
    >>> hydra_words("resume", ["runs/train/1a2b3c4d"])
    ["resume='runs/train/1a2b3c4d'"]
    """
    _check_hyphens(words)
    plain = _positional(words)
    named = [word for word in words if word.startswith(("run=", "resume="))]
    if verb == "train":
        if plain:
            raise InputError(_no_override(words[plain[0]]))
        return list(words)
    if len(plain) + len(named) > 1:
        both = " and ".join([*(words[i] for i in plain), *named])
        raise InputError(f"{verb} takes one run, but got {both}")
    if verb == "resume" and not plain:
        raise InputError(
            "resume: which run? give its directory, as in `deepmatte resume runs/train/1a2b3c4d`"
        )
    if verb == "evaluate" and named:
        run = named[0].partition("=")[2]
        print(
            f"deepmatte: run={run} is the old spelling, for one more release; "
            f"write `deepmatte evaluate {run} …`",
            file=sys.stderr,
        )
    key = "resume" if verb == "resume" else "run"
    return [f"{key}={_quoted(word)}" if i in plain else word for i, word in enumerate(words)]


def _check_hyphens(words: Sequence[str]) -> None:
    """Refuse ``--KEY=VALUE``, as an agent of a W&B sweep writes overrides unless it is told not to."""
    for word in words:
        option, equals, value = word.partition("=")
        if option.startswith("--") and equals and option not in _TAKE_A_VALUE:
            right = f"{option.lstrip('-')}={value}"
            raise InputError(f"{word}: write {right}; in the command of a W&B sweep, ${{args_no_hyphens}}")


def _positional(words: Sequence[str]) -> list[int]:
    """Return the indices of the words that are neither options, nor their values, nor overrides."""
    return [
        i
        for i, word in enumerate(words)
        if not word.startswith(("-", "+", "~"))
        and not _is_override(word)
        and (i == 0 or words[i - 1] not in _TAKE_A_VALUE)
    ]


def _is_override(word: str) -> bool:
    """Say whether a word is KEY=VALUE rather than a path that happens to have an equals sign."""
    key = word.partition("=")[0]
    return "=" in word and not ("/" in key and Path(word).is_dir())


def _quoted(path: str) -> str:
    """Return a path as Hydra reads it, digits alone as text, too."""
    if not set(path) & set("'\\$"):
        return f"'{path}'"
    from deepmatte.config.compose import quoted  # imports Hydra

    return quoted(path)


def _no_override(word: str) -> str:
    meant = (
        f"to resume that run: deepmatte resume {word}"
        if Path(word).is_dir()
        else "give KEY=VALUE, such as seed=1"
    )
    return f"train: '{word}' is no override; {meant}"
