"""What the sub-verbs of `deepmatte data` share: overrides, their configuration, kinds of numbers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig


def overriding_parser(verb: str, description: str) -> argparse.ArgumentParser:
    """Return a parser that takes overrides, to which a sub-verb adds its options."""
    result = argparse.ArgumentParser(prog=f"deepmatte data {verb}", description=description)
    overrides = "what `deepmatte train` takes, such as data=NAME data.root=DIR composition=dim seed=1"
    result.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=overrides)
    return result


def composed_config(overrides: Sequence[str]) -> DictConfig:
    """Return the configuration that ``deepmatte train`` would have with these overrides.

    Raises:
        InputError: one of them is not an override, or names an unknown key.
    """
    from deepmatte.config.compose import compose
    from deepmatte.config.unknown_keys import check_keys

    config = compose("train", overrides)
    check_keys(config, "train")
    return config


def report_skipped(source: Any) -> None:
    """Say on standard error how many files `data.on_error=skip` left out."""
    problems = getattr(source, "problems", [])
    if problems:
        print(f"{len(problems)} files were skipped; `deepmatte data verify` lists them", file=sys.stderr)


def positive(text: str) -> int:
    """Return a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of 1 or more")
    return int(text)


def whole(text: str) -> int:
    """Return a whole number of 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number")
    return int(text)
